"""The inbox as a source of records: its offsets are seqs, its record times the times of arrival."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consumers.ports import Polled, Position
from consumers.store.inbox import INBOX
from monitor.events import Partition, Records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.store.inbox import Inbox


class InboxSource:
    """What waits in an inbox, as a Source. It never waits, and is exhausted while nothing does."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._next = 0

    @property
    def has_some(self) -> bool:
        """Whether a poll would bring records, or the reason why the store has to be let go."""
        return self._inbox.next_seq > self._next or self._inbox.fault is not None

    def seek(self, positions: Mapping[Partition, Position]) -> None:
        """Go on after what is counted."""
        self._next = positions.get(INBOX, Position(0)).next_offset

    def poll(self, records_max: int) -> Polled:
        """What waits, in order. Raises: StoreError."""
        if not self.has_some:
            return Polled(_records([]), {}, is_exhausted=True)
        found = self._inbox.read(self._next, records_max)
        if found:
            self._next = found[-1][0] + 1
        return Polled(_records(found), {INBOX: Position(self._next)}, not self.has_some)

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        """Nothing: the store deletes what it counts in the same transaction."""

    def end_offsets(self) -> Mapping[Partition, int]:
        """The end, once there ever was an event."""
        return {INBOX: self._inbox.next_seq} if self._inbox.next_seq else {}

    @property
    def away(self) -> None:
        """The inbox is in the store: it is always there."""
        return

    def close(self) -> None:
        """Take nothing more."""
        self._inbox.close()


def _records(found: list[tuple[int, bytes, int]]) -> Records:
    count = len(found)
    return Records(
        [value for _, value, _ in found],
        [None] * count,
        np.array([seq for seq, _, _ in found], np.int64),
        np.array([received_us for _, _, received_us in found], np.int64),
        np.zeros(count, np.int64),
        (INBOX,) if count else (),
    )
