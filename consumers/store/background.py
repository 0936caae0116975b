"""Work beside the loop, which comes first."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

NICENESS = 10


def aside(work: Callable[[], T]) -> Future[T]:
    """Do this in a thread that gets the processor when no other wants it.

    Where the system knows priorities of processes only, it is a thread like the others.
    """
    done: Future[T] = Future()

    def run() -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # forbidden here
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)

    # A thread of each: none can go back to a better priority. It never keeps the process from ending.
    threading.Thread(target=run, name="aside", daemon=True).start()
    return done
