"""The messages of confluent-kafka as columns."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
from confluent_kafka import Message

from monitor.events import Partition, Records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_NO_TIME = -1
_time_of = itemgetter(1)


class Columns:
    """Turns messages of these partitions into records, and keeps their order."""

    def __init__(self, places: Sequence[Partition]) -> None:
        self._places = tuple(places)
        # A message is found by its topic's base and its number: no name is looked up for it.
        self._base: dict[str | None, int] = {}
        size = 0
        for topic in dict.fromkeys(place.topic for place in places):
            self._base[topic] = size
            size += 1 + max(place.number for place in places if place.topic == topic)
        self._seats = np.zeros(size, np.int64)
        for index, place in enumerate(places):
            self._seats[self._base[place.topic] + place.number] = index

    def records(self, messages: Sequence[Message]) -> Records:
        """As columns. Kafka's milliseconds become microseconds."""
        count = len(messages)
        timestamps = np.fromiter(map(_time_of, map(Message.timestamp, messages)), np.int64, count)
        index = self._seats[self._codes(messages)]
        is_present = np.bincount(index, minlength=len(self._places)) > 0
        return Records(
            values=list(map(Message.value, messages)),
            keys=list(map(Message.key, messages)),
            offsets=np.fromiter(map(Message.offset, messages), np.int64, count),
            timestamps_us=np.where(timestamps < 0, _NO_TIME, timestamps * 1_000),
            partition_index=(np.cumsum(is_present) - 1)[index],
            partitions=tuple(self._places[at] for at in np.flatnonzero(is_present)),
        )

    def _codes(self, messages: Sequence[Message]) -> NDArray[np.int64]:
        codes = np.fromiter(map(Message.partition, messages), np.int64, len(messages))
        if len(self._base) > 1:
            topics = map(Message.topic, messages)
            codes += np.fromiter(map(self._base.__getitem__, topics), np.int64, len(messages))
        return codes


def after(records: Records) -> Mapping[Partition, int]:
    """Where each partition goes on behind these records."""
    last = np.zeros(len(records.partitions), np.int64)
    # Of repeated places the last one stays, and offsets only grow.
    last[records.partition_index] = records.offsets
    return dict(zip(records.partitions, (last + 1).tolist(), strict=True))
