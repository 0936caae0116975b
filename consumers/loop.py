"""The loop: poll → read → step → commit → publish. One screen, one thread, from a record to a durable flag.

The offset is saved in the transaction of the state it produced, so whatever is read twice counts
once. A fault ends the run: state in memory may be ahead of the store, and only the store is the
truth.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from consumers import crash
from consumers.board import Board, Phase
from consumers.errors import SourceError
from consumers.observing import Laps, Stage
from consumers.store import BEFORE_ALL, INBOX, Arrival, Wanted
from consumers.store.letters import records_of
from consumers.sweeping import Sweep
from monitor.events import Reason
from monitor.fields import suggest_mapping
from monitor.parse import parse_leniently
from monitor.pipeline import read, step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from consumers.observing import Observer
    from consumers.outlet import Outlet
    from consumers.ports import Source
    from consumers.store import Store
    from monitor.decode import Decoder
    from monitor.events import Partition, Records, Rejection
    from monitor.state import State

REDRIVE_BYTES_MAX = 64 << 20

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Totals:
    """What a run has done so far."""

    records: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, records: Records, rejections: Sequence[Rejection]) -> None:
        """Count a batch."""
        self.records += len(records)
        self.rejected += len(rejections)
        self.reasons.update(str(rejection.reason) for rejection in rejections)


@dataclass(slots=True)
class Breaker:
    """Stops a run whose first records are nearly all rejected: the fields are most likely named otherwise.

    Raises: SourceError, before anything of the batch is stored.
    """

    is_armed: bool
    sample_size: int = 1_000
    share_max: float = 0.9
    _seen: int = 0
    _rejected: int = 0
    _samples: list[object] = field(default_factory=list)
    _first: Rejection | None = None

    def check(self, records: Records, rejections: list[Rejection], *, is_last: bool) -> None:
        """Count a batch; decide once enough records were seen, or all of them."""
        # A sender of the inbox has its answer already, and cannot end the run of the others.
        if not self.is_armed or INBOX in records.partitions:
            return
        is_stored = is_last and not len(records)
        room = self.sample_size - self._seen
        # What Kafka cannot hand out any more says nothing about the fields of the rest.
        readable = [each for each in rejections if each.reason is not Reason.UNREADABLE]
        early = [rejection for rejection in readable if rejection.position < room]
        self._seen += min(len(records) - len(rejections) + len(readable), room)
        self._rejected += len(early)
        self._first = self._first or (early[0] if early else None)
        values = (records.values[rejection.position] for rejection in early)
        self._samples += [parse_leniently(value) for value in values if isinstance(value, bytes)]
        if self._seen >= self.sample_size or is_last:
            self.is_armed = False
            if self._rejected > self.share_max * self._seen:
                raise SourceError(self._verdict(is_stored=is_stored))

    def _verdict(self, *, is_stored: bool) -> str:
        assert self._first is not None
        mapping = suggest_mapping([sample for sample in self._samples if sample])
        hint = (
            "this mapping would help: "
            + ", ".join(f'fields.{name} = "{path}"' for name, path in mapping.items())
            if mapping
            else "see what would be accepted with `labelwatch validate`"
        )
        end = "all are dead letters now" if is_stored else "the last batch was not stored"
        return (
            f"{self._rejected:,} of the first {self._seen:,} records were rejected, and {end}. "
            f"The first: {self._first.reason}: {self._first.error}. "
            f"{hint[0].upper()}{hint[1:]}. "
            "To keep them as dead letters and go on, use --keep-going"
        )


@dataclass(slots=True)
class Milestones:
    """What a run tells of itself in the log: what it rejects, and once each how far it has come."""

    has_committed: bool = False
    has_caught_up: bool = False

    def commit(self, records: Records, rejections: Sequence[Rejection]) -> None:
        """A batch is durable."""
        if not self.has_committed:
            self.has_committed = True
            log.info("first batch committed", extra={"records": len(records)})
        if rejections:
            reasons = Counter(str(each.reason) for each in rejections)
            log.info("records rejected", extra={"records": len(rejections), "reasons": reasons})

    def rest(self, source: Source, next_offsets: Mapping[Partition, int]) -> None:
        """Nothing came. Where the ends are known and reached, all there was is read."""
        if self.has_caught_up or not (ends := source.end_offsets()):
            return
        if all(next_offsets.get(place, 0) >= end for place, end in ends.items()):
            self.has_caught_up = True
            log.info("caught up", extra={"partitions": len(ends)})


@dataclass(frozen=True, slots=True)
class Line:
    """What a run works with: store, state that caches it, decoder; where it publishes, and what it tells."""

    store: Store
    state: State
    decoder: Decoder
    batch_size_max: int
    outlet: Outlet | None = None
    board: Board = field(default_factory=Board)
    observer: Observer | None = None


def run(
    line: Line,
    source: Source,
    breaker: Breaker,
    is_stopping: Callable[[], bool],
    after_commit: Callable[[Totals], None],
) -> Totals:
    """Follow a source until it ends or `is_stopping`. Raises: StoreError, SourceError."""
    totals, milestones = Totals(), Milestones()
    positions = line.store.positions(line.state)
    next_offsets = {place: position.next_offset for place, position in positions.items()}
    source.seek(positions)
    if line.observer:
        line.observer.loaded(line.state)
    if line.outlet:
        line.outlet.open()
    sweep = Sweep(line.store, line.state, line.observer)
    _tell(line, source, next_offsets)
    line.board.phase = Phase.RUNNING
    while not is_stopping():
        polled = source.poll(line.batch_size_max)
        crash.point("loop.polled")
        # A source that hands out old records again must not take the stored position back.
        positions = {
            place: each
            for place, each in polled.positions.items()
            if each.next_offset >= next_offsets.get(place, 0)
        }
        if positions:
            arrival = Arrival(_unread(polled.records, next_offsets), positions)
            rejections = advance(line, arrival, breaker, is_last=polled.is_exhausted)
            source.commit(positions)
            crash.point("source.committed")
            # Others read what the board shows, so it is never changed in place.
            next_offsets = next_offsets | {p: each.next_offset for p, each in positions.items()}
            totals.add(arrival.records, rejections)
            milestones.commit(arrival.records, rejections)
            after_commit(totals)
        else:
            milestones.rest(source, next_offsets)
        sweep.turn(is_idle=not positions)
        if line.outlet:
            line.outlet.publish(is_idle=not positions)
        _tell(line, source, next_offsets)
        if polled.is_exhausted:
            breaker.check(polled.records, [], is_last=True)
            sweep.finish()
            break
    line.board.phase = Phase.DRAINING
    log.info("draining", extra={"records": totals.records})
    if line.outlet:
        line.outlet.drain(is_stopping)
    return totals


def _tell(line: Line, source: Source, next_offsets: Mapping[Partition, int]) -> None:
    """Write on the board how far the run is. Called each round."""
    board, now = line.board, time.monotonic()
    board.next_offsets = next_offsets
    board.end_offsets = source.end_offsets()
    board.away = source.away
    if board.txn_id != line.store.txn_id:
        board.txn_id, board.committed_at = line.store.txn_id, now
    board.moved_at = now


def advance(
    line: Line, arrival: Arrival, breaker: Breaker, *, is_last: bool
) -> Sequence[Rejection]:
    """One batch from bytes to a durable transaction; what it rejected."""
    line.state.register(tuple(arrival.positions))
    laps = Laps()
    batch, rejections = read(line.state, line.decoder, arrival.records)
    laps.end(Stage.READ)
    done = step(line.state, batch, rejections)
    crash.point("loop.stepped")
    breaker.check(arrival.records, done.rejections, is_last=is_last)
    laps.end(Stage.STEP)
    line.store.commit(done, line.state, arrival)
    laps.end(Stage.COMMIT)
    if line.store.checkpoint():
        laps.end(Stage.CHECKPOINT)
    if line.observer:
        line.observer.committed(line.state, arrival, done, laps.taken_s)
    return done.rejections


def redrive(line: Line, reason: str | None = None) -> Totals:
    """Read the stored dead letters again, or those with this reason. Those that still fail stay.

    Each has the coordinates and the time it came with, so it is judged as what it was: a letter
    older than what is known changes nothing. Killed anywhere, it may be run again.
    """
    totals, place = Totals(), BEFORE_ALL
    wanted = Wanted(line.batch_size_max, REDRIVE_BYTES_MAX, is_whole=True, reason=reason)
    while letters := line.store.dead_letters(place, wanted):
        txn_ids = np.array([letter.txn_id for letter in letters], np.int64)
        arrival = Arrival(records_of(letters), {}, txn_ids)
        rejections = advance(line, arrival, Breaker(is_armed=False), is_last=False)
        totals.add(arrival.records, rejections)
        place = letters[-1].place
    if reason is None:
        line.store.has_redriven()
    Sweep(line.store, line.state).finish()
    return totals


def _unread(records: Records, next_offsets: Mapping[Partition, int]) -> Records:
    """Without records that were consumed before: a redelivery after a crash, not news."""
    floors = np.array([next_offsets.get(place, 0) for place in records.partitions], np.int64)
    is_unread = records.offsets >= floors[records.partition_index]
    return records if is_unread.all() else records.take(np.flatnonzero(is_unread))
