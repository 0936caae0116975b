"""A monitor that runs: a real loop over a real store in a thread, and /metrics beside it."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from consumers.board import Board
from consumers.config import HttpSettings, MetricsSettings, Settings
from consumers.http.context import Context
from consumers.http.metrics import routes
from consumers.loop import Breaker, run
from consumers.metrics import Metrics
from consumers.wiring import open_line
from monitor.events import Partition
from tests.consumers.logs import Log, LogSource
from tests.waiting import LATE_S, beside

PLACE = Partition("annotations")


class LiveSource(LogSource):
    """A log that grows while it is read."""

    def __init__(self, place=PLACE):
        super().__init__(Log({place: []}))
        self._place = place
        self._coming = queue.SimpleQueue()
        self._sent = 0

    def send(self, values, time_us=-1):
        """More records. From any thread."""
        for value in values:
            self._coming.put((self._sent, None, value, time_us))
            self._sent += 1

    def poll(self, records_max):
        with contextlib.suppress(queue.Empty):
            self._parts[self._place].append(self._coming.get(timeout=0.02))
            while True:
                self._parts[self._place].append(self._coming.get_nowait())
        found = [(self._place, each) for each in self._parts[self._place]][:records_max]
        del self._parts[self._place][: len(found)]
        return replace(self.take(found), is_exhausted=False)

    def end_offsets(self):
        return {self._place: self._sent}


@dataclass
class Monitor:
    """A run and where it is served."""

    source: LiveSource
    metrics: Metrics
    port: int

    def samples(self):
        """The values shown now, by name and labels."""
        return samples(self.metrics)

    def wait_for(self, is_there):
        """Wait until the values shown are such."""
        deadline = time.monotonic() + LATE_S
        while not is_there(self.samples()):
            assert time.monotonic() < deadline, self.samples()
            time.sleep(0.02)


def samples(metrics):
    """The values of all metrics: (name, labels as sorted pairs) → value."""
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in metrics._registry.collect()
        for each in family.samples
    }


def value(found, name, **labels):
    """One value."""
    return found[f"labelwatch_{name}", tuple(sorted(labels.items()))]


@contextlib.contextmanager
def monitor(folder, **settings):
    """A live monitor over a store in this folder."""
    path = Path(folder, "live.duckdb")
    board, source = Board(), LiveSource()
    metrics = Metrics(MetricsSettings(), board, path)
    is_over = threading.Event()

    def follow():
        with open_line(Settings(store=str(path), **settings), "test") as line:
            watched = replace(line, observer=metrics, board=board)
            run(watched, source, Breaker(is_armed=False), is_over.is_set, lambda _: None)

    with (
        beside(follow, is_over),
        served(Context(HttpSettings(), board, metrics=metrics)) as port,
    ):
        yield Monitor(source, metrics, port)


@contextlib.contextmanager
def served(context):
    """The endpoint on a free port of loopback."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = Starlette(routes=routes(context))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + LATE_S
            while not server.started:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(LATE_S)
