"""Queries of others on the live database: each on a cursor of its own, in a read-only transaction."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from consumers.errors import LabelwatchError, UsageError
from consumers.store.connection import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class TimeUp(LabelwatchError):  # noqa: N818 - the name says what happened
    """A query that takes longer than it may."""


class TooLarge(LabelwatchError):  # noqa: N818 - as above
    """An answer that is larger than it may be."""


class Busy(LabelwatchError):  # noqa: N818 - as above
    """More queries at a time than there may be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, and the names and types of their columns."""

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]
    is_truncated: bool
    elapsed_s: float


class Gate:
    """Asks the live database. May be used by any thread."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._cursors: set[duckdb.DuckDBPyConnection] = set()
        self._is_closed = False

    def ask(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
        """All rows of one statement. Raises: UsageError, Busy."""
        with self._lock:
            if self._is_closed:
                raise Busy("the store is being closed")
            cursor = self._db.cursor()
            self._cursors.add(cursor)
        try:
            return self._answer(cursor, sql, parameters)
        except duckdb.InterruptException as error:
            raise Busy("the store is being closed") from error
        except duckdb.Error as error:
            raise UsageError(first_line(error)) from error
        finally:
            with self._lock:
                self._cursors.discard(cursor)
            cursor.close()

    def close(self) -> None:
        """Interrupt what runs, and refuse what is asked from now on."""
        with self._lock:
            self._is_closed = True
            for cursor in self._cursors:
                cursor.interrupt()

    @staticmethod
    def _answer(
        cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any]
    ) -> Answer:
        started = time.monotonic()
        cursor.execute("USE labelwatch")
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        cursor.execute(sql, parameters)
        columns = [(column[0], str(column[1])) for column in cursor.description or []]
        rows = cursor.fetchall()
        return Answer(columns, rows, is_truncated=False, elapsed_s=time.monotonic() - started)
