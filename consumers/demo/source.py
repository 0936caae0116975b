"""The story as a source of the loop: at a pace that can be watched, or at full speed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from consumers.errors import SourceError
from consumers.ports import Polled, Position
from monitor.events import Partition, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consumers.demo.pace import Pace
    from consumers.demo.story import Story

DIGITS = Partition("demo:digits")
_INBOX = Partition("inbox:")
_BATCH_MAX = 50
"""Records of a poll at full speed: what happens in one transaction is seen only as its end."""
_WAIT_S = 0.1


class DemoSource:
    """One partition. With a pace it never ends, so that what was found can be looked at; without one it does.

    The story is told by `tell` once the source is placed, which takes seconds.
    Raises: SourceError where the store holds anything else.
    """

    def __init__(self, tell: Callable[[], Story], new_pace: Callable[[], Pace] | None) -> None:
        self._tell, self._new_pace = tell, new_pace
        self._story: Story | None = None
        self._pace: Pace | None = None
        self._next = 0

    @property
    def story(self) -> Story:
        """What is told. The source has been placed."""
        assert self._story is not None, "seek comes first"
        return self._story

    @property
    def is_through(self) -> bool:
        """Whether everything was handed out."""
        return self._story is not None and self._next >= len(self._story.values)

    def seek(self, positions: Mapping[Partition, Position]) -> None:
        """Go on where the store is. Raises: SourceError."""
        self._story = self._tell()
        others = set(positions) - {DIGITS, _INBOX}
        position = positions.get(DIGITS, Position(0, self._story.fingerprint))
        if others or position.fingerprint != self._story.fingerprint:
            held = f"records of {min(each.topic for each in others)}" if others else "another demo"
            raise SourceError(f"demo: the store holds {held}; name a new file with --store")
        self._next = position.next_offset
        self._pace = self._new_pace() if self._new_pace else None

    def poll(self, records_max: int) -> Polled:
        """What is due, after a moment's wait where nothing is."""
        left = len(self.story.values) - self._next
        count = min(left, records_max, _BATCH_MAX)
        if self._pace:
            count = self._pace.take(count)
            if count == 0:
                time.sleep(_WAIT_S)
        first, self._next = self._next, self._next + count
        positions = {DIGITS: Position(self._next, self.story.fingerprint)} if count else {}
        is_exhausted = self._pace is None and self.is_through
        return Polled(self._records(first), positions, is_exhausted)

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        """Nothing: nobody else reads it."""

    def end_offsets(self) -> Mapping[Partition, int]:
        """The end of what has happened by now: the rest is still to come."""
        return {DIGITS: self._next}

    @property
    def away(self) -> None:
        """It is here."""
        return

    def close(self) -> None:
        """Nothing is held."""

    def _records(self, first: int) -> Records:
        values, keys = self.story.values[first : self._next], self.story.keys[first : self._next]
        count = len(values)
        return Records(
            list(values),
            keys,
            np.arange(first, self._next, dtype=np.int64),
            np.full(count, time.time_ns() // 1_000, np.int64),
            np.zeros(count, np.int64),
            (DIGITS,) if count else (),
        )
