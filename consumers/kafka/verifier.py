"""Whether what was read is of the topics that the positions are of.

Clients and brokers of some versions know a topic by its name, and go on in a later one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from consumers.kafka.faults import OutOfRange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.kafka.clients.protocol import Client
    from consumers.ports import Position
    from monitor.events import Partition

EVERY_S = 1.0


class Verifier:
    """Asks a client for the ids of these topics, now and then."""

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics
        self._asked_at = 0.0

    def verify(self, client: Client, positions: Mapping[Partition, Position]) -> None:
        """Raises: OutOfRange where a topic is not the one it was; ClientFault."""
        if time.monotonic() - self._asked_at < EVERY_S:
            return
        known = client.topics(self._topics)
        self._asked_at = time.monotonic()
        for place, position in positions.items():
            topic_id = known[place.topic].topic_id if place.topic in known else None
            if topic_id and position.fingerprint and topic_id != position.fingerprint:
                raise OutOfRange(f"topic {place.topic} is not the one it was")
