"""What may go wrong in a client, whichever it is. What a person must mend is a SourceError, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.errors import SourceError
from consumers.kafka.starting import Lost, named, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.config import KafkaSettings
    from consumers.ports import Position
    from monitor.events import Partition


class ClientFault(Exception):  # noqa: N818 - the name says what happened
    """The client failed and is of no use any more; a new one may do better, and may not."""


class Away(ClientFault):
    """It will pass without anybody doing anything."""


class Unanswered(Away):
    """An answer took too long."""


class OutOfRange(ClientFault):
    """The offset is not there: deleted before it was read, or the topic was truncated."""


class GroupRefused(ClientFault):
    """Offsets may not be told under this group."""


class Damaged(ClientFault):
    """A batch whose checksum is wrong: it ends before `next_offset`."""

    def __init__(self, text: str, partition: Partition, next_offset: int, size: int) -> None:
        self.partition = partition
        self.next_offset = next_offset
        self.size = size
        super().__init__(text)


class Tries:
    """Counts the failures in a row that look the same."""

    def __init__(self) -> None:
        self._last: object = None
        self._count = 0

    def count(self, fault: ClientFault, positions: Mapping[Partition, Position]) -> int:
        """Which time in a row this is."""
        # A damaged batch stays the same one while other partitions go on; its text names it.
        where = None if isinstance(fault, Damaged) else dict(positions)
        this = type(fault), str(fault), where
        self._count = self._count + 1 if this == self._last else 1
        self._last = this
        return self._count


def lost(fault: ClientFault, positions: Mapping[Partition, Position]) -> Lost | None:
    """What stands for the batch that is damaged; None where none is, or it lies before its position."""
    if not isinstance(fault, Damaged):
        return None
    place, after = fault.partition, fault.next_offset
    first = positions[place].next_offset
    if after <= first:
        return None
    text = f"{named(place)}: the checksum of offsets {first:,} to {after - 1:,} is wrong"
    return Lost(place, first, after, unreadable(text, fault.size))


def refused(settings: KafkaSettings) -> SourceError:
    """A broker that answers whoever asks for its versions, and nothing else.

    It often hangs up before the client has read why, so that only a timeout tells.
    """
    if not settings.security_protocol.startswith("SASL"):
        return SourceError(
            f"{settings.bootstrap_servers} answers, but tells nothing about its topics: does it want a "
            "login? Then set kafka.security_protocol to SASL_SSL or SASL_PLAINTEXT"
        )
    return SourceError(
        f"{settings.bootstrap_servers}: the broker refused the login of {settings.sasl_username or 'nobody'} "
        f"({settings.sasl_mechanism}); check kafka.sasl_username, sasl_password and sasl_mechanism"
    )


def not_allowed(what: str) -> SourceError:
    """A right is missing."""
    return SourceError(
        f"{what}: reading it is not allowed; ask for the right to read and describe it"
    )
