"""The errors of confluent-kafka, as faults."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from consumers.kafka import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.config import KafkaSettings


@contextlib.contextmanager
def translated(settings: KafkaSettings) -> Iterator[None]:
    """What the client raises inside comes out as one of ours. Raises: ClientFault, SourceError."""
    try:
        yield
    except KafkaException as error:
        cause = error.args[0]
        if not isinstance(cause, KafkaError):
            raise faults.ClientFault(repr(error)) from error
        raise fault(cause, settings) from error
    except TimeoutError as error:
        raise faults.Unanswered("the broker did not answer in time") from error


# What brokers say while leaders move and nodes start: kafka-python takes the same as passing.
_PASSING = frozenset(
    {
        "BROKER_NOT_AVAILABLE",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "COORDINATOR_NOT_AVAILABLE",
        "FENCED_LEADER_EPOCH",
        "KAFKA_STORAGE_ERROR",
        "LEADER_NOT_AVAILABLE",
        "LISTENER_NOT_FOUND",
        "NETWORK_EXCEPTION",
        "NOT_COORDINATOR",
        "NOT_LEADER_FOR_PARTITION",
        "OFFSET_NOT_AVAILABLE",
        "REPLICA_NOT_AVAILABLE",
        "REQUEST_TIMED_OUT",
        "UNKNOWN_LEADER_EPOCH",
        "UNKNOWN_TOPIC_ID",
        "UNKNOWN_TOPIC_OR_PART",
        "_ALL_BROKERS_DOWN",
        "_RESOLVE",
        "_TRANSPORT",
        "_WAIT_COORD",
    }
)

_KINDS = {
    "GROUP_AUTHORIZATION_FAILED": faults.GroupRefused,
    "_AUTO_OFFSET_RESET": faults.OutOfRange,
    "OFFSET_OUT_OF_RANGE": faults.OutOfRange,
    "_LOG_TRUNCATION": faults.OutOfRange,
    "_TIMED_OUT": faults.Unanswered,
    "_TIMED_OUT_QUEUE": faults.Unanswered,
} | dict.fromkeys(_PASSING, faults.Away)


def fault(error: KafkaError, settings: KafkaSettings) -> Exception:
    """What an error means. A damaged batch looks like any other here: who read it knows more."""
    match error.name():
        case "_AUTHENTICATION" | "SASL_AUTHENTICATION_FAILED":
            return faults.refused(settings)
        case "TOPIC_AUTHORIZATION_FAILED":
            return faults.not_allowed(error.str())
    kind = _KINDS.get(error.name(), faults.ClientFault)
    return kind(f"{error.name()}: {error.str()}")
