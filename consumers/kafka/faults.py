"""What an exception out of the client means: wait, build a new client, leave out a batch, or end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka import errors

from consumers.errors import SourceError
from consumers.kafka.starting import Lost, named, unreadable
from monitor.events import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.config import KafkaSettings
    from consumers.ports import Position

_FRAME = "_unpack_records"


class Tries:
    """Counts the failures in a row that look the same."""

    def __init__(self) -> None:
        self._last: object = None
        self._count = 0

    def count(self, error: Exception, positions: Mapping[Partition, Position]) -> int:
        """Which time in a row this is."""
        # A damaged batch stays the same one while other partitions go on; its text names it.
        where = None if isinstance(error, errors.CorruptRecordError) else dict(positions)
        this = type(error), str(error), where
        self._count = self._count + 1 if this == self._last else 1
        self._last = this
        return self._count


def is_passing(error: Exception) -> bool:
    """Whether the same client, or a new one, may succeed later without anybody doing anything."""
    if isinstance(error, errors.CorruptRecordError):
        return False
    return isinstance(error, (errors.RetriableError, OSError))


def fatal(error: Exception, settings: KafkaSettings) -> SourceError | None:
    """The fault in words, where only a person can help."""
    match error:
        case errors.SaslAuthenticationFailedError():
            return refused(settings)
        case errors.UnsupportedCodecError():
            return SourceError(
                f"the topic is compressed with a codec that cannot be read here: {error}; install "
                "labelwatch with all its dependencies again"
            )
        case errors.GroupAuthorizationFailedError():
            return None
        case errors.AuthorizationError():
            return SourceError(f"reading is not allowed: {error}; ask for the right to read it")
        case _:
            return None


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


def lost(error: Exception, positions: Mapping[Partition, Position]) -> Lost | None:
    """What stands for the batch that is damaged; None where it is not clear which, or up to where.

    The client does not say where the batch ends, but the frame that raised knows.
    """
    at = error.__traceback__ if isinstance(error, errors.CorruptRecordError) else None
    while at is not None and at.tb_frame.f_code.co_name != _FRAME:
        at = at.tb_next
    batch = at and at.tb_frame.f_locals.get("batch")
    if at is None or batch is None:
        return None
    named_by_client = at.tb_frame.f_locals["tp"]
    place = Partition(named_by_client.topic, named_by_client.partition)
    first, after = positions[place].next_offset, int(batch.next_offset)
    if after <= first:
        return None
    text = f"{named(place)}: the checksum of offsets {first:,} to {after - 1:,} is wrong"
    size = int(getattr(batch, "size_in_bytes", 0))
    return Lost(place, first, after, unreadable(text, size))
