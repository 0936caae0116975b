"""Offsets for lag tools. The store's are the truth: these are told late, and never read back."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.ports import Position
    from monitor.events import Partition

EVERY_S = 5.0
CLOSE_MS = 5_000

log = logging.getLogger(__name__)


class Committer:
    """Tells the group's offsets to the broker every few seconds, and at the end. Failures are logged once."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()
        self._untold: dict[Any, Any] = {}
        self._has_failed = False

    def note(self, positions: Mapping[Partition, Position], consumer: Any) -> None:  # noqa: ANN401
        """These are durable now."""
        for place, position in positions.items():
            at = TopicPartition(place.topic, place.number)
            self._untold[at] = OffsetAndMetadata(position.next_offset, "", -1)
        if consumer is not None and time.monotonic() - self._told_at > EVERY_S:
            self._told_at = time.monotonic()
            offsets, self._untold = self._untold, {}
            try:
                consumer.commit_async(offsets, callback=self._answered)
            except Exception as error:  # noqa: BLE001 - nothing depends on it
                self._failed(error)

    def finish(self, consumer: Any) -> None:  # noqa: ANN401 - untyped library
        """Tell the rest, within a few seconds."""
        if self._untold and consumer is not None:
            offsets, self._untold = self._untold, {}
            try:
                consumer.commit(offsets, timeout_ms=CLOSE_MS)
            except Exception as error:  # noqa: BLE001 - nothing depends on it
                self._failed(error)

    def _answered(self, _offsets: object, response: object) -> None:
        if isinstance(response, Exception):
            self._failed(response)

    def _failed(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.warning(
                "offsets could not be told to the broker, so lag tools are blind; the store has them: %s",
                error,
            )
