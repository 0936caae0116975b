"""Who writes comes before who reads: they share DuckDB's memory, and it may be short."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import duckdb

from consumers.store.connection import first_line, lacks_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from consumers.store.gate import Gate

    T = TypeVar("T")

ALONE_S = 10.0


class Precedence:
    """Sends readers away where a writer lacks memory. Without a `gate` nobody reads."""

    def __init__(self) -> None:
        self.gate: Gate | None = None

    def first(self, work: Callable[[], T]) -> T:
        """Read this; where memory is short anew, without readers. Raises: duckdb.Error, as the work does."""
        try:
            return work()
        except duckdb.Error as error:
            if not self._is_helped(error):
                raise
            with self._alone():
                return work()

    def write(self, work: Callable[[], None], was_done: Callable[[], bool]) -> None:
        """Do this in one transaction; where memory is short anew, without readers.

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
