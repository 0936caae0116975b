"""Which partitions the topics have, and where each begins and ends."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from consumers.errors import SourceError
from consumers.kafka.starting import Extent
from monitor.events import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.kafka.clients.protocol import Client

_SHOWN_MAX = 10


def partitions(client: Client, topics: Sequence[str]) -> dict[Partition, str | None]:
    """The partitions of these topics, in order, each with its topic's id.

    Raises: SourceError, ClientFault.
    """
    names = list(dict.fromkeys(topics))
    known = client.topics(names)
    for name in names:
        if name not in known:
            raise SourceError(_missing(name, client.topic_names()))
    return {
        Partition(name, number): known[name].topic_id
        for name in names
        for number in known[name].partitions
    }


def extents(client: Client, places: Mapping[Partition, str | None]) -> dict[Partition, Extent]:
    """Where each partition begins and ends. Raises: SourceError, ClientFault."""
    found = client.extents(list(places))
    return {place: Extent(*found[place], topic_id) for place, topic_id in places.items()}


def _missing(topic: str, there: Sequence[str]) -> str:
    close = difflib.get_close_matches(topic, there, 1)
    if close:
        hint = f"did you mean {close[0]}?"
    elif there:
        hint = f"the broker has {', '.join(there[:_SHOWN_MAX])}{' …' * (len(there) > _SHOWN_MAX)}"
    else:
        hint = "the broker has no topics"
    return f"topic {topic} does not exist; {hint}"
