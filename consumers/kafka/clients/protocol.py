"""What a source asks of a client: where topics lie, and records from given offsets on.

A client keeps no positions of its own, and is thrown away after any fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from consumers.config import KafkaSettings
    from monitor.events import Partition, Records

CONNECT_S = 10.0
LOOKUP_S = 30.0
CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is now. `topic_id` tells it from a later one of its name; None: the broker is too old."""

    topic_id: str | None
    partitions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Taken:
    """Records, and where each partition goes on that has moved, be it without records."""

    records: Records
    next_offsets: Mapping[Partition, int]


class Client(Protocol):
    """A connected client.

    Raises, in every method: ClientFault, and SourceError where only a person can help.
    """

    def topics(self, names: Sequence[str]) -> Mapping[str, Topic]:
        """Those of these topics that exist."""
        ...

    def topic_names(self) -> Sequence[str]:
        """Every topic that may be read."""
        ...

    def extents(self, places: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """The first offset of each partition, and the one after the last that may be read."""
        ...

    def place(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        ...

    def poll(self, records_max: int, bytes_max: int, wait_s: float) -> Taken:
        """What is there; where nothing is, what comes within `wait_s`.

        More than `bytes_max` only by what the client hands out at once. A fault behind records is
        raised by the next call.
        """
        ...

    def rest(self, places: Sequence[Partition]) -> None:
        """Read no more of these."""
        ...

    def ends(self) -> Mapping[Partition, int]:
        """The ends of the partitions as the last fetches told."""
        ...

    def commit(self, offsets: Mapping[Partition, int], answered: Callable[[object], None]) -> None:
        """Send the group's offsets; `answered` is told the error, or None, in a later call."""
        ...

    def commit_now(self, offsets: Mapping[Partition, int]) -> None:
        """Send the group's offsets and wait for the answer, a few seconds at the most."""
        ...

    def committed(self, places: Sequence[Partition]) -> Mapping[Partition, int]:
        """The group's offsets, of the partitions that have any."""
        ...

    def close(self) -> None:
        """Let go of the sockets, within a few seconds."""
        ...


class Connect(Protocol):
    """A way to connect a client."""

    def __call__(self, settings: KafkaSettings, group_id: str | None) -> Client:
        """A client that knows its brokers. Raises: ClientFault, SourceError."""
        ...
