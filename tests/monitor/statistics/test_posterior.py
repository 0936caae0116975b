from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from monitor.statistics.confusion_counts import LOG_UNIT, fixed
from monitor.statistics.posterior import MODEL_WEIGHT, P_FLOOR, add_labels, model_logs, posteriors
from tests.oracle import UNIT

K = 4
UNITS = st.lists(st.sampled_from((0, 1, UNIT // 3, UNIT // 2, UNIT)), min_size=K, max_size=K)
EXAMPLES = st.lists(UNITS, min_size=1, max_size=5)


@st.composite
def labelled(draw):
    """Examples, the rows that labels are about, and the logs of the labels' likelihoods."""
    units = np.array(draw(EXAMPLES), np.uint32)
    example = np.array(draw(st.lists(st.integers(0, len(units) - 1), max_size=12)), np.int64)
    seed = draw(st.integers(0, 2**32 - 1))
    rates = np.random.default_rng(seed).dirichlet(np.ones(K), example.size)
    return units, example, np.log(np.maximum(rates, 1e-9)).reshape(-1, K)


@given(labelled())
def test_the_posterior_is_that_of_the_formula(case):
    """It is p^λ times the likelihood of each label, p floored at a millionth: within 1e-9 of floats."""
    units, example, label_logs = case
    logs = MODEL_WEIGHT * np.log(np.maximum(units / UNIT, P_FLOOR))
    np.add.at(logs, example, label_logs)
    found = posteriors(add_labels(model_logs(units), example, fixed(label_logs)))
    np.testing.assert_allclose(
        found, np.exp(logs - logsumexp(logs, axis=1, keepdims=True)), rtol=1e-9, atol=1e-300
    )
    np.testing.assert_allclose(found.sum(axis=1), 1)


@given(labelled(), st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(case, random):
    """Labels in any order, all at once or one by one, give the same posterior to the last bit."""
    units, example, label_logs = case
    logs = fixed(label_logs)
    at_once = posteriors(add_labels(model_logs(units), example, logs))
    order = list(range(example.size))
    random.shuffle(order)
    shuffled = posteriors(add_labels(model_logs(units), example[order], logs[order]))
    one_by_one = model_logs(units)
    for i in order:
        one_by_one = add_labels(one_by_one, example[i : i + 1], logs[i : i + 1])
    assert at_once.tobytes() == shuffled.tobytes() == posteriors(one_by_one).tobytes()


@pytest.mark.parametrize("width", [1, 2, 3, 7, 10, 51, 100])
def test_examples_are_judged_alike_alone_and_together(width):
    """How many examples are judged at a time does not change a bit: batches and sweeps agree."""
    random = np.random.default_rng(width)
    units = np.rint(random.dirichlet(np.ones(width), 37) * UNIT).astype(np.uint32)
    label_logs = fixed(np.log(random.dirichlet(np.ones(width), 37)))
    together = posteriors(add_labels(model_logs(units), np.arange(37), label_logs))
    for i in range(37):
        logs = add_labels(model_logs(units[i : i + 1]), np.array([0]), label_logs[i : i + 1])
        assert posteriors(logs).tobytes() == together[i : i + 1].tobytes()


def test_a_model_that_rules_a_class_out_can_be_outvoted():
    """A probability of zero counts as a millionth: enough labels turn the model's verdict."""
    units = np.array([[UNIT, 0]], np.uint32)
    label = fixed(np.log([[0.05, 0.9]]))
    quality = []
    for count in range(12):
        example = np.zeros(count, np.int64)
        logs = add_labels(model_logs(units), example, np.repeat(label, count, axis=0))
        quality.append(posteriors(logs)[0, 1])
    assert quality[0] < 1e-8
    assert quality == sorted(quality)
    assert quality[-1] > 0.99


def test_hundreds_of_labels_do_not_overflow():
    """Of ten thousand labels on one example the posterior is still finite and sums to 1."""
    units = np.array([[UNIT // 2, UNIT // 2]], np.uint32)
    count = 10_000
    label_logs = np.repeat(fixed(np.log([[1e-9, 0.999]])), count, axis=0)
    logs = add_labels(model_logs(units), np.zeros(count, np.int64), label_logs)
    assert posteriors(logs).tolist() == [[0.0, 1.0]]


def test_the_models_weight_is_how_often_it_counts():
    """A weight of 2 is the model's opinion twice; of 0, none."""
    units = np.array([[UNIT // 4 * 3, UNIT // 4]], np.uint32)
    np.testing.assert_allclose(posteriors(model_logs(units, 2.0)), [[0.9, 0.1]])
    assert posteriors(model_logs(units, 0.0)).tolist() == [[0.5, 0.5]]
    assert (model_logs(units, 1.0) == np.rint(np.log([[0.75, 0.25]]) * LOG_UNIT)).all()
