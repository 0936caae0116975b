"""Publishes what to label next: the head of the ranking, whenever that has changed. At least once.

It follows from the store alone, so nothing is remembered of what was sent: a run that starts sends it
again, and where nothing was committed in between, under the same ids.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from consumers.store.messages import next_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.ports import Publisher
    from consumers.store import Store

REST = 9
"""A ranking that took this long to read is followed by a pause of at least so many times that."""


class Ranking:
    """The output topic of what to label next. Use `open` once, then `publish` again and again."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        every_s: float,
        rows_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._publisher = store, publisher
        self._every_s, self._rows_max = every_s, rows_max
        self._clock = clock
        self._rests_until = 0.0
        self._seen_txn_id = -1
        self._sent: list[dict[str, Any]] = []

    def open(self) -> None:
        """Connect, and send what the store says now.

        Raises: SourceError where the topic is missing, StoreError.
        """
        self._publisher.open()
        self._send()

    def publish(self) -> None:
        """Send the ranking where it is time to look, and it has changed. Never waits for the broker.

        Raises: StoreError.
        """
        if self._publisher.is_done() and self._clock() >= self._rests_until:
            self._send()

    def is_behind(self) -> bool:
        """Whether something is yet to be acknowledged; what has changed is sent, time or not.

        Raises: StoreError.
        """
        if self._publisher.is_done():
            self._send()
        return not self._publisher.is_done()

    def _send(self) -> None:
        if self._store.txn_id == self._seen_txn_id:
            return
        started = self._clock()
        rows, txn_id = self._store.outbox.ranking(self._rows_max)
        now = self._clock()
        self._rests_until = max(started + self._every_s, now + REST * (now - started))
        self._seen_txn_id = self._store.txn_id
        if rows != self._sent:
            self._sent = rows
            self._publisher.send(next_messages(rows, txn_id))
