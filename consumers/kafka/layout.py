"""Which partitions the topics have, and where each begins and ends."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition

from consumers.errors import SourceError
from consumers.kafka.starting import Extent
from monitor.events import Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LOOKUP_MS = 30_000
_SHOWN_MAX = 10


def partitions(consumer: Any, topics: Iterable[str]) -> list[Partition]:  # noqa: ANN401 - untyped library
    """The partitions of these topics, in order, as far as the client knows. Raises: SourceError."""
    found = []
    for topic in dict.fromkeys(topics):
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise SourceError(_missing(topic, consumer))
        found += [Partition(topic, number) for number in sorted(numbers)]
    return found


def _missing(topic: str, consumer: Any) -> str:  # noqa: ANN401 - untyped library
    if topic in consumer._cluster.unauthorized_topics:  # noqa: SLF001 - nothing public tells
        return (
            f"topic {topic}: reading it is not allowed; ask for the right to read and describe it"
        )
    there = sorted(consumer.topics())
    close = difflib.get_close_matches(topic, there, 1)
    if close:
        hint = f"did you mean {close[0]}?"
    elif there:
        hint = f"the broker has {', '.join(there[:_SHOWN_MAX])}{' …' * (len(there) > _SHOWN_MAX)}"
    else:
        hint = "the broker has no topics"
    return f"topic {topic} does not exist; {hint}"


def topic_id(consumer: Any, topic: str) -> str | None:  # noqa: ANN401 - untyped library
    """What tells a topic from a later one of the same name; None where the broker is too old."""
    found = consumer._cluster.topic_id(topic)  # noqa: SLF001 - nothing public tells, but a second client
    return found.hex if found else None


def extents(consumer: Any, places: Sequence[Partition]) -> dict[Partition, Extent]:  # noqa: ANN401
    """Where each partition begins and ends. Raises: KafkaError."""
    asked = {place: TopicPartition(place.topic, place.number) for place in places}
    beginnings = consumer.beginning_offsets(list(asked.values()), timeout_ms=LOOKUP_MS)
    ends = consumer.end_offsets(list(asked.values()), timeout_ms=LOOKUP_MS)
    return {
        place: Extent(beginnings[each], ends[each], topic_id(consumer, place.topic))
        for place, each in asked.items()
    }
