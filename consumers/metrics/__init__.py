"""Metrics of a run: counted once a batch, shown to Prometheus.

Counters begin at 0 with the process, as Prometheus expects; gauges of the line's state are as of
the last commit.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import threading
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from consumers.metrics.annotators import Annotators
from consumers.metrics.counting import Counting
from consumers.metrics.definitions import (
    BUILD_INFO,
    CHECKPOINT_TIME,
    DISK_FREE,
    INBOX_EVENTS,
    LAG,
    LAST_EVENT,
    LAST_PROCESSED,
    OTHER,
    PARITY_OK,
    PARITY_TIME,
    QUERIES,
    QUERIES_IN_FLIGHT,
    QUERY_DURATION,
    SOURCE_AWAY,
    STAGE_DURATION,
    STORE_BYTES,
    WAL_BYTES,
    QueryOutcome,
)
from consumers.metrics.names import LABELS_MAX, shown
from consumers.metrics.series import Reading, Series
from consumers.metrics.snapshot import Snapshot
from consumers.observing import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from prometheus_client import Metric

    from consumers.board import Board
    from consumers.config import MetricsSettings
    from consumers.store import Arrival
    from monitor.annotators import Ratings
    from monitor.opinions import Opinions
    from monitor.pipeline import Step
    from monitor.state import State

__all__ = ["Metrics", "QueryOutcome"]

_OPEN_METRICS = "application/openmetrics-text"


class Metrics(Collector):
    """An observer of the loop that other threads may look at, and tell of queries and events taken in."""

    def __init__(self, settings: MetricsSettings, board: Board, store: Path) -> None:
        self._board = board
        self._store = store
        self._lock = threading.Lock()
        self._series = Series()
        self._annotators = Annotators(settings)
        self._counting = Counting(self._series, self._annotators)
        self._snapshot: Snapshot | None = None
        self._series.put(BUILD_INFO, 1.0, importlib.metadata.version("labelwatch"))
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(self)
        self._registry = registry

    def loaded(self, state: State) -> None:
        """The state as of the last commit. Loading has compared it with the stored facts."""
        with self._lock:
            self._snapshot = Snapshot.of(state)
            self._counting.name_classes(state.classes.names)
            self._put_parity(is_equal=True)

    def committed(
        self, state: State, arrival: Arrival, step: Step, taken_s: Mapping[Stage, float]
    ) -> None:
        """Count a batch."""
        now = time.time()
        with self._lock:
            self._counting.add(state, arrival, step, now, time.monotonic())
            self._snapshot = Snapshot.of(state)
            self._series.put(LAST_PROCESSED, now)
            for stage, duration_s in taken_s.items():
                self._series.observe(STAGE_DURATION, duration_s, str(stage))
            if Stage.CHECKPOINT in taken_s:
                self._series.put(CHECKPOINT_TIME, now)

    def swept(self, state: State, opinions: Opinions) -> None:
        """Count what a sweep has found."""
        with self._lock:
            self._counting.find((opinions.flags,))
            self._snapshot = Snapshot.of(state)

    def rated(self, ratings: Ratings) -> None:
        """Show how good annotators are."""
        with self._lock:
            self._annotators.rate(ratings)

    def recounted(self, *, is_equal: bool) -> None:
        """The stored joint was compared with a recount from the facts."""
        with self._lock:
            self._put_parity(is_equal=is_equal)

    @property
    def is_equal(self) -> bool | None:
        """Whether the stored joint equalled a recount when they were last compared; None before."""
        with self._lock:
            value = self._series.value(PARITY_OK)
        return None if value is None else bool(value)

    @property
    def newest_event_s(self) -> float | None:
        """The newest time that an event of this process told, in seconds since the epoch."""
        with self._lock:
            return self._series.value(LAST_EVENT)

    def query_began(self) -> None:
        """A query runs."""
        with self._lock:
            self._series.add(QUERIES_IN_FLIGHT, 1)

    def query_ended(self, outcome: QueryOutcome, elapsed_s: float) -> None:
        """A query that had begun has ended, in whatever way."""
        with self._lock:
            self._series.add(QUERIES_IN_FLIGHT, -1)
            self._series.add(QUERIES, 1, str(outcome))
            self._series.observe(QUERY_DURATION, elapsed_s)

    def took_in(self, event_count: int) -> None:
        """Events were accepted over HTTP, and are durable."""
        with self._lock:
            self._series.add(INBOX_EVENTS, event_count)

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics and their content type: OpenMetrics where `accept` names it, else the text format."""
        # What else stands in the header, such as a version that is no number, must not matter.
        encode, content_type = choose_encoder(_OPEN_METRICS if _OPEN_METRICS in accept else "")
        return encode(self._registry), content_type

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry need not collect to know our names, of which no other collector has one."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of one commit."""
        with self._lock:
            taken, snapshot = self._series.taken(), self._snapshot
            counted = [
                *self._counting.readings(),
                *self._annotators.readings(time.monotonic()),
            ]
        # What takes longer is done while the loop goes on.
        readings = (
            *counted,
            *self._board_readings(),
            *_store_readings(self._store),
            *(snapshot.readings() if snapshot else ()),
        )
        yield from taken.families(readings)

    def _put_parity(self, *, is_equal: bool) -> None:
        self._series.put(PARITY_OK, float(is_equal))
        if is_equal:
            self._series.put(PARITY_TIME, time.time())

    def _board_readings(self) -> Iterator[Reading]:
        yield Reading(SOURCE_AWAY, (), float(self._board.away is not None))
        for number, (place, lag) in enumerate(self._board.lag.items()):
            is_own = number < LABELS_MAX
            labels = (shown(place.topic), str(place.number)) if is_own else (OTHER, OTHER)
            yield Reading(LAG, labels, float(lag))


def _store_readings(store: Path) -> Iterator[Reading]:
    wal = store.with_name(store.name + ".wal")
    yield Reading(STORE_BYTES, (), float(_size(store)))
    yield Reading(WAL_BYTES, (), float(_size(wal)))
    yield Reading(DISK_FREE, (), float(shutil.disk_usage(store.absolute().parent).free))


def _size(path: Path) -> int:
    """Bytes of a file, 0 where it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
