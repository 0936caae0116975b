"""A store that is written to all the time, while others ask."""

from __future__ import annotations

import contextlib
import threading

import msgspec
import numpy as np

from consumers.config import Settings
from consumers.loop import Breaker, advance
from consumers.ports import Position
from consumers.store import Arrival
from consumers.store.gate import Limits
from consumers.wiring import open_line
from monitor.events import Partition, Records
from tests.waiting import LATE_S, wait_for

PLACE = Partition("t", 0)
LIMITS = Limits(seconds=LATE_S, rows=1_000, bytes=1 << 20)


class Living:
    """The writer's thread: `commits` batches so far, and the fault that ended it, if any."""

    def __init__(self, settings, limits, queries, batch_size):
        self._settings, self._limits, self._queries = settings, limits, queries
        self._batch_size = batch_size
        self._is_stopping = threading.Event()
        self._is_there = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.commits = 0
        self.gate = self.store = self.fault = None

    def start(self):
        self._thread.start()
        assert self._is_there.wait(LATE_S)

    def stop(self):
        self._is_stopping.set()
        self._thread.join(LATE_S)
        assert not self._thread.is_alive()

    def go_on(self, count=3):
        """Wait until so many more batches are committed."""
        wanted = self.commits + count
        wait_for(lambda: self.commits >= wanted or self.fault is not None)
        assert self.fault is None, self.fault

    def _run(self):
        try:
            with open_line(self._settings, "labelwatch test") as line:
                self.store = line.store
                self.gate = line.store.gate(self._limits, self._queries)
                while not self._is_stopping.is_set():
                    arrival = self._arrival(self.commits * self._batch_size)
                    advance(line, arrival, Breaker(is_armed=False), is_last=False)
                    self.commits += 1
                    self._is_there.set()
        except BaseException as fault:
            self.fault = fault
            raise
        finally:
            self._is_there.set()

    def _arrival(self, start):
        count = self._batch_size
        values = [event(i) for i in range(start, start + count)]
        records = Records(
            values,
            [None] * count,
            np.arange(start, start + count),
            np.full(count, -1),
            np.zeros(count, np.int64),
            (PLACE,),
        )
        return Arrival(records, {PLACE: Position(start + count)})


def event(i):
    """The i-th annotation."""
    p = (i % 101) / 101
    return msgspec.json.encode(
        {
            "example_id": f"x{i}",
            "label": "ab"[i % 2],
            "annotator": f"n{i % 7}",
            "pred_probs": {"a": p, "b": 1 - p},
        }
    )


@contextlib.contextmanager
def living(path, *, limits=LIMITS, queries=2, batch_size=50, **settings):
    """A store that grows until this ends; then it is as it should be."""
    made = Living(Settings(store=str(path), **settings), limits, queries, batch_size)
    made.start()
    try:
        yield made
    finally:
        made.stop()
    assert made.fault is None, made.fault
