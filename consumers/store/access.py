"""Who may do what to an open store: one writes, and comes before those who read."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

import duckdb

from consumers.store.connection import first_line, lacks_memory, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from consumers.store.gate import Gate

    T = TypeVar("T")

ALONE_S = 10.0


class Access:
    """To an open store. At most one transaction writes at a time: whoever writes is `held` meanwhile.

    Readers are sent away where a writer lacks memory. Without a `gate` nobody reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.gate: Gate | None = None
        self._writing = threading.Lock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes. Raises: StoreError, for what DuckDB raises."""
        with self._writing, translated(self.path):
            yield

    def first(self, work: Callable[[], T]) -> T:
        """Read this, or fold the log; where memory is short anew, without readers. Raises: StoreError."""
        with translated(self.path):
            try:
                return work()
            except duckdb.Error as error:
                if not self._is_helped(error):
                    raise
                with self._alone():
                    return work()

    def write(self, work: Callable[[], None], was_done: Callable[[], bool]) -> None:
        """Do this in one transaction while `held`; where memory is short anew, without readers.

        `was_done` takes back what failed. What fails after a commit is not taken back: then it was done.
        Raises: duckdb.Error, as the work does.
        """
        try:
            work()
        except duckdb.Error as error:
            if not self._is_helped(error):
                raise
            with self._alone():
                if not was_done():
                    work()

    def _is_helped(self, error: duckdb.Error) -> bool:
        return self.gate is not None and lacks_memory(first_line(error))

    def _alone(self) -> AbstractContextManager[bool]:
        assert self.gate is not None, "somebody reads"
        return self.gate.closed(ALONE_S)


def roll_back(db: duckdb.DuckDBPyConnection) -> None:
    """End a transaction that failed, where it has not ended: a COMMIT that fails has ended its own."""
    with contextlib.suppress(duckdb.TransactionException):
        db.execute("ROLLBACK")
