"""Whether anybody is there. Said once when nobody is, and once when somebody is again."""

from __future__ import annotations

import logging
import time

SILENT_S = 5.0
AGAIN_S = 1.0

log = logging.getLogger(__name__)


class Presence:
    """When the broker was last heard of, and why it is being waited for (`away`), None where it is not."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._heard_at = self._missed_at = time.monotonic()
        self.away: str | None = None

    @property
    def is_away(self) -> bool:
        """Whether nobody is there."""
        return self.away is not None

    @property
    def away_s(self) -> float:
        """For how long it has been waited for."""
        return time.monotonic() - self._missed_at if self.is_away else 0.0

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard for so long that it is worth asking why."""
        return time.monotonic() - self._heard_at > (AGAIN_S if self.is_away else SILENT_S)

    def hear(self) -> None:
        """It is there, and has nothing to say."""
        self._heard_at = time.monotonic()

    def miss(self, text: str) -> None:
        """Nobody is there, for this reason."""
        self._heard_at = time.monotonic()
        if not self.is_away:
            self._missed_at = time.monotonic()
            log.warning("%s; waiting for it", text)
        self.away = text

    def meet(self) -> None:
        """The broker answers."""
        self._heard_at = time.monotonic()
        if self.is_away:
            self.away = None
            log.warning("%s answers again", self._servers)
