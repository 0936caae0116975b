"""Judges all examples anew, a part at a time, so that in the end what is published follows from facts alone.

A batch judges its own examples; each also moves, a little, what is to be said of all others. A pass
through them takes its time between batches: all passes together at most SHARE_MAX of it while records come,
and none of it while nothing has changed.
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
PART_EXAMPLES = 4_096
LAST_PART_EXAMPLES = 1 << 15
RATED_EVERY_S = 1.0
_IDLE_S = 0.05
# Nobody waits for a commit at the end, and what is not in the file yet is in memory.
_LAST_LOG_BYTES = 8 << 20


class Sweep:
    """Passes through all examples, over and over."""

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
        # The version of what the pass at hand judges by, and the next row; and the last pass.
        self._version = -1
        self._next = 0
        self._is_under_way = False
        self._taken_s = 0.0
        self._begins_at = clock()
        self._rated_version = -1
        self._rated_at = -RATED_EVERY_S

    @property
    def is_current(self) -> bool:
        """Whether all that is published follows from the annotations as they are."""
        return not self._is_under_way and self._version == self._state.consensus.version

    def turn(self, *, is_idle: bool) -> None:
        """Between batches: a part of a pass that is under way or due, or several while nothing comes."""
        began_at = self._clock()
        self._rate(began_at)
        while self._is_due(began_at):
            self._part(PART_EXAMPLES)
            self._store.checkpoint()
            if not is_idle or self._clock() - began_at > _IDLE_S:
                break

    def finish(self) -> None:
        """All of it, now: the input has ended."""
        while not self.is_current:
            if not self._is_under_way:
                self._begin()
            self._part(LAST_PART_EXAMPLES)
            self._store.checkpoint(above_bytes=_LAST_LOG_BYTES)
        self._rate(self._rated_at + RATED_EVERY_S)

    def _is_due(self, now: float) -> bool:
        if not self._is_under_way and not self.is_current and now >= self._begins_at:
            self._begin()
        return self._is_under_way

    def _begin(self) -> None:
        self._is_under_way = True
        self._version = self._state.consensus.version
        self._next = 0
        self._taken_s = 0.0

    def _part(self, size: int) -> None:
        began_at = self._clock()
        ledger, stop = self._state.ledger, self._next + size
        opinions = self._state.consensus.sweep(ledger, self._next, stop)
        self._next = stop
        if len(opinions):
            self._store.publish(opinions)
            if self._observer:
                self._observer.swept(opinions)
        self._is_under_way = stop < ledger.examples.size
        ended_at = self._clock()
        self._taken_s += ended_at - began_at
        self._begins_at = ended_at + self._taken_s / SHARE_MAX

    def _rate(self, now: float) -> None:
        version = self._state.consensus.version
        if version == self._rated_version or now < self._rated_at + RATED_EVERY_S:
            return
        self._store.rate(rate(self._state.consensus.totals))
        # Judged by what is published: a sweep changes that without a new version.
        self._rated_version = version if self.is_current else -1
        self._rated_at = now
