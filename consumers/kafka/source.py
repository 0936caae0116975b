"""Topics and partitions as one source.

The positions are ours: a client is placed at them, and thrown away after any fault, because one that
has failed may never return from its next poll. A new one goes on at the same positions, so nothing is
lost and nothing read twice that was handed out.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from consumers.errors import SourceError, UsageError
from consumers.kafka import ends, faults, layout
from consumers.kafka.committer import Committer
from consumers.kafka.presence import Presence
from consumers.kafka.probe import probe
from consumers.kafka.records import letters
from consumers.kafka.starting import Lost, begin
from consumers.kafka.verifier import Verifier
from consumers.kafka.watchdog import Watchdog
from consumers.ports import Polled, Position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.config import KafkaSettings
    from consumers.kafka.clients.protocol import Client, Connect, Taken
    from monitor.events import Partition, Records

WAIT_S = 0.25
AWAY_WAIT_S = 1.0
POLL_BYTES_MAX = 64 << 20
TRIES_MAX = 3

log = logging.getLogger(__name__)


class KafkaSource:
    """The topics of the settings as a Source, read with the client that `connect` makes.

    `until_end`: it ends at the end offsets seen at the start, and a broker that is away then is an
    error; one that goes away later is waited for, but not for ever. `skip_lost`: go on where
    retention has deleted unread records, and leave a dead letter for the gap.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        connect: Connect,
        *,
        until_end: bool = False,
        skip_lost: bool = False,
    ) -> None:
        if not settings.topics:
            raise UsageError(
                "no topic is named; use --topic, or kafka.topics in the configuration"
            )
        self._settings, self._connect = settings, connect
        self._until_end, self._skip_lost = until_end, skip_lost
        self._group_id = settings.group_id
        self._client: Client | None = None
        self._positions: dict[Partition, Position] = {}
        self._ends: dict[Partition, int] | None = None
        self._lost: list[Lost] = []
        self._news: set[Partition] = set()
        self._looked_at = 0.0
        self._tries = faults.Tries()
        self._presence = Presence(settings.bootstrap_servers)
        self._committer = Committer()
        self._verifier = Verifier(settings.topics)
        self._watchdog = Watchdog(settings.stuck_s)

    def check(self) -> None:
        """Raise now what `seek` would raise for a store without positions. Raises: SourceError."""
        self._open()

    def seek(self, positions: Mapping[Partition, Position]) -> None:
        """Start at these positions; those of other topics and of files do not matter.

        Raises: SourceError where they cannot be read from. A broker that is away is waited for in
        `poll`, unless the source is to end.
        """
        stored = {
            place: position
            for place, position in positions.items()
            if place.topic in self._settings.topics
        }
        if stored or self._client is None:
            self._drop()
            self._positions, self._lost, self._news = stored, [], set()
            self._open()

    def poll(self, records_max: int) -> Polled:
        """What came since the last poll, or within a quarter of a second. Raises: SourceError."""
        if not self._lost and self._client is None and not self._open():
            return Polled(letters([]), {})
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
            self._committer.note(positions, self._client)

    def end_offsets(self) -> Mapping[Partition, int]:
        """The ends the client has heard of with its last fetches."""
        try:
            return {} if self._client is None else self._client.ends()
        except faults.ClientFault:  # the next poll meets it, too
            return {}

    @property
    def away(self) -> str | None:
        """Why no broker answers, as of the last poll; None where one does."""
        return self._presence.away

    def close(self) -> None:
        """Tell the last offsets, where somebody is there, and let go of the sockets. May be called twice."""
        if self._group_id and not self._presence.is_away:
            self._committer.finish(self._client)
        self._drop()
        self._watchdog.close()

    def _open(self) -> bool:
        """A client at our positions; whether there is one. Raises: SourceError."""
        with self._watchdog.watching():
            if fault := probe(self._settings):
                return self._wait(fault.text, is_away=fault.is_away)
            try:
                self._client = self._connect(self._settings, self._group_id)
                self._place(self._client)
            except faults.ClientFault as error:
                self._drop()
                is_new = isinstance(error, faults.Unanswered) and not self._looked_at
                if is_new and not probe(self._settings):
                    raise faults.refused(self._settings) from error
                text = f"{self._settings.bootstrap_servers}: {error}"
                return self._wait(text, is_away=isinstance(error, faults.Away))
        self._presence.meet()
        return True

    def _wait(self, text: str, *, is_away: bool) -> bool:
        if not is_away or (self._until_end and self._ends is None):
            raise SourceError(text)
        self._miss(text)
        threading.Event().wait(AWAY_WAIT_S)
        return False

    def _miss(self, text: str) -> None:
        """Nobody is there. Raises: SourceError where a run that is to end has waited long enough."""
        self._presence.miss(text)
        if self._until_end and self._presence.away_s > self._settings.away_s:
            raise SourceError(
                f"{text}. Waited {self._settings.away_s:g} s (kafka.away_s) for the rest of the topics; what "
                "was read is committed: run again to go on"
            )

    def _mind_silence(self) -> None:
        """Nothing came: is there nothing, or nobody? The client would wait for ever without a word."""
        if not self._presence.is_silent:
            return
        if fault := probe(self._settings):
            self._miss(fault.text)
        elif self._presence.is_away:
            # What has happened to the topics meanwhile is looked at with a new client.
            self._drop()
        else:
            self._presence.hear()

    def _place(self, client: Client) -> None:
        """Read every partition from its position on. Raises: SourceError, ClientFault."""
        places = layout.partitions(client, self._settings.topics)
        found = layout.extents(client, places)
        beginning = begin(found, self._positions, self._settings.start, skip_lost=self._skip_lost)
        for each in beginning.lost:
            log.error("%s: left out, as a dead letter", each.value.error)
        self._lost += beginning.lost
        self._news |= set(found) - set(self._positions)
        self._positions |= beginning.positions
        if self._until_end and self._ends is None:
            self._ends = {place: extent.end for place, extent in found.items()}
        client.place({place: self._positions[place].next_offset for place in places})
        self._looked_at = time.monotonic()

    def _take(self, records_max: int) -> Records:
        """Up to `records_max` records, and `self._positions` after them. Raises: SourceError."""
        client = self._client
        assert client is not None
        try:
            with self._watchdog.watching():
                if self._have_topics_changed(client):
                    self._drop()
                    return letters([])
                taken = client.poll(records_max, POLL_BYTES_MAX, WAIT_S)
                if len(taken.records):
                    self._presence.meet()
                    self._verifier.verify(client, self._positions)
                records = self._accept(client, taken)
                if not len(taken.records):
                    self._mind_silence()
                return records
        except faults.ClientFault as fault:
            self._recover(fault)
        return letters([])

    def _accept(self, client: Client, taken: Taken) -> Records:
        """What is handed out of it, with `self._positions` after it. Raises: ClientFault, with neither."""
        positions = ends.moved(self._positions, taken.next_offsets)
        if self._ends is not None:
            # What came after the end that was seen at the start is left for another run.
            done = ends.reached(positions, self._ends)
            client.rest(list(done))
            positions |= done
            taken = replace(taken, records=ends.cut(taken.records, self._ends))
        self._positions = positions
        return taken.records

    def _is_exhausted(self) -> bool:
        if self._ends is None or self._lost:
            return False
        return len(ends.reached(self._positions, self._ends)) == len(self._ends)

    def _have_topics_changed(self, client: Client) -> bool:
        """Whether there are new partitions, or other topics of the same names; asked now and then."""
        if time.monotonic() - self._looked_at < self._settings.refresh_s or self._until_end:
            return False
        self._looked_at = time.monotonic()
        try:
            places = layout.partitions(client, self._settings.topics)
        except SourceError as error:
            # Right after a broker has started it may not know its topics yet.
            self._presence.miss(str(error))
            return False
        return places != {place: each.fingerprint for place, each in self._positions.items()}

    def _recover(self, fault: faults.ClientFault) -> None:
        """Throw the client away; say so, or leave out what cannot be read. Raises: SourceError."""
        self._drop()
        if isinstance(fault, faults.GroupRefused):
            log.warning("the group %s is not allowed: lag tools will be blind", self._group_id)
            self._group_id = None
            return
        tries = self._tries.count(fault, self._positions)
        if isinstance(fault, faults.Away):
            threading.Event().wait(AWAY_WAIT_S if tries > 1 else 0)
            # A try takes about a second.
            tries -= round(self._settings.away_s) if self._until_end else tries
        elif tries == 1 and not isinstance(fault, faults.OutOfRange):
            log.warning("the Kafka client failed, a new one goes on: %s", fault)
        if tries > TRIES_MAX:
            self._leave_out(fault)

    def _leave_out(self, fault: faults.ClientFault) -> None:
        """A damaged batch becomes a dead letter, and reading goes on after it. Raises: SourceError."""
        lost = faults.lost(fault, self._positions)
        if lost is None:
            raise SourceError(
                f"the client fails again and again at the same place: {fault}"
            ) from fault
        log.error("%s: left out, as a dead letter", lost.value.error)
        self._lost.append(lost)

    def _take_lost(self) -> Records:
        """What cannot be read, in one poll with the positions after it."""
        lost, self._lost = self._lost, []
        for each in lost:
            self._news.add(each.partition)
            position = self._positions[each.partition]
            offset = max(position.next_offset, each.next_offset)
            self._positions[each.partition] = replace(position, next_offset=offset)
        return letters(lost)

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except faults.ClientFault as fault:  # it is of no use any more
                log.warning("the Kafka client did not close: %s", fault)
