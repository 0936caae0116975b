"""What a broker has, for `labelwatch doctor`. It reads, and leaves no trace: nothing is committed."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import msgspec

from consumers.errors import SourceError
from consumers.kafka import faults, layout
from consumers.kafka.probe import probe
from consumers.kafka.source import KafkaSource
from consumers.ports import Position
from monitor.events import LargeValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from consumers.config import KafkaSettings
    from consumers.kafka.clients.protocol import Connect
    from consumers.kafka.starting import Extent
    from monitor.events import Partition

TAIL = 20
"""Offsets before the end that are read: the last ones may be markers of transactions, no records."""
TAIL_S = 10.0


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What a topic holds, what the group was told of it, and what its last records are like.

    `told` is None where nobody may ask. `newest_us` is -1 where records have no time, and None
    where there are none. `damage` is the text of a record that cannot be read.
    """

    extents: Mapping[Partition, Extent]
    told: Mapping[Partition, int] | None
    newest_us: int | None
    damage: str | None


class Survey:
    """A look at topics. Raises: SourceError, UsageError, in the words of `labelwatch run`."""

    def __init__(self, settings: KafkaSettings, connect: Connect) -> None:
        self._settings, self._connect = settings, connect
        if wrong := probe(settings):
            raise SourceError(wrong.text)
        with self._in_words():
            self._client = connect(settings, settings.group_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(faults.ClientFault):
            self._client.close()

    def topic(self, name: str) -> TopicFacts:
        """What a topic holds. Raises: SourceError."""
        with self._in_words():
            places = layout.partitions(self._client, [name])
            extents = layout.extents(self._client, places)
        newest_us, damage = self._tail(name, extents)
        return TopicFacts(extents, self._told(list(places)), newest_us, damage)

    def refusal(self, name: str, stored: Mapping[Partition, Position]) -> SourceError | None:
        """Why a run would not go on at these positions; None where it would."""
        with contextlib.closing(self._source(name)) as source:
            try:
                source.seek(stored)
            except SourceError as error:
                return error
        return None

    def _tail(
        self, name: str, extents: Mapping[Partition, Extent]
    ) -> tuple[int | None, str | None]:
        """The newest time among the last records, and what is wrong with one of them."""
        newest_us, damage = None, None
        late = time.monotonic() + TAIL_S
        with contextlib.closing(self._source(name)) as source:
            source.seek(
                {
                    place: Position(max(each.beginning, each.end - TAIL), each.topic_id)
                    for place, each in extents.items()
                }
            )
            while time.monotonic() < late:
                polled = source.poll(TAIL * len(extents))
                records = polled.records
                if len(records):
                    newest_us = max(int(records.timestamps_us.max()), newest_us or -1)
                lost = [each for each in records.values if isinstance(each, LargeValue)]
                damage = next((each.error for each in lost if each.error), damage)
                if polled.is_exhausted:
                    return newest_us, damage
        return newest_us, damage or f"its last records did not come within {TAIL_S:g} s"

    def _told(self, places: Sequence[Partition]) -> Mapping[Partition, int] | None:
        if self._settings.group_id is None:
            return {}
        try:
            return self._client.committed(places)
        except faults.ClientFault:
            return None

    def _source(self, name: str) -> KafkaSource:
        only = msgspec.structs.replace(self._settings, topics=[name], group_id=None)
        return KafkaSource(only, self._connect, until_end=True)

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except faults.ClientFault as error:
            if isinstance(error, faults.Unanswered) and not probe(self._settings):
                raise faults.refused(self._settings) from error
            raise SourceError(f"{self._settings.bootstrap_servers}: {error}") from error
