"""What the loop tells the threads that answer questions.

The loop alone writes it, an attribute at a time, so that anybody may read it without a lock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.events import Partition


class Phase(StrEnum):
    """How far a process has come."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"


@dataclass(slots=True)
class Board:
    """The state of a run. Times are of the monotonic clock, in seconds.

    `moved_at`: when the loop last came round, whether there were records or not. `committed_at`: when
    it last committed, or began. `away`: why the source cannot be reached, None while it can.
    """

    phase: Phase = Phase.STARTING
    txn_id: int = 0
    moved_at: float = field(default_factory=time.monotonic)
    committed_at: float = field(default_factory=time.monotonic)
    next_offsets: Mapping[Partition, int] = field(default_factory=dict)
    end_offsets: Mapping[Partition, int] = field(default_factory=dict)
    away: str | None = None

    @property
    def lag(self) -> dict[Partition, int]:
        """How many records of each partition are not read yet, where the source knows its end."""
        return {
            place: max(0, end - self.next_offsets.get(place, 0))
            for place, end in self.end_offsets.items()
        }
