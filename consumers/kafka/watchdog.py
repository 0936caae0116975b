"""Ends a process whose client never returns: a supervisor starts it anew, nothing is lost.

The broker cannot tell: heartbeats come from a thread of their own, so a hung poll() looks alive.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_CODE = 70
_LOOKS_EVERY = 8


class Watchdog:
    """Watches calls made inside `watching`; after `stuck_s` in one, all stacks go to stderr and it ends."""

    def __init__(self, stuck_s: float) -> None:
        self._stuck_s = stuck_s
        self._since: float | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The calls inside may not take longer than `stuck_s`."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def close(self) -> None:
        """Watch no more. May be called twice."""
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(self._stuck_s / _LOOKS_EVERY):
            since = self._since
            if since is not None and time.monotonic() - since > self._stuck_s:
                faulthandler.dump_traceback(sys.__stderr__ or 2, all_threads=True)
                text = f"labelwatch: the Kafka client has not returned for {self._stuck_s:g} s; "
                text += "the store is as of its last commit; run again to go on\n"
                os.write(2, text.encode())
                os._exit(EXIT_CODE)
