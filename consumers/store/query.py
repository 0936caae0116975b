"""Running one query for somebody else: checked, within limits, its errors in one line."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from consumers.errors import LabelwatchError, UsageError
from consumers.store.connection import first_line
from consumers.store.guard import check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    Parameters = Sequence[Any] | Mapping[str, Any]

_PAGE_ROWS, _PAGE_BYTES = 1_000, 1 << 20
_ZONED = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "TIMESTAMPTZ_NS": "TIMESTAMP_NS"}


class TimeUp(LabelwatchError):  # noqa: N818 - the name says what happened
    """A query took longer than it may."""

    exit_code = 2


class TooLarge(LabelwatchError):  # noqa: N818 - the name says what happened
    """A query needs more memory, or has a larger answer, than it may."""

    exit_code = 2


class Stopped(LabelwatchError):  # noqa: N818 - the name says what happened
    """A query was interrupted: nobody waits for it any more, or the process ends."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take; None: as much as it wants. More rows are cut, more bytes are an error."""

    seconds: float | None = None
    rows: int | None = None
    bytes: int | None = None
    is_checked: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query, and name and type, as DuckDB writes it, of each column."""

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]
    is_truncated: bool
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class ArrowAnswer:
    """The same as Arrow batches."""

    schema: pa.Schema
    batches: list[pa.RecordBatch]
    is_truncated: bool
    elapsed_s: float


def ask(db: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters, limits: Limits) -> Answer:
    """The answer to one query that only reads. Raises: UsageError, TimeUp, TooLarge, Stopped."""
    start = time.perf_counter()
    with told(limits):
        if limits.is_checked:
            check(db, sql)
        columns = _columns(db.execute(sql, parameters))
        if any(_without_zone(kind) != kind for _, kind in columns):
            db.abort()
            db.execute(_in_utc(sql, columns), parameters)
        rows, is_truncated = _fetch(db, limits)
    return Answer(columns, rows, is_truncated, time.perf_counter() - start)


def ask_arrow(
    db: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters, limits: Limits
) -> ArrowAnswer:
    """The same, as Arrow. Raises: UsageError, TimeUp, TooLarge, Stopped."""
    start = time.perf_counter()
    batches: list[pa.RecordBatch] = []
    left, room = limits.rows, limits.bytes
    with told(limits):
        with contextlib.closing(arrow_reader(db, sql, parameters)) as reader:
            schema = reader.schema
            for batch in reader:
                kept = batch if left is None else batch.slice(0, left)
                batches.append(kept)
                left = None if left is None else left - len(kept)
                room = _room(room, kept.nbytes, limits)
                if len(kept) < len(batch):
                    break
        is_truncated = bool(batches) and len(kept) < len(batch)
    return ArrowAnswer(schema, batches, is_truncated, time.perf_counter() - start)


def arrow_reader(
    db: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters = ()
) -> pa.RecordBatchReader:
    """The rows of one query that only reads, as a stream. Raises: UsageError, duckdb.Error."""
    check(db, sql)
    relation = db.sql(sql, params=parameters) if parameters else db.sql(sql)
    return relation.to_arrow_reader(_PAGE_ROWS)


@contextlib.contextmanager
def told(limits: Limits) -> Iterator[None]:
    """What DuckDB says of a query, in one line that says what to do. A dead instance stays what it is."""
    try:
        yield
    except duckdb.InterruptException as error:
        if "maximum execution time" in str(error):
            raise time_up(limits) from error
        raise Stopped("the query was interrupted; ask again") from error
    except (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException):
        raise
    except duckdb.OutOfMemoryException as error:
        raise TooLarge(
            f"the query needs too much memory ({first_line(error)}); ask for less"
        ) from error
    except duckdb.PermissionException as error:
        raise UsageError(f"{first_line(error)}; ask the views, see SHOW TABLES") from error
    except (
        duckdb.ProgrammingError,
        duckdb.NotSupportedError,
        duckdb.DataError,
        duckdb.TransactionException,
        duckdb.SequenceException,
    ) as error:
        raise UsageError(_hint(error)) from error


def time_up(limits: Limits) -> TimeUp:
    """The error of a query that took too long."""
    return TimeUp(
        f"the query took longer than {limits.seconds:g} s; ask for less, or raise http.query_s"
    )


def _columns(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return [(column[0], str(column[1])) for column in db.description or []]


def _in_utc(sql: str, columns: list[tuple[str, str]]) -> str:
    """The same query with times in UTC: those with a zone reach Python only by way of another package."""
    names = ", ".join(f"c{i}" for i in range(len(columns)))
    casts = ", ".join(
        f"c{i}::{_without_zone(kind)}" if _without_zone(kind) != kind else f"c{i}"
        for i, (_, kind) in enumerate(columns)
    )
    return f"SELECT {casts} FROM ({sql.rstrip().removesuffix(';')}\n) AS asked({names})"  # noqa: S608 - checked


def _without_zone(kind: str) -> str:
    for zoned, plain in _ZONED.items():
        kind = kind.replace(zoned, plain)
    return kind


def _fetch(db: duckdb.DuckDBPyConnection, limits: Limits) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows page by page, so that the limits bind before all of them are in memory."""
    rows: list[tuple[Any, ...]] = []
    room, count = limits.bytes, 16
    while page := db.fetchmany(count):
        if limits.rows is not None and len(rows) + len(page) > limits.rows:
            rows += page[: limits.rows - len(rows)]
            return rows, True
        rows += page
        size = sum(map(_size, page))
        room = _room(room, size, limits)
        count = max(1, min(_PAGE_ROWS, count * 2, len(page) * _PAGE_BYTES // size))
    return rows, False


def _room(room: int | None, size: int, limits: Limits) -> int | None:
    if room is None:
        return None
    if size > room:
        raise TooLarge(
            f"the answer is larger than {limits.bytes:,} bytes; ask for fewer rows or columns, or raise "
            "http.query_bytes"
        )
    return room - size


def _size(value: Any) -> int:  # noqa: ANN401 - whatever DuckDB returns
    """About as many bytes as a value takes in an answer."""
    if isinstance(value, str | bytes):
        return 8 + len(value)
    if isinstance(value, dict):
        return 8 + sum(map(_size, value.values()))
    if isinstance(value, list | tuple):
        return 8 + sum(map(_size, value))
    return 8


def _hint(error: duckdb.Error) -> str:
    """DuckDB's message in one line, with what it suggests."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    hints = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate bindings"))]
    return "; ".join([first_line(error), *hints])
