from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.statistics.class_statistics import ClassStatistics
from monitor.statistics.confident_joint import NONE, ConfidentJoint
from tests.oracle import UNIT

K = 3
CLASS = st.integers(0, K - 1)


def parts(second):
    """Up to three shards of (given label, something else)."""
    rows = st.lists(st.tuples(CLASS, second), max_size=12)
    return st.lists(rows, min_size=1, max_size=3)


def columns(rows):
    """Rows as two arrays."""
    return np.array(rows, np.int64).reshape(-1, 2).T


def rows_of(shards):
    """The rows of all shards."""
    return [row for shard in shards for row in shard]


def assert_adds(empty, shards):
    """Assert the laws of a statistic that adds."""
    whole = empty.update(*columns(rows_of(shards)))
    merged = empty
    for shard in shards:
        merged = merged.merge(empty.update(*columns(shard)))
    assert merged == whole
    assert empty.merge(whole) == whole == whole.merge(empty)
    assert whole.update(*columns(shards[0])).revert(*columns(shards[0])) == whole
    assert whole.revert(*columns(rows_of(shards))) == empty
    return whole


@given(parts(st.integers(0, UNIT)))
def test_class_statistics_add(shards):
    """Statistics of shards merge to those of the whole; empty is the identity; revert undoes update."""
    whole = assert_adds(ClassStatistics.empty(K), shards)
    rows = rows_of(shards)
    for k in range(K):
        own = [units / UNIT for label, units in rows if label == k]
        assert whole.count[k] == len(own)
        assert whole.class_thresholds()[k] == (max(np.mean(own), 2e-6) if own else 2.0)


@given(parts(st.integers(NONE, K - 1)))
def test_confident_joints_add(shards):
    """Joints of shards merge to that of the whole; empty is the identity; revert undoes update."""
    whole = assert_adds(ConfidentJoint.empty(K), shards)
    rows = rows_of(shards)
    assert whole.count.tolist() == [[rows.count((i, j)) for j in range(K)] for i in range(K)]


@given(parts(st.integers(0, UNIT)), st.integers(K, K + 2))
def test_more_classes_change_nothing(shards, wider):
    """Statistics widened before or after the rows are the same."""
    rows = columns(rows_of(shards))
    after = ClassStatistics.empty(K).update(*rows).widen(wider)
    assert after == ClassStatistics.empty(wider).update(*rows)
    labels = np.array([rows[0], rows[1] % K])
    joint = ConfidentJoint.empty(K).update(*labels).widen(wider)
    assert joint == ConfidentJoint.empty(wider).update(*labels)


@given(st.lists(st.tuples(CLASS, st.integers(0, UNIT)), max_size=30))
def test_an_integer_cut_says_what_the_threshold_says(rows):
    """Units reach the cut exactly where p ≥ t − 1e-6; one unit less does not."""
    statistics = ClassStatistics.empty(K).update(*columns(rows))
    for t, cut in zip(statistics.class_thresholds(), statistics.cuts(), strict=True):
        assert cut / UNIT >= t - 1e-6 > (cut - 1) / UNIT
