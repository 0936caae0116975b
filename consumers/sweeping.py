"""Judges all examples anew, a part at a time, so that in the end what is published follows from facts alone.

A batch judges its own examples; each also moves, a little, what is to be said of all others. A pass
through them begins once enough has changed for that to matter, or once nothing comes any more. While
records come it takes at most SHARE_MAX of the time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from monitor.annotators import rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.observing import Observer
    from consumers.store import Store
    from monitor.state import State

SHARE_MAX = 0.05
PART_EXAMPLES = 2_048
LAST_PART_EXAMPLES = 1 << 13
CHANGED_SHARE_MIN = 0.001
"""The share of the annotations that must have changed since the last pass began, while records come."""
QUIET_S = 10.0
RATED_EVERY_S = 1.0
_IDLE_S = 0.05
# Nobody waits for a commit at the end, and what is not in the file yet is in memory.
_LAST_LOG_BYTES = 8 << 20


class Sweep:
    """Passes through all examples."""

    def __init__(
        self,
        store: Store,
        state: State,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._state = state
        self._observer = observer
        self._clock = clock
        # What the last pass, or the one under way, judges by; None before the first one.
        self._version: int | None = None
        self._next = 0
        self._is_under_way = self._is_measured = False
        self._due_at = self._heard_at = clock()
        self._rating_due_at = self._due_at
        self._is_rated = not len(state.annotators)

    @property
    def is_current(self) -> bool:
        """Whether all that is published follows from the annotations as they are."""
        return not self._is_under_way and self._version == self._state.consensus.version

    def turn(self, *, is_idle: bool) -> None:
        """Between batches: a part of a pass, where one is due; several while nothing comes."""
        began_at = now = self._clock()
        if not is_idle:
            self._heard_at = now
            self._is_rated = False
        if not self._is_under_way and self._is_worth_it(now):
            self._begin()
        while self._is_under_way and (is_idle or now >= self._due_at):
            self._part(PART_EXAMPLES)
            self._store.checkpoint()
            now = self._clock()
            self._due_at = now + (now - began_at) / SHARE_MAX
            if not is_idle or now > began_at + _IDLE_S:
                break
        if not self._is_rated and now >= self._rating_due_at:
            self._rate(now)

    def finish(self) -> None:
        """All of it, now: the input has ended."""
        while not self.is_current:
            if not self._is_under_way:
                self._begin()
            self._part(LAST_PART_EXAMPLES)
            self._store.checkpoint(above_bytes=_LAST_LOG_BYTES)
        if not self._is_rated:
            self._rate(self._clock())

    def _is_worth_it(self, now: float) -> bool:
        if self._version is None:
            return True
        changed_count = self._state.consensus.version - self._version
        if not changed_count:
            return False
        enough = CHANGED_SHARE_MIN * self._state.ledger.annotations.size
        return changed_count >= enough or now >= self._heard_at + QUIET_S

    def _begin(self) -> None:
        self._is_under_way = True
        self._is_measured = False
        self._version = self._state.consensus.version
        self._next = 0

    def _part(self, size: int) -> None:
        """A part of the pass: first all examples are measured, then all are judged."""
        consensus, ledger, start = self._state.consensus, self._state.ledger, self._next
        self._next = start + size
        is_last = self._next >= ledger.examples.size
        if not self._is_measured:
            consensus.measure(ledger, start, self._next)
            if is_last:
                consensus.weigh()
                self._is_measured, self._next = True, 0
            return
        opinions = consensus.sweep(ledger, start, self._next)
        self._is_under_way = not is_last
        if len(opinions):
            self._store.publish(opinions, self._state)
            self._is_rated = False
            if self._observer:
                self._observer.swept(self._state, opinions)

    def _rate(self, now: float) -> None:
        consensus = self._state.consensus
        ratings = rate(consensus.totals)
        self._store.rate(ratings, consensus.model_weights)
        if self._observer:
            self._observer.rated(ratings)
        taken_s = self._clock() - now
        self._rating_due_at = now + max(RATED_EVERY_S, taken_s / SHARE_MAX)
        self._is_rated = True
