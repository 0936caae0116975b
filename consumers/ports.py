"""What the loop may ask of the world: a source of records, and topics to publish to.

Kafka and files both fit behind the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.events import Partition, Records


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on. `next_offset` names the next record to read, not the last one read.

    `fingerprint` identifies what was consumed before it, where the source can tell (files); the
    store keeps it beside the offset and hands it back to `seek`.
    """

    next_offset: int
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Polled:
    """Records of one poll, the positions after them, and whether a finite source has ended."""

    records: Records
    positions: Mapping[Partition, Position]
    is_exhausted: bool = False


class Source(Protocol):
    """A stream of records that can be read again from a stored position.

    Raises: SourceError where the source cannot be read (exit code 4).
    """

    def seek(self, positions: Mapping[Partition, Position]) -> None:
        """Start at these positions; partitions not named start at their beginning. Called once, first."""
        ...

    def poll(self, records_max: int) -> Polled:
        """At most `records_max` records, in order within each partition; empty when there are none yet."""
        ...

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        """Told after the store has committed; advisory, the store's positions are the truth."""
        ...

    def end_offsets(self) -> Mapping[Partition, int]:
        """The offset after the last record of each partition, as far as it is known, for lag."""
        ...

    @property
    def away(self) -> str | None:
        """Why nobody answers at the other end, as of the last poll; None where somebody does."""
        ...

    def close(self) -> None:
        """Release files and sockets. May be called twice."""
        ...


class Stream(StrEnum):
    """What may be published."""

    FINDINGS = "findings"
    DEAD_LETTERS = "dead_letters"
    NEXT_LABELS = "next_labels"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to an output topic."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Publisher(Protocol):
    """An output topic: written at least once, in order within a key. No call waits for the broker for long.

    What fails is sent again, for as long as it takes.
    """

    def open(self) -> None:
        """Connect where the broker is there. Raises: SourceError where the topic is missing."""
        ...

    def send(self, messages: Sequence[Message]) -> None:
        """Send a page of messages. Called when `is_done`."""
        ...

    def is_done(self) -> bool:
        """Whether the whole page was acknowledged, or there is none."""
        ...

    def close(self) -> None:
        """Release the sockets; what was not acknowledged is given up. May be called twice."""
        ...
