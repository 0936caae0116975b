"""What a broker says of an output topic, for `labelwatch doctor`. Nothing is sent to it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient, errors

from consumers.errors import SourceError
from consumers.kafka.clients.python_faults import translated
from consumers.kafka.clients.python_settings import connection
from consumers.kafka.faults import ClientFault
from consumers.kafka.publisher import missing

if TYPE_CHECKING:
    from consumers.config import KafkaSettings


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """How many partitions a topic has, and whether we may write to it.

    `may_write` is None where the broker does not tell: before Kafka 2.3. `trouble` is what the
    broker says instead of describing the topic.
    """

    partition_count: int
    may_write: bool | None
    trouble: str | None = None


def look_at_output(settings: KafkaSettings, topic: str, setting: str) -> OutputFacts:
    """What the topic that `setting` names is like. Raises: SourceError where it is missing."""
    try:
        with (
            translated(settings),
            contextlib.closing(KafkaAdminClient(**connection(settings))) as admin,
        ):
            (described,) = admin.describe_topics([topic])
    except ClientFault as error:
        raise SourceError(f"{settings.bootstrap_servers}: {error}") from error
    error_type = errors.for_code(described["error_code"])
    if error_type is errors.UnknownTopicOrPartitionError:
        raise missing(topic, setting)
    if error_type is errors.TopicAuthorizationFailedError:
        return OutputFacts(0, may_write=False)
    trouble = None if error_type is errors.NoError else error_type.__name__
    rights = described.get("authorized_operations")
    may_write = None if rights is None else "WRITE" in rights
    return OutputFacts(len(described["partitions"]), may_write, trouble)
