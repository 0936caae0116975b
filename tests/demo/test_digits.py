from __future__ import annotations

import numpy as np

from consumers.demo.digits import ERROR_RATES, annotated_digits


def test_probabilities_are_out_of_sample():
    """A model that had seen the planted errors would repeat them: it does not."""
    digits = annotated_digits()
    is_wrong = digits.given != digits.true
    for pred_probs in (digits.pred_probs, digits.later_pred_probs):
        predicted = pred_probs.argmax(axis=1)
        assert (predicted[is_wrong] == digits.true[is_wrong]).mean() > 0.8


def test_rounds_differ_and_repeat_themselves():
    """A number stands for the same labels each time, and for others than another number."""
    first, again, other = (annotated_digits(number) for number in (0, 0, 1))
    assert (first.given == again.given).all()
    assert first.annotator == again.annotator
    assert (first.given != other.given).any()
    assert (first.true == other.true).all()


def test_annotators_differ_in_skill():
    """Of the annotators ann errs least and eli most. Only wrong labels are corrected."""
    digits = annotated_digits()
    is_wrong = digits.given != digits.true
    who = np.array(digits.annotator)
    shares = [is_wrong[who == name].mean() for name in ERROR_RATES]
    assert (shares[0], shares[-1]) == (min(shares), max(shares))
    assert shares[-1] > 0.15
    assert digits.is_corrected.any()
    assert not (digits.is_corrected & ~is_wrong).any()
