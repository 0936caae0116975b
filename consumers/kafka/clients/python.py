"""kafka-python behind the protocol: pure Python, always installed.

After an exception its poll() may never return, so a fault behind records ends the client's use.
"""

from __future__ import annotations

import contextlib
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.structs import OffsetAndMetadata

from consumers.kafka import faults
from consumers.kafka.clients.protocol import CLOSE_S, LOOKUP_S, Taken, Topic
from consumers.kafka.clients.python_faults import fault, translated
from consumers.kafka.clients.python_settings import common
from monitor.events import Partition, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from consumers.config import KafkaSettings

Batches = dict[TopicPartition, list[Any]]

MESSAGE_BYTES_MAX = 1 << 30
POLL_RECORDS_MAX = 5_000
_NO_TIME = -1

# A record is a tuple, and taking a place of it is what a field's name comes to, only faster.
_value_of, _key_of, _offset_of, _timestamp_of, _size_of = (
    itemgetter(ConsumerRecord._fields.index(name))
    for name in ("value", "key", "offset", "timestamp", "serialized_value_size")
)


class PythonClient:
    """A KafkaConsumer that is placed by hand. Raises: ClientFault, SourceError."""

    def __init__(self, settings: KafkaSettings, group_id: str | None) -> None:
        self._settings = settings
        self._fault: Exception | None = None
        with translated(settings):
            self._consumer = _connect(settings, group_id)

    def topics(self, names: Sequence[str]) -> Mapping[str, Topic]:
        """Those of these topics that exist."""
        found = {}
        cluster = self._consumer._cluster  # noqa: SLF001 - nothing public tells, but a second client
        if self._consumer.assignment():
            self._refresh(cluster)
        for name in names:
            with translated(self._settings):
                numbers = self._consumer.partitions_for_topic(name)
            if not numbers:
                self._ask_for(name, cluster)
            if name in cluster.unauthorized_topics:
                raise faults.not_allowed(f"topic {name}")
            if numbers:
                topic_id = cluster.topic_id(name)
                found[name] = Topic(topic_id.hex if topic_id else None, sorted(numbers))
        return found

    def topic_names(self) -> Sequence[str]:
        """Every topic that may be read."""
        with translated(self._settings):
            return sorted(self._consumer.topics())

    def extents(self, places: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """The first offset of each partition, and the one after the last that may be read."""
        asked = {place: _named(place) for place in places}
        with translated(self._settings):
            first = self._consumer.beginning_offsets(list(asked.values()), LOOKUP_S * 1_000)
            end = self._consumer.end_offsets(list(asked.values()), LOOKUP_S * 1_000)
        return {place: (first[each], end[each]) for place, each in asked.items()}

    def place(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on."""
        with translated(self._settings):
            self._consumer.assign([_named(place) for place in offsets])
            for place, offset in offsets.items():
                self._consumer.seek(_named(place), offset)

    def poll(self, records_max: int, bytes_max: int, wait_s: float) -> Taken:
        """What is there; where nothing is, what comes within `wait_s`."""
        if self._fault:
            raise self._fault
        batches: Batches = {}
        moved: dict[Partition, int] = {}
        try:
            if self._collect(batches, records_max, bytes_max, wait_s):
                moved = self._positions()
        except Exception as error:
            found = fault(error, self._settings)
            if not batches:
                raise found from error
            self._fault = found
        moved = {_place(at): batch[-1].offset + 1 for at, batch in batches.items()} | moved
        return Taken(_columns(batches), moved)

    def rest(self, places: Sequence[Partition]) -> None:
        """Read no more of these."""
        with translated(self._settings):
            self._consumer.pause(*map(_named, places))

    def ends(self) -> Mapping[Partition, int]:
        """The ends of the partitions as the last fetches told."""
        found = {at: self._consumer.highwater(at) for at in self._consumer.assignment()}
        return {_place(at): end for at, end in found.items() if end is not None}

    def commit(self, offsets: Mapping[Partition, int], answered: Callable[[object], None]) -> None:
        """Send the group's offsets."""

        def callback(_: object, response: object) -> None:
            answered(response if isinstance(response, Exception) else None)

        with translated(self._settings):
            self._consumer.commit_async(_offsets(offsets), callback=callback)

    def commit_now(self, offsets: Mapping[Partition, int]) -> None:
        """Send the group's offsets and wait for the answer, a few seconds at the most."""
        with translated(self._settings):
            self._consumer.commit(_offsets(offsets), timeout_ms=CLOSE_S * 1_000)

    def committed(self, places: Sequence[Partition]) -> Mapping[Partition, int]:
        """The group's offsets, of the partitions that have any."""
        with translated(self._settings):
            found = {
                place: self._consumer.committed(_named(place), timeout_ms=CLOSE_S * 1_000)
                for place in places
            }
        return {place: offset for place, offset in found.items() if offset is not None}

    def close(self) -> None:
        """Let go of the sockets, within a few seconds."""
        with translated(self._settings):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_S * 1_000)

    def _ask_for(self, name: str, cluster: Any) -> None:  # noqa: ANN401 - untyped library
        """Ask for a topic by its name: among all of them a broker leaves out what may not be seen."""
        with contextlib.suppress(ValueError):  # no topic can have such a name
            cluster.set_topics([name])
            self._refresh(cluster)

    def _refresh(self, cluster: Any) -> None:  # noqa: ANN401 - untyped library
        """Ask for the assigned topics anew; what the client knows of them may be old."""
        with translated(self._settings):
            if cluster.metadata_refresh_in_progress:  # its question is older than ours
                self._consumer._net.run(cluster.refresh_metadata)  # noqa: SLF001 - as above
            self._consumer._net.run(cluster.refresh_metadata)  # noqa: SLF001 - as above

    def _collect(self, batches: Batches, room: int, room_bytes: int, wait_s: float) -> bool:
        """Fill `batches`; whether the client has no more."""
        wait_ms = wait_s * 1_000
        while room > 0 and room_bytes > 0:
            asked = min(room, POLL_RECORDS_MAX)
            count, size = _gather(self._consumer.poll(wait_ms, asked), batches)
            if count < asked:
                # That was all it has. Asked again it would time out, and what it raises inside keeps the
                # frames of its callers, with all they hold, until cycles are looked for.
                return True
            room -= count
            room_bytes -= size
            wait_ms = 0
        return False

    def _positions(self) -> dict[Partition, int]:
        # Markers of transactions and what compaction left out move the position too.
        # Without a limit the client would wait here for a broker that is away.
        found = {}
        for at in self._consumer.assignment():
            if (offset := self._consumer.position(at, timeout_ms=0)) is not None:
                found[_place(at)] = offset
        return found


def _connect(settings: KafkaSettings, group_id: str | None) -> Any:  # noqa: ANN401 - untyped library
    return KafkaConsumer(
        **common(settings),
        group_id=group_id,
        # Positions are ours: the client neither stores nor invents any. Anything but earliest and
        # latest makes an offset out of range an error.
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        metadata_max_age_ms=max(1, round(settings.refresh_s * 1_000)),
        max_poll_records=POLL_RECORDS_MAX,
        max_partition_fetch_bytes=4 << 20,
        receive_message_max_bytes=MESSAGE_BYTES_MAX,
    )


def _gather(found: Batches, batches: Batches) -> tuple[int, int]:
    """Add what was found to `batches`: how many records, and bytes of their values."""
    count = size = 0
    for at, batch in found.items():
        count += len(batch)
        size += sum(map(_size_of, batch))
        if at in batches:
            batches[at] += batch
        else:
            batches[at] = batch
    return count, size


def _columns(batches: Batches) -> Records:
    """Records in the order of their partitions. Kafka's milliseconds become microseconds."""
    counts = [len(batch) for batch in batches.values()]
    each = list(chain.from_iterable(batches.values()))
    count = len(each)
    timestamps = np.fromiter(map(_timestamp_of, each), np.int64, count)
    return Records(
        values=list(map(_value_of, each)),
        keys=list(map(_key_of, each)),
        offsets=np.fromiter(map(_offset_of, each), np.int64, count),
        timestamps_us=np.where(timestamps < 0, _NO_TIME, timestamps * 1_000),
        partition_index=np.repeat(np.arange(len(counts)), counts),
        partitions=tuple(map(_place, batches)),
    )


def _offsets(offsets: Mapping[Partition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {_named(place): OffsetAndMetadata(at, "", -1) for place, at in offsets.items()}


def _named(place: Partition) -> TopicPartition:
    return TopicPartition(place.topic, place.number)


def _place(at: TopicPartition) -> Partition:
    return Partition(at.topic, at.partition)
