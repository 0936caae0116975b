"""How many records are due: few a second at first, so that each can be seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW_RATE, SLOW_S, RATE = 5.0, 10.0, 15.0
"""Records a second at first, for how many seconds, and from then on."""
_CREDIT_MAX = 100.0


class Pace:
    """Counts what is due since it was made. What nobody could take for a while is not caught up with.

    Unit: `rate` in records a second; None is slow at first.
    """

    def __init__(
        self, rate: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._clock = rate, clock
        self._began_at = self._taken_at = clock()
        self._credit = 1.0

    def take(self, count_max: int) -> int:
        """How many records are due now, and count as taken."""
        now = self._clock()
        rate = self._rate or (SLOW_RATE if now - self._began_at < SLOW_S else RATE)
        earned = rate * (now - self._taken_at)
        self._credit = min(self._credit + earned, max(_CREDIT_MAX, rate))
        self._taken_at = now
        count = min(int(self._credit), count_max)
        self._credit -= count
        return count
