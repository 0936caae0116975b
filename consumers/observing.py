"""What the loop tells about its work, once a batch."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.store import Arrival
    from monitor.annotators import Ratings
    from monitor.opinions import Opinions
    from monitor.pipeline import Step
    from monitor.state import State


class Stage(StrEnum):
    """Parts of a batch: bytes to arrays, what changes, one transaction, folding a large log."""

    READ = "read"
    STEP = "step"
    COMMIT = "commit"
    CHECKPOINT = "checkpoint"


class Laps:
    """A stopwatch: seconds of each stage, from the end of the one before it."""

    def __init__(self) -> None:
        self.taken_s: dict[Stage, float] = {}
        self._ended_at = time.perf_counter()

    def end(self, stage: Stage) -> None:
        """A stage is over, and the next one begins."""
        now = time.perf_counter()
        self.taken_s[stage] = now - self._ended_at
        self._ended_at = now


class Observer(Protocol):
    """Hears of each batch in the thread of the loop, so it must be quick. What it is shown it may not keep.

    The state changes with the next batch; only statistics, which are values, stay as they are.
    """

    def loaded(self, state: State) -> None:
        """The state as of the last commit, before the first batch."""
        ...

    def committed(
        self, state: State, arrival: Arrival, step: Step, taken_s: Mapping[Stage, float]
    ) -> None:
        """A batch is durable. There is no CHECKPOINT in `taken_s` where the log was small."""
        ...

    def swept(self, state: State, opinions: Opinions) -> None:
        """A sweep said something anew of annotations that no batch had touched."""
        ...

    def rated(self, ratings: Ratings) -> None:
        """All annotators were rated anew. Ratings are values: they may be kept."""
        ...

    def recounted(self, *, is_equal: bool) -> None:
        """The stored joint was compared with a recount from the facts."""
        ...
