"""The client's records as columns."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.events import Records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.kafka.starting import Lost
    from monitor.events import Partition

_value_of, _key_of = attrgetter("value"), attrgetter("key")
_offset_of, _timestamp_of = attrgetter("offset"), attrgetter("timestamp")
_NO_TIME = -1


def columns(taken: Mapping[Partition, Sequence[Any]]) -> Records:
    """Records in the order of their partitions. Kafka's milliseconds become microseconds."""
    partitions = tuple(taken)
    counts = [len(each) for each in taken.values()]
    each = list(chain.from_iterable(taken.values()))
    count = len(each)
    timestamps = np.fromiter(map(_timestamp_of, each), np.int64, count)
    return Records(
        values=list(map(_value_of, each)),
        keys=list(map(_key_of, each)),
        offsets=np.fromiter(map(_offset_of, each), np.int64, count),
        timestamps_us=np.where(timestamps < 0, _NO_TIME, timestamps * 1_000),
        partition_index=np.repeat(np.arange(len(counts)), counts),
        partitions=partitions,
    )


def letters(lost: Sequence[Lost]) -> Records:
    """Values that cannot be read, at their offsets, as records that will be rejected."""
    partitions = tuple(dict.fromkeys(each.partition for each in lost))
    return Records(
        values=[each.value for each in lost],
        keys=[None] * len(lost),
        offsets=np.array([each.offset for each in lost], np.int64),
        timestamps_us=np.full(len(lost), _NO_TIME, np.int64),
        partition_index=np.array([partitions.index(each.partition) for each in lost], np.int64),
        partitions=partitions,
    )
