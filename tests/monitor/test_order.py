from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.events import Partition
from monitor.order import BEFORE_ALL, OrderKeys, compare, judge, source_ranks

EXTREMES = (-(2**63), -1, 0, 1, 2**63 - 1)
RANKS = np.array([1, 0, 2])
KEY = st.tuples(
    st.sampled_from((-1, 0, 2**63 - 1)),
    st.sampled_from(EXTREMES),
    st.integers(0, 2),
    st.sampled_from((0, 1, 2**63 - 1)),
)


def as_keys(keys):
    """Keys as columns."""
    revision, time_us, source, offset = np.array(keys, np.int64).reshape(-1, 4).T
    return OrderKeys(revision, time_us, source.astype(np.int32), offset)


def ranked(key):
    """The key as a tuple that Python compares."""
    revision, time_us, source, offset = key
    return revision, time_us, int(RANKS[source]), offset


@given(st.lists(st.tuples(KEY, KEY), max_size=8))
def test_keys_compare_from_left_to_right(pairs):
    """Revision, time, source, offset: the first that differs decides, without overflow."""
    signs = compare(as_keys([a for a, _ in pairs]), as_keys([b for _, b in pairs]), RANKS)
    assert signs.tolist() == [(ranked(a) > ranked(b)) - (ranked(a) < ranked(b)) for a, b in pairs]


@given(
    st.lists(st.tuples(st.integers(0, 3), KEY), max_size=12),
    st.lists(KEY | st.just((BEFORE_ALL, 0, 0, 0)), min_size=4, max_size=4),
)
def test_writes_are_judged_as_if_each_came_alone(writes, stored):
    """Of each write: whether it stays the newest of its row, was heard before, or came too late."""
    rows = np.array([row for row, _ in writes], np.int32)
    found = judge(
        rows, as_keys([key for _, key in writes]), as_keys([stored[row] for row in rows]), RANKS
    )
    newest = {row: (key, None) for row, key in enumerate(stored)}
    redelivered, stale = [], []
    for i, (row, key) in enumerate(writes):
        known = newest[row][0]
        if ranked(key) > ranked(known):
            newest[row] = (key, i)
        else:
            (redelivered if key == known else stale).append(i)
    assert set(np.flatnonzero(found.is_newest)) == {i for _, i in newest.values()} - {None}
    assert np.flatnonzero(found.is_redelivery).tolist() == redelivered
    assert np.flatnonzero(found.is_stale).tolist() == stale


def test_sources_rank_by_name_in_kafka_and_by_registration_elsewhere():
    """Files and stdin come first, as they were first read; Kafka's partitions by topic and number."""
    partitions = [
        Partition("zoo", 1),
        Partition("file:/b"),
        Partition("zoo", 0),
        Partition("animals", 10),
        Partition("stdin:"),
        Partition("file:/a"),
        Partition("animals", 9),
    ]
    ranks = source_ranks(partitions)
    assert [partitions[i] for i in np.argsort(ranks)] == [
        Partition("file:/b"),
        Partition("stdin:"),
        Partition("file:/a"),
        Partition("animals", 9),
        Partition("animals", 10),
        Partition("zoo", 0),
        Partition("zoo", 1),
    ]


@given(
    st.lists(
        st.builds(Partition, st.sampled_from(("a", "b", "f:1", "f:2")), st.integers(0, 2)),
        unique=True,
    )
)
def test_new_sources_do_not_reorder_old_ones(partitions):
    """Two sources compare the same however many are registered later."""
    ranks, fewer = source_ranks(partitions), source_ranks(partitions[:-1])
    assert sorted(ranks.tolist()) == list(range(len(partitions)))
    assert np.argsort(ranks[:-1]).tolist() == np.argsort(fewer).tolist()
