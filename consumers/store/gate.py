"""Questions to the live database, each on a cursor of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an answer may take."""

    rows: int = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, and whether there are more of them."""

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]
    is_truncated: bool
    elapsed_s: float


class Gate:
    """Asks the database while the loop writes to it. Any thread may."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db

    def ask(
        self, sql: str, parameters: Sequence[Any] = (), limits: Limits | None = None
    ) -> Answer:
        """The answer to one query, as of one commit."""
        limits = limits or Limits()
        started = time.monotonic()
        with self._db.cursor() as cursor:
            cursor.execute("USE labelwatch")
            cursor.execute(sql, parameters)
            columns = [(each[0], str(each[1])) for each in cursor.description or []]
            rows = cursor.fetchmany(limits.rows + 1)
        is_truncated = len(rows) > limits.rows
        return Answer(columns, rows[: limits.rows], is_truncated, time.monotonic() - started)
