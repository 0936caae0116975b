"""Offsets for lag tools. The store's are the truth: these are told late, and never read back."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from consumers.errors import LabelwatchError
from consumers.kafka.faults import ClientFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.kafka.clients.protocol import Client
    from consumers.ports import Position
    from monitor.events import Partition

EVERY_S = 5.0

log = logging.getLogger(__name__)


class Committer:
    """Tells the group's offsets to the broker every few seconds, and at the end.

    What could not be told is told the next time. Failures are logged once, where two follow one another
    or the last one fails: a single one is what becomes of an answer whose broker goes away.
    """

    def __init__(self) -> None:
        self._told_at = time.monotonic()
        self._untold: dict[Partition, int] = {}
        self._failures = 0
        self._has_warned = False

    def note(self, positions: Mapping[Partition, Position], client: Client | None) -> None:
        """These are durable now."""
        self._untold |= {place: position.next_offset for place, position in positions.items()}
        if client is not None and time.monotonic() - self._told_at > EVERY_S:
            self._told_at = time.monotonic()
            offsets, self._untold = self._untold, {}
            answered = partial(self._answered, offsets)
            try:
                client.commit(offsets, answered)
            except (ClientFault, LabelwatchError) as error:  # nothing depends on it
                answered(error)

    def finish(self, client: Client | None) -> None:
        """Tell the rest, within a few seconds."""
        if self._untold and client is not None:
            offsets, self._untold = self._untold, {}
            try:
                client.commit_now(offsets)
            except (ClientFault, LabelwatchError) as error:  # as above
                self._warn(error)

    def _answered(self, offsets: dict[Partition, int], error: object) -> None:
        if error is None:
            self._failures = 0
            return
        self._untold = offsets | self._untold
        self._failures += 1
        if self._failures > 1:
            self._warn(error)

    def _warn(self, error: object) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "offsets could not be told to the broker, so lag tools are blind; the store has them: %s",
                error,
            )
