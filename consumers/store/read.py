"""Reading a store while nobody writes to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import duckdb

from consumers.errors import StoreError, UsageError
from consumers.store.connection import connect_read_only, first_line, translated
from consumers.store.migrate import check_version, migrations, schema_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a query. `types` are DuckDB's names."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


class Reader:
    """A read-only connection to a store. Raises: StoreError, StoreLocked.

    Its views are those of this labelwatch; with `is_any_schema` they may be those of an older one.
    """

    def __init__(self, path: Path, *, is_any_schema: bool = False) -> None:
        self._path = path
        self._db = connect_read_only(path)
        version = schema_version(self._db)
        if version == 0:
            raise StoreError(f"{path} is no labelwatch database; name one with --store")
        check_version(version)
        if not is_any_schema:
            self._refuse_older(version)

    def _refuse_older(self, version: int) -> None:
        newest = migrations()[-1][0]
        if version < newest:
            raise StoreError(
                f"{self._path} has schema {version}, this labelwatch reads {newest}; `labelwatch rebuild` "
                "brings it up to date, and so does the next `run` or `replay`"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._db.close()

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Result:
        """All rows of one statement. Raises: UsageError for wrong SQL."""
        if not sql.isascii() and any("\ud800" <= c <= "\udfff" for c in sql):
            raise UsageError(f"{sql!a} is not UTF-8; write it in UTF-8")
        with translated(self._path):
            try:
                cursor = self._db.execute(sql, parameters)
                if cursor is None:
                    raise UsageError(
                        "the statement is empty; write one, as in 'FROM label_issues'"
                    )
                described = cursor.description or []
                return Result(
                    [column[0] for column in described],
                    [str(column[1]) for column in described],
                    cursor.fetchall(),
                )
            except (duckdb.ProgrammingError, duckdb.NotSupportedError, duckdb.DataError) as error:
                raise UsageError(_hint(error)) from error
            except duckdb.OutOfMemoryException as error:
                raise UsageError(f"{first_line(error)}; ask for less") from error

    def arrow(self, sql: str) -> pa.RecordBatchReader:
        """The rows of a query as a stream of Arrow batches."""
        with translated(self._path):
            return self._db.sql(sql).to_arrow_reader()


def _hint(error: duckdb.Error) -> str:
    """DuckDB's message in one line, with what it suggests."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    hints = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate bindings"))]
    return "; ".join([first_line(error), *hints])
