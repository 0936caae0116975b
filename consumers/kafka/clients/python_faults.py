"""The exceptions of kafka-python, as faults."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from kafka import errors

from consumers.errors import LabelwatchError, SourceError
from consumers.kafka import faults
from monitor.events import Partition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.config import KafkaSettings

_FRAME = "_unpack_records"


@contextlib.contextmanager
def translated(settings: KafkaSettings) -> Iterator[None]:
    """Whatever the client raises inside comes out as one of ours. Raises: ClientFault, LabelwatchError."""
    try:
        yield
    except (faults.ClientFault, LabelwatchError):
        raise
    except Exception as error:
        raise fault(error, settings) from error


_KINDS: tuple[
    tuple[type[Exception] | tuple[type[Exception], ...], type[faults.ClientFault]], ...
] = (
    (errors.GroupAuthorizationFailedError, faults.GroupRefused),
    ((errors.OffsetOutOfRangeError, errors.LogTruncationError), faults.OutOfRange),
    (errors.KafkaTimeoutError, faults.Unanswered),
    ((errors.RetriableError, OSError), faults.Away),
    (Exception, faults.ClientFault),
)


def fault(error: Exception, settings: KafkaSettings) -> Exception:
    """What an exception means."""
    match error:
        case errors.SaslAuthenticationFailedError():
            return faults.refused(settings)
        case errors.UnsupportedCodecError():
            return SourceError(
                f"the topic is compressed with a codec that cannot be read here: {error}; install "
                "labelwatch with all its dependencies again"
            )
        case errors.TopicAuthorizationFailedError():
            return faults.not_allowed(_topics(error))
        case errors.CorruptRecordError():
            return _damaged(error)
    kind = next(kind for caught, kind in _KINDS if isinstance(error, caught))
    return kind(repr(error))


def _topics(error: Exception) -> str:
    """The topics that an error names: as a text, or as a set of them."""
    named = error.args[0] if error.args else ""
    return f"topic {named if isinstance(named, str) else ', '.join(sorted(named))}"


def _damaged(error: Exception) -> faults.ClientFault:
    """The client does not say where the batch ends, but the frame that raised knows."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_name != _FRAME:
        at = at.tb_next
    batch = at and at.tb_frame.f_locals.get("batch")
    if at is None or batch is None:
        return faults.ClientFault(repr(error))
    named = at.tb_frame.f_locals["tp"]
    size = int(getattr(batch, "size_in_bytes", 0))
    place = Partition(named.topic, named.partition)
    return faults.Damaged(str(error), place, int(batch.next_offset), size)
