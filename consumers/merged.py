"""The source of a run and the inbox, as one source."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from consumers.ports import Polled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.ports import Position, Source
    from consumers.store.inbox_source import InboxSource
    from monitor.events import Partition

PATIENCE_S = 0.25
"""How long a main source that was silent may be left alone while the inbox has records."""


class Merged:
    """A main source and an inbox that is read even while the main one is silent or away.

    A poll hands out records of one of them. Both take turns while both have records, so neither
    holds up the other. It ends with the main source: then the inbox takes nothing more, and what
    it had acknowledged still comes.
    """

    def __init__(self, main: Source, inbox: InboxSource) -> None:
        self._main, self._inbox = main, inbox
        self._is_ended = False
        self._has_gone_first = False
        self._was_silent = False
        self._asked_at = 0.0

    def seek(self, positions: Mapping[Partition, Position]) -> None:
        """Start both at these positions. Raises: SourceError."""
        self._main.seek(positions)
        self._inbox.seek(positions)

    def poll(self, records_max: int) -> Polled:
        """Records of one of the two. Raises: SourceError, StoreError."""
        if self._is_ended:
            polled = self._inbox.poll(records_max)
            # The end comes by itself: records of the inbox are not the last ones of the main source.
            return _going_on(polled) if polled.positions else polled
        if self._inbox.has_some and not self._is_turn_of_main():
            self._has_gone_first = True
            return _going_on(self._inbox.poll(records_max))
        polled = self._ask_main(records_max)
        if polled.is_exhausted:
            self._is_ended = True
            self._inbox.close()
            return _going_on(polled) if self._inbox.has_some else polled
        return polled if polled.positions else _going_on(self._inbox.poll(records_max))

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        """Told after the store has committed."""
        self._main.commit(positions)

    def end_offsets(self) -> Mapping[Partition, int]:
        """The ends of both, as far as they are known."""
        return {**self._main.end_offsets(), **self._inbox.end_offsets()}

    @property
    def away(self) -> str | None:
        """Why nobody answers at the other end of the main source."""
        return self._main.away

    def close(self) -> None:
        """Close both. May be called twice."""
        self._inbox.close()
        self._main.close()

    def _is_turn_of_main(self) -> bool:
        if not self._has_gone_first:
            return False
        return not self._was_silent or time.monotonic() - self._asked_at > PATIENCE_S

    def _ask_main(self, records_max: int) -> Polled:
        polled = self._main.poll(records_max)
        self._has_gone_first = False
        self._was_silent = not polled.positions
        self._asked_at = time.monotonic()
        return polled


def _going_on(polled: Polled) -> Polled:
    return Polled(polled.records, polled.positions)
