"""Publishes what the store holds and an output topic does not have yet. At least once.

A page at a time: read from the store, sent, acknowledged; then the cursor moves, durably with the
next commit. A run that is killed before that sends the page again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from consumers import crash
from consumers.ports import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consumers.ports import Publisher
    from consumers.ranking import Ranking
    from consumers.store import Store

DRAIN_S = 5.0
WAIT_S = 0.01
REST = 9
"""While the run reads on, a page that took this long to read is followed by a pause of so many times that."""

log = logging.getLogger(__name__)


class Outlet:
    """The output topics of a run. Use `open` once, then `publish` again and again, then `drain`."""

    def __init__(
        self,
        store: Store,
        publishers: Mapping[Stream, Publisher],
        ranking: Ranking | None = None,
    ) -> None:
        self._store, self._outbox = store, store.outbox
        self._publishers = publishers
        self._ranking = ranking
        self._sent: set[Stream] = set()
        # The transaction up to which all of a stream is published.
        self._done = dict.fromkeys(publishers, -1)
        self._rests_until = 0.0

    def open(self) -> None:
        """Connect. A stream that was never published begins now.

        Raises: SourceError where a topic is missing, StoreError.
        """
        for publisher in self._publishers.values():
            publisher.open()
        self._outbox.begin(self._publishers, self._store.txn_id + 1)
        if self._ranking:
            self._ranking.open()

    def publish(self, *, is_idle: bool) -> None:
        """Take note of what was acknowledged, and send what comes next. Never waits. Raises: StoreError."""
        self._collect()
        if time.monotonic() >= self._rests_until:
            started = time.monotonic()
            self._send()
            now = time.monotonic()
            self._rests_until = now + REST * (now - started)
        if is_idle:
            self._outbox.save()
        if self._ranking:
            self._ranking.publish()

    def drain(self, is_stopping: Callable[[], bool]) -> None:
        """Publish the rest: as long as it goes on, or for a few seconds where the run is to stop.

        Raises: StoreError.
        """
        deadline = time.monotonic() + DRAIN_S
        while self._is_behind() and time.monotonic() < deadline:
            has_moved = self._collect()
            self._send()
            if not has_moved:
                time.sleep(WAIT_S)
            elif not is_stopping():
                deadline = time.monotonic() + DRAIN_S
        self._outbox.save()
        for stream, publisher in self._publishers.items():
            if not publisher.is_done():
                _tell_rest(stream)
        if self._ranking and self._ranking.is_behind():
            _tell_rest(Stream.NEXT_LABELS)

    def _collect(self) -> bool:
        """Whether a page was acknowledged."""
        acknowledged = {stream for stream in self._sent if self._publishers[stream].is_done()}
        for stream in acknowledged:
            crash.point("publish.acknowledged")
            self._outbox.advance(stream)
        self._sent -= acknowledged
        return bool(acknowledged)

    def _send(self) -> None:
        """The next page of each stream whose last one was acknowledged."""
        txn_id = self._store.txn_id
        for stream, publisher in self._publishers.items():
            if stream in self._sent or self._done[stream] == txn_id:
                continue
            if page := self._outbox.page(stream):
                publisher.send(page)
                self._sent.add(stream)
                crash.point("publish.sent")
            else:
                self._done[stream] = txn_id

    def _is_behind(self) -> bool:
        # What is left of the findings must not wait for the ranking, nor that for them.
        is_ranking = self._ranking is not None and self._ranking.is_behind()
        return is_ranking or any(done != self._store.txn_id for done in self._done.values())


def _tell_rest(stream: Stream) -> None:
    log.warning("not all %s could be published; the next run sends the rest", stream)
