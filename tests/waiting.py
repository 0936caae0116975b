"""Waiting for what other threads and processes do: for the very thing, however long it takes."""

from __future__ import annotations

import contextlib
import threading
import time

LATE_S = 180
"""What takes longer hangs: slow machines, and others at work on them, take their time."""


def wait_for(is_true):
    """Wait until it is."""
    deadline = time.monotonic() + LATE_S
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def committed(store):
    """The last transaction that the mark beside a store knows, 0 where there is none."""
    mark = store.with_name(f"{store.name}.mark")
    words = mark.read_text().split() if mark.exists() else []
    return int(words[1]) if len(words) > 1 else 0


def wait_for_commit(store, process, after=0):
    """Wait until a process has committed a later transaction than this one, or has ended."""
    wait_for(lambda: committed(store) > after or process.poll() is not None)


@contextlib.contextmanager
def beside(work, is_over):
    """Do this in a thread as long as the block lasts: then `is_over` is set, and it has to end.

    Yields the list of what it has raised; anything fails the test.
    """
    faults = []

    def run():
        try:
            work()
        except BaseException as fault:
            faults.append(fault)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield faults
    finally:
        is_over.set()
        thread.join(LATE_S)
    assert not thread.is_alive()
    assert not faults
