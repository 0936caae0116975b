"""Queries beside the writer: safe ones, few at a time, each on a cursor of its own.

The writer comes first. Queries run in threads that yield the processor to it. Readers share DuckDB's
memory with it, so where that does not suffice they are sent away and the writer goes on (`Gate.closed`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from consumers.errors import LabelwatchError
from consumers.store.background import aside
from consumers.store.connection import NAME, let_go, translated
from consumers.store.query import (
    Answer,
    ArrowAnswer,
    Limits,
    Stopped,
    TimeUp,
    TooLarge,
    ask,
    ask_arrow,
    time_up,
    told,
)
from consumers.store.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import duckdb

    from consumers.store.memory_limit import MemoryLimit
    from consumers.store.query import Parameters

    T = TypeVar("T")

__all__ = [
    "Answer", "ArrowAnswer", "Busy", "Gate", "Limits", "Stopped", "TimeUp", "TooLarge", "Waiting",
]  # fmt: skip

WAIT_S, END_S = 1.0, 5.0
ROOM_BYTES = 320_000_000
"""Memory that DuckDB may use beyond the writer's while queries run. Sorts and joins spill beyond it."""
_LOOK_S, _WATCH_S, _KEPT_S = 0.05, 0.01, 10.0


class Busy(LabelwatchError):  # noqa: N818 - the name says what happened
    """As many queries run as may."""

    exit_code = 3


class Gate:
    """Answers queries from any thread. Made by `Store.gate`, in the thread that writes."""

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        path: Path,
        limits: Limits,
        *,
        queries: int,
        memory: MemoryLimit,
    ) -> None:
        self._path = path
        self._limits = limits
        self._queries = queries
        self._memory = memory
        self._root = db.cursor()
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(queries)
        self._running: set[Waiting] = set()
        self._has_ended = False

    def ask(
        self,
        sql: str,
        parameters: Parameters = (),
        limits: Limits | None = None,
        waiting: Waiting | None = None,
    ) -> Answer:
        """The answer to one query, as of one commit.

        Raises: UsageError, TimeUp, TooLarge, Busy, Stopped; StoreError where DuckDB is dead.
        """
        limits = limits or self._limits
        return self._run(lambda cursor: ask(cursor, sql, parameters, limits), limits, waiting)

    def ask_own(self, sql: str, parameters: Parameters = ()) -> Answer:
        """The answer to a query of ours, which may use what those of others may not. Raises: as `ask`."""
        return self.ask(sql, parameters, replace(self._limits, is_checked=False))

    def arrow(
        self,
        sql: str,
        parameters: Parameters = (),
        limits: Limits | None = None,
        waiting: Waiting | None = None,
    ) -> ArrowAnswer:
        """The same, as Arrow. Raises: as `ask`."""
        limits = limits or self._limits
        return self._run(
            lambda cursor: ask_arrow(cursor, sql, parameters, limits), limits, waiting
        )

    @contextlib.contextmanager
    def closed(self, wait_s: float) -> Iterator[bool]:
        """Send readers away, and let none in meanwhile; whether all have left within this time."""
        held = 0
        try:
            for _ in range(round(wait_s / _LOOK_S)):
                self._interrupt_all()
                while held < self._queries and self._slots.acquire(timeout=_LOOK_S):
                    held += 1
                if held == self._queries:
                    break
            yield held == self._queries
        finally:
            for _ in range(held):
                self._slots.release()

    def end(self) -> None:
        """Send readers away for good. Who does not leave in time reads on until the process ends."""
        # First, so that nobody comes back, and who asks again and again does not hold up those who wait.
        self._has_ended = True
        with self.closed(END_S), self._lock:
            let_go(self._root)

    @contextlib.contextmanager
    def _cursor(self, waiting: Waiting) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own, while `closed` knows who waits for it."""
        with self._lock:
            if self._has_ended:
                raise Stopped("the monitor is ending; ask again when it runs")
            if not self._running:
                self._memory.lend("queries", ROOM_BYTES)
            self._running.add(waiting)
            cursor = self._root.cursor()
        try:
            with contextlib.closing(cursor):
                yield cursor
        finally:
            with self._lock:
                self._running.discard(waiting)
                if not self._running:
                    self._memory.lend("queries", ROOM_BYTES, for_s=_KEPT_S)

    def _interrupt_all(self) -> None:
        with self._lock:
            running = list(self._running)
        for waiting in running:
            waiting.leave()

    def _run(
        self,
        work: Callable[[duckdb.DuckDBPyConnection], T],
        limits: Limits,
        waiting: Waiting | None,
    ) -> T:
        if not self._slots.acquire(timeout=WAIT_S):
            raise Busy(f"{self._queries} queries run already; ask again in a moment")
        waiting = waiting or Waiting()
        try:
            done = aside(lambda: self._answer(work, limits, waiting))
            self._watch(done, limits, waiting)
            return done.result()
        finally:
            self._slots.release()

    def _answer(
        self, work: Callable[[duckdb.DuckDBPyConnection], T], limits: Limits, waiting: Waiting
    ) -> T:
        with self._cursor(waiting) as cursor, translated(self._path), waiting.on(cursor):
            with told(limits):
                self._prepare(cursor, limits)
            return work(cursor)

    def _prepare(self, cursor: duckdb.DuckDBPyConnection, limits: Limits) -> None:
        cursor.execute(f"USE {NAME}")
        if limits.seconds is not None:
            # A new cursor has no limit, whatever that of the one it comes from.
            cursor.execute(f"SET max_execution_time = {max(1, round(limits.seconds * 1000))}")
        # What sorts and joins hold beyond it can be evicted when the writer needs the room.
        share = self._memory.limit // (5 * self._queries)
        cursor.execute(f"SET operator_memory_limit = '{share}B'")
        cursor.execute("BEGIN TRANSACTION READ ONLY")

    def _watch(self, done: Future[T], limits: Limits, waiting: Waiting) -> None:
        """Until it is done, interrupt it where it takes too long or too much.

        The clock is ours too: DuckDB's own does not run while it plans.
        """
        end = None if limits.seconds is None else time.monotonic() + limits.seconds
        while wait([done], _WATCH_S).not_done:
            if waiting.why:
                # An interrupt that comes between two statements is lost.
                waiting.end(waiting.why)
            elif end is not None and time.monotonic() > end:
                waiting.end(time_up(limits))
            elif self._memory.is_short():
                waiting.end(TooLarge("the query needs too much memory; ask for less at a time"))
