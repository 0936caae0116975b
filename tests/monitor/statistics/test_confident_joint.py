from __future__ import annotations

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.statistics.confident_joint import (
    CLOSE_UNITS,
    NONE,
    Collision,
    is_label_issue,
    suggest,
)
from tests.oracle import UNIT, Live, is_close, plain_suggestion

K = 3
CUTS = st.lists(
    st.sampled_from((1_074, UNIT // 3, UNIT // 2, 2 * UNIT - 1_073)), min_size=K, max_size=K
)
NEAR = st.lists(st.sampled_from((0, -1, 1, UNIT // 10)), min_size=K, max_size=K)


def live(units, given=0):
    """A live annotation with these probabilities."""
    return Live("n", "x", "ann", given, "", tuple(units), False, None)


@given(CUTS, st.lists(NEAR, max_size=6), st.sampled_from(Collision))
@example([1_074] * K, [[0, 0, 0]], Collision.CLEANLAB)  # all tied: the lowest class
@example([UNIT // 2, UNIT // 2, UNIT], [[0, 0, 0]], Collision.PAPER)
def test_suggestions_follow_the_rule(cuts, offsets, collision):
    """None, the one confident class, or of several the top of all or of the confident; ties to the lower."""
    units = np.clip(np.array(cuts) + np.array(offsets).reshape(-1, K), 0, UNIT).astype(np.uint32)
    thresholds = [cut / UNIT + 1e-6 for cut in cuts]
    expected = [plain_suggestion(live(row), thresholds, collision) for row in units.tolist()]
    found = suggest(units, np.array(cuts), collision)
    assert found.tolist() == [NONE if each is None else each for each in expected]


@given(
    st.integers(0, UNIT - 2_000),
    st.sampled_from((0, 1, CLOSE_UNITS - 1, CLOSE_UNITS, CLOSE_UNITS + 1, 2_000)),
    st.booleans(),
)
def test_close_is_cleanlabs_epsilon_in_units(low, gap, is_first):
    """A given label up to 1,073 units below the top is close: 1e-6 lies between two units."""
    units = [low, low + gap] if is_first else [low + gap, low]
    given_label = 0 if is_first else 1
    suggested = np.array([1 - given_label], np.int16)
    found = is_label_issue(
        np.array([given_label]), suggested, np.array([low]), np.array([low + gap], np.uint32)
    )
    assert found.tolist() == [not is_close(live(units, given_label))] == [gap > CLOSE_UNITS]


@pytest.mark.parametrize("gap", [CLOSE_UNITS, CLOSE_UNITS + 1])
def test_cleanlab_draws_the_line_between_the_same_two_units(gap):
    """An issue for cleanlab begins at 1,074 units, too."""
    half = UNIT // 2
    units = np.array([[half, half + gap], [0, half], [UNIT, 0]])
    given = np.array([0, 1, 0])
    found = find_label_issues(given, units / UNIT, filter_by="confident_learning", n_jobs=1)
    assert found[0] == (gap > CLOSE_UNITS)


def test_nothing_is_suggested_where_there_is_nothing():
    """No rows and no classes are ordinary inputs."""
    cuts = np.zeros(0, np.int64)
    assert suggest(np.zeros((2, 0), np.uint32), cuts, Collision.CLEANLAB).tolist() == [NONE, NONE]
    assert suggest(np.zeros((0, 3), np.uint32), np.full(3, 1_074), Collision.PAPER).size == 0
