from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.events import Reason, TopK
from monitor.units import UNIT, fault_of, quantise
from tests.laws.world import is_distribution, quantised

OFF_BY = st.sampled_from(
    (0, 1, -1, 1_074, -1_074, 1_075, -1_075, 10**6, -(10**6), 2 * 10**7, -2 * 10**7)
)


@st.composite
def rows(draw):
    """Probabilities whose units sum to about 2³⁰, some of them between two units."""
    K = draw(st.integers(1, 6))
    total = UNIT + draw(OFF_BY)
    edges = sorted(draw(st.lists(st.integers(0, total), min_size=K - 1, max_size=K - 1)))
    parts = np.diff([0, *edges, total])
    return [
        min(float(part) / UNIT + draw(st.sampled_from((0.0, 0.3 / UNIT))), 1.0) for part in parts
    ]


def quantise_one(p, *, is_partial=False):
    """The units of one row."""
    return quantise(np.array([p]), np.array([is_partial]))[0].tolist()


@given(rows(), st.booleans())
@example([1.0] + [0.0] * 1_100, False)
@example([0.5 + 2**-31, 0.5 - 2**-31], False)  # halfway between two units: to the even one
@example([1.0, 1_075 / UNIT], False)
@example([1.0, 1_074 / UNIT], False)
def test_probabilities_become_the_units_that_the_contract_says(p, is_partial):
    """Units are u = rint(p·2³⁰), rescaled in float64 where the sum is off by more than max(1,074, K)."""
    assert quantise_one(p, is_partial=is_partial) == quantised(p, len(p), is_partial=is_partial)


@given(rows(), st.booleans())
def test_export_and_replay_give_the_same_units(p, is_partial):
    """Units, divided by 2³⁰ and read again, are the same units."""
    units = quantise_one(p, is_partial=is_partial)
    assert quantise_one([each / UNIT for each in units], is_partial=is_partial) == units


def test_a_sum_is_let_off_by_one_unit_a_class():
    """Of 2,000 classes the rounding alone may be off by 1,000 units: nothing is rescaled for that."""
    p = [1 / 2_000] * 2_000
    assert quantise_one(p) == [round(UNIT / 2_000)] * 2_000
    p[0] += 1_500 / UNIT
    assert quantise_one(p)[0] == round(UNIT / 2_000) + 1_500


@given(st.lists(st.floats(0, 1 / 6), min_size=1, max_size=6))
def test_a_top_k_is_never_scaled_up(p):
    """The probabilities of a part of the classes stay as sent where they sum to less than 1."""
    assert quantise_one(p, is_partial=True) == [round(each * UNIT) for each in p]


def test_a_top_k_above_one_is_scaled_down():
    """A part that sums to more than 1 becomes a distribution."""
    assert sum(quantise_one([0.6, 0.41], is_partial=True)) == UNIT


def test_rows_of_a_batch_do_not_touch_each_other():
    """Each row is quantised as if alone."""
    p = np.array([[0.5, 0.5], [0.5, 0.49], [0.5, 0.49], [0.0, 1.0]])
    is_partial = np.array([False, False, True, False])
    alone = [quantise_one(row, is_partial=part) for row, part in zip(p, is_partial, strict=True)]
    assert quantise(p, is_partial).tolist() == alone


@given(rows() | st.lists(st.floats(-0.1, 1.1), min_size=1, max_size=4), st.booleans())
@example([0.98], False)
@example([np.nextafter(0.98, 0)], False)
@example([0.0, 0.0], True)
@example([2**-31], True)
@example([-0.0, 1.0], False)
@example([5e-324, 1.0], False)
def test_what_is_a_distribution_is_decided_in_units(p, is_partial):
    """0 ≤ p ≤ 1 and a sum of 1 ± 0.02; of a top-k in (0, 1.02]."""
    form = TopK(tuple(map(str, range(len(p)))), tuple(p)) if is_partial else list(p)
    fault = fault_of(np.array([p]), np.array([is_partial]))[0]
    assert (fault is None) == is_distribution(form)


@pytest.mark.parametrize(
    ("p", "reason"),
    [
        ([float("nan"), 1.0], Reason.PROBS_NOT_FINITE),
        ([float("inf"), 1.0], Reason.PROBS_NOT_FINITE),
        ([float("inf"), float("-inf")], Reason.PROBS_NOT_FINITE),
        ([1e308, 1e308], Reason.PROBS_OUT_OF_RANGE),
        ([-1e-9, 1.0], Reason.PROBS_OUT_OF_RANGE),
        ([1.0 + 2**-52, 0.0], Reason.PROBS_OUT_OF_RANGE),
        ([0.5, 0.4], Reason.PROBS_NOT_NORMALISED),
        ([1.0, 1.0], Reason.PROBS_NOT_NORMALISED),
        ([0.0, 0.0], Reason.PROBS_NOT_NORMALISED),
    ],
)
def test_faults_have_one_reason_each(p, reason):
    """What is not finite is that first, then what is out of range, then what does not sum to 1."""
    assert fault_of(np.array([p, [0.5, 0.5]]), np.zeros(2, np.bool_)).tolist() == [reason, None]
