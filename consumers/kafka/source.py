"""Topics and partitions as one source.

The positions are ours: a consumer is placed at them with assign and seek, and thrown away after any
exception, because kafka-python's poll() may never return after one. A new one goes on at the same
positions, so nothing is lost and nothing read twice that was handed out.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition
from kafka.errors import GroupAuthorizationFailedError, KafkaError, KafkaTimeoutError

from consumers.errors import SourceError, UsageError
from consumers.kafka import ends, faults, layout
from consumers.kafka.client import POLL_RECORDS_MAX, connect
from consumers.kafka.committer import CLOSE_MS, Committer
from consumers.kafka.presence import Presence
from consumers.kafka.probe import probe
from consumers.kafka.records import columns, letters
from consumers.kafka.starting import Lost, begin, named
from consumers.kafka.watchdog import Watchdog
from consumers.ports import Polled, Position
from monitor.events import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.config import KafkaSettings
    from consumers.kafka.ends import Taken
    from monitor.events import Records

WAIT_MS = 250
AWAY_WAIT_S = 1.0
POLL_BYTES_MAX = 64 << 20
TRIES_MAX = 3

log = logging.getLogger(__name__)


class KafkaSource:
    """The topics of the settings as a Source.

    `until_end`: it ends at the end offsets seen at the start, and a broker that is away is an
    error; otherwise it is waited for. `skip_lost`: go on where retention has deleted unread
    records, and leave a dead letter for the gap.
    """

    def __init__(
        self, settings: KafkaSettings, *, until_end: bool = False, skip_lost: bool = False
    ) -> None:
        if not settings.topics:
            raise UsageError(
                "no topic is named; use --topic, or kafka.topics in the configuration"
            )
        self._settings = settings
        self._until_end, self._skip_lost = until_end, skip_lost
        self._group_id = settings.group_id
        self._consumer: Any = None
        self._positions: dict[Partition, Position] = {}
        self._ends: dict[Partition, int] | None = None
        self._lost: list[Lost] = []
        self._news: set[Partition] = set()
        self._looked_at = 0.0
        self._tries = faults.Tries()
        self._presence = Presence(settings.bootstrap_servers)
        self._committer = Committer()
        self._watchdog = Watchdog(settings.stuck_s)

    def seek(self, positions: Mapping[Partition, Position]) -> None:
        """Start at these positions; those of other topics and of files do not matter.

        Raises: SourceError where they cannot be read from. A broker that is away is waited for in
        `poll`, unless the source is to end.
        """
        self._positions = {
            place: position
            for place, position in positions.items()
            if place.topic in self._settings.topics
        }
        self._open()

    def poll(self, records_max: int) -> Polled:
        """What came since the last poll, or within a quarter of a second. Raises: SourceError."""
        if not self._lost and self._consumer is None and not self._open():
            return Polled(columns({}), {})
        before = dict(self._positions)
        records = self._take_lost() if self._lost else self._take(records_max)
        positions = {
            place: position
            for place, position in self._positions.items()
            if place in self._news or before[place] != position
        }
        if positions:
            self._news.clear()
        return Polled(records, positions, self._is_exhausted())

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        """Tell the group's offsets to the broker, now and then."""
        if self._group_id:
            self._committer.note(positions, self._consumer)

    def end_offsets(self) -> Mapping[Partition, int]:
        """The ends the client has heard of with its last fetches."""
        if self._consumer is None:
            return {}
        found = {place: self._consumer.highwater(_place(place)) for place in self._positions}
        return {place: end for place, end in found.items() if end is not None}

    def close(self) -> None:
        """Tell the last offsets and let go of the sockets. May be called twice."""
        self._committer.finish(self._consumer)
        self._drop()
        self._watchdog.close()

    def _open(self) -> bool:
        """A consumer at our positions; whether there is one. Raises: SourceError."""
        with self._watchdog.watching():
            fault = probe(self._settings)
            if fault:
                return self._wait(fault.text, is_away=fault.is_away)
            try:
                self._consumer = connect(self._settings, self._group_id)
                self._place()
            except KafkaError as error:
                self._drop()
                if fatal := faults.fatal(error, self._settings):
                    raise fatal from error
                if isinstance(error, KafkaTimeoutError) and not probe(self._settings):
                    raise faults.refused(self._settings) from error
                text = f"{self._settings.bootstrap_servers}: {error}"
                return self._wait(text, is_away=faults.is_passing(error))
        self._presence.meet()
        return True

    def _wait(self, text: str, *, is_away: bool) -> bool:
        if self._until_end or not is_away:
            raise SourceError(text)
        self._presence.miss(text)
        threading.Event().wait(AWAY_WAIT_S)
        return False

    def _mind_silence(self) -> None:
        """Nothing came: is there nothing, or nobody? The client would wait for ever without a word."""
        if not self._presence.is_silent:
            return
        if fault := probe(self._settings):
            self._presence.miss(fault.text)
        elif self._presence.is_away:
            # What has happened to the topics meanwhile is looked at with a new client.
            self._drop()
        else:
            self._presence.hear()

    def _place(self) -> None:
        """Assign every partition and seek. Raises: SourceError, KafkaError."""
        places = layout.partitions(self._consumer, self._settings.topics)
        self._forget_vanished(places)
        found = layout.extents(self._consumer, places)
        beginning = begin(found, self._positions, self._settings.start, skip_lost=self._skip_lost)
        self._lost += beginning.lost
        self._news |= set(found) - set(self._positions)
        self._positions |= beginning.positions
        if self._until_end and self._ends is None:
            self._ends = {place: extent.end for place, extent in found.items()}
        self._consumer.assign([_place(each) for each in places])
        for place in places:
            self._consumer.seek(_place(place), self._positions[place].next_offset)
        self._looked_at = time.monotonic()

    def _forget_vanished(self, places: list[Partition]) -> None:
        """A topic never loses a partition, so it is another topic. Raises: SourceError."""
        gone = [each for each in self._positions if each not in places]
        if gone:
            raise SourceError(
                f"{named(gone[0])} is in the store, but the topic has it no more: it was deleted and created "
                "anew; read it into another --store"
            )

    def _take(self, records_max: int) -> Records:
        """Up to `records_max` records, and `self._positions` after them. Raises: SourceError."""
        taken: Taken = {}
        try:
            with self._watchdog.watching():
                self._look_for_partitions()
                self._fetch(taken, records_max)
                if not taken:
                    self._mind_silence()
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, this client is not to be trusted now
            self._recover(error)
        return columns(self._within_ends(taken))

    def _fetch(self, taken: Taken, room: int) -> None:
        """What the client has, and what comes within a quarter of a second where it has nothing."""
        room_bytes, wait_ms = POLL_BYTES_MAX, WAIT_MS
        while room > 0 and room_bytes > 0:
            found = self._consumer.poll(wait_ms, min(room, POLL_RECORDS_MAX))
            if not found:
                break
            wait_ms = 0
            for at, batch in found.items():
                room -= len(batch)
                room_bytes -= sum(max(0, each.serialized_value_size) for each in batch)
                place = Partition(at.topic, at.partition)
                taken.setdefault(place, []).extend(batch)
                self._move(place, batch[-1].offset + 1)
            self._presence.meet()
        # Markers of transactions and what compaction left out move the position too.
        # Without a limit the client would wait here for a broker that is away.
        for place in self._positions:
            self._move(place, self._consumer.position(_place(place), timeout_ms=0))

    def _move(self, place: Partition, next_offset: int | None) -> None:
        position = self._positions[place]
        if next_offset is not None and next_offset > position.next_offset:
            self._positions[place] = Position(next_offset, position.fingerprint)

    def _within_ends(self, taken: Taken) -> Taken:
        """Without what came after the end that was seen at the start."""
        if self._ends is None:
            return taken
        done = ends.reached(self._positions, self._ends)
        self._positions |= done
        if self._consumer is not None:
            self._consumer.pause(*map(_place, done))
        return ends.cut(taken, self._ends)

    def _is_exhausted(self) -> bool:
        known = self._ends
        at_end = known is not None and len(ends.reached(self._positions, known)) == len(known)
        return at_end and not self._lost

    def _look_for_partitions(self) -> None:
        """Now and then: are there new partitions, is it still the same topic? Raises: SourceError."""
        if time.monotonic() - self._looked_at < self._settings.refresh_s or self._until_end:
            return
        self._looked_at = time.monotonic()
        try:
            places = layout.partitions(self._consumer, self._settings.topics)
        except SourceError as error:
            # Right after a broker has started it may not know its topics yet.
            self._presence.miss(str(error))
            return
        same = all(
            layout.topic_id(self._consumer, place.topic) == position.fingerprint
            for place, position in self._positions.items()
        )
        if not same or set(places) != set(self._positions):
            self._place()

    def _recover(self, error: Exception) -> None:
        """Throw the client away; say so, or leave out what cannot be read. Raises: SourceError."""
        self._drop()
        if fatal := faults.fatal(error, self._settings):
            raise fatal from error
        if isinstance(error, GroupAuthorizationFailedError):
            log.warning("the group %s is not allowed: lag tools will be blind", self._group_id)
            self._group_id = None
            return
        tries = self._tries.count(error, self._positions)
        if tries == 1:
            log.warning("the Kafka client failed, a new one goes on: %r", error)
        if tries > TRIES_MAX and not faults.is_passing(error):
            self._leave_out(error)

    def _leave_out(self, error: Exception) -> None:
        """A damaged batch becomes a dead letter, and reading goes on after it. Raises: SourceError."""
        lost = faults.lost(error, self._positions)
        if lost is None:
            raise SourceError(
                f"the client failed {TRIES_MAX + 1} times at the same place: {error!r}"
            ) from error
        log.error("%s: left out, as a dead letter", lost.value.error)
        self._lost.append(lost)

    def _take_lost(self) -> Records:
        """What cannot be read, in one poll with the positions after it."""
        lost, self._lost = self._lost, []
        for each in lost:
            self._news.add(each.partition)
            self._move(each.partition, each.next_offset)
        return letters(lost)

    def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
            except Exception as error:  # noqa: BLE001 - it is of no use any more
                log.warning("the Kafka client did not close: %s", error)


def _place(partition: Partition) -> Any:  # noqa: ANN401 - untyped library
    return TopicPartition(partition.topic, partition.number)
