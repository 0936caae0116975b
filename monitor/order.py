"""Which of two writes is the newer one.

Every event has the key (revision, time, topic, partition, offset), compared from left to right;
the wall clock decides nothing. Kafka's topics compare by name; files and other streams by when
this store first read them, because a path says nothing about time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.events import Partition

    Rows = NDArray[np.int32]
    Flags = NDArray[np.bool_]

NO_REVISION = -1
BEFORE_ALL = -2
"""Revision of a row that was never written: older than any event."""


@dataclass(frozen=True, slots=True)
class OrderKeys:
    """Keys of n writes. Shape: (n,) each. Unit of time: microseconds since the epoch, 0 for none.

    `source` numbers a partition; `ranks` (of the function that compares) puts the numbers in
    order.
    """

    revision: NDArray[np.int64]
    time_us: NDArray[np.int64]
    source: NDArray[np.int32]
    offset: NDArray[np.int64]

    def take(self, rows: NDArray[np.integer] | slice) -> OrderKeys:
        """The keys at these positions."""
        return OrderKeys(
            self.revision[rows], self.time_us[rows], self.source[rows], self.offset[rows]
        )


def source_ranks(partitions: Sequence[Partition]) -> NDArray[np.int64]:
    """The rank of each partition, given in order of registration. Shape: (len(partitions),)."""

    def position(number: int) -> tuple[bool, str, int]:
        partition = partitions[number]
        return (
            partition.is_kafka,
            partition.topic * partition.is_kafka,
            (partition.number if partition.is_kafka else number),
        )

    ranks = np.empty(len(partitions), np.int64)
    ranks[sorted(range(len(partitions)), key=position)] = np.arange(len(partitions))
    return ranks


def compare(a: OrderKeys, b: OrderKeys, ranks: NDArray[np.int64]) -> NDArray[np.int8]:
    """1 where a is newer than b, -1 where it is older, 0 where they are the same write. Shape: (n,)."""
    sign = _sign(a.revision, b.revision)
    for left, right in (
        (a.time_us, b.time_us),
        (ranks[a.source], ranks[b.source]),
        (a.offset, b.offset),
    ):
        tied = np.flatnonzero(sign == 0)
        if not tied.size:
            break
        sign[tied] = _sign(left[tied], right[tied])
    return sign


def _sign(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int8]:
    # A difference of two int64 can overflow; two comparisons cannot.
    return (a > b).astype(np.int8) - (a < b).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of n writes, each taken in its turn. Shape: (n,) of bool.

    `is_newest`: still the newest of its row after all of them. `is_redelivery`: the same write
    again. `is_stale`: older than what was known. The rest was accepted and then overtaken.
    """

    is_newest: Flags
    is_redelivery: Flags
    is_stale: Flags


def judge(rows: Rows, keys: OrderKeys, stored: OrderKeys, ranks: NDArray[np.int64]) -> Judgement:
    """Judge writes to rows in order of arrival; `stored` is the newest key known of each write's row.

    The answer does not depend on where the batch was cut.
    """
    sign = compare(keys, stored, ranks)
    judged = Judgement(sign > 0, sign == 0, sign < 0)
    by_row = np.argsort(rows, kind="stable")
    is_repeat = np.zeros(rows.size + 1, np.bool_)
    is_repeat[1:-1] = rows[by_row[1:]] == rows[by_row[:-1]]
    at = np.flatnonzero(is_repeat[1:] | is_repeat[:-1])
    if at.size:
        # Only rows that are written more than once need to know in which order.
        _judge_repeats(
            judged, by_row[at], is_repeat[at], sign, _dense_rank(keys.take(by_row[at]), ranks)
        )
    return judged


def _judge_repeats(
    judged: Judgement,
    at: NDArray[np.int64],
    is_repeat: Flags,
    sign: NDArray[np.int8],
    rank: NDArray[np.int64],
) -> None:
    """Judge the writes `at`, grouped by row and in order of arrival within each group.

    `is_repeat` says which of them continue a group; `rank` orders their keys.
    """
    level = np.where(sign[at] > 0, rank + 1, 0)
    group = np.cumsum(~is_repeat)
    span = level.size + 2
    highest = np.maximum.accumulate(level + group * span) - group * span
    highest_before = np.where(is_repeat, np.roll(highest, 1), 0)
    is_last = np.append(~is_repeat[1:], np.True_)
    highest_of_all = highest[is_last][group - 1]
    is_accepted = level > highest_before
    is_redelivery = (level == highest_before) & ((level > 0) | (sign[at] == 0))
    judged.is_newest[at] = is_accepted & (level == highest_of_all)
    judged.is_redelivery[at] = is_redelivery
    judged.is_stale[at] = ~is_accepted & ~is_redelivery


def _dense_rank(keys: OrderKeys, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … in order of the keys, equal for equal keys. Shape: (n,)."""
    columns = (keys.offset, ranks[keys.source], keys.time_us, keys.revision)
    order = np.lexsort(columns)
    is_new = np.zeros(order.size, np.bool_)
    for column in columns:
        ordered = column[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
    rank = np.empty(order.size, np.int64)
    rank[order] = np.cumsum(is_new)
    return rank
