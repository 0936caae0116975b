"""Reading a store while nobody writes to it."""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from consumers.errors import StoreError
from consumers.store.background import aside
from consumers.store.connection import connect_read_only, translated
from consumers.store.migrate import check_version, migrations, schema_version
from consumers.store.query import Limits, arrow_reader, ask, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa

    T = TypeVar("T")

_INSIST_S = 0.05


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a query. `types` are DuckDB's names."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


class Asking(Protocol):
    """What reading commands need: the file, or a monitor that holds it."""

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Result:
        """All rows of one query that only reads."""
        ...

    def arrow(self, sql: str) -> pa.RecordBatchReader:
        """The rows of one query as a stream of Arrow batches."""
        ...


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
        """All rows of one query that only reads. Raises: UsageError for wrong SQL, or another statement."""
        with translated(self._path):
            answer = self._unless_interrupted(lambda: ask(self._db, sql, parameters, Limits()))
        columns, types = zip(*answer.columns, strict=True)
        return Result(list(columns), list(types), answer.rows)

    def _unless_interrupted(self, work: Callable[[], T]) -> T:
        """Do this beside this thread, which hears of Ctrl-C: DuckDB does not look for it."""
        done = aside(work)
        try:
            return done.result()
        except KeyboardInterrupt:
            while wait([done], _INSIST_S).not_done:
                self._db.interrupt()
            raise

    def arrow(self, sql: str) -> pa.RecordBatchReader:
        """The rows of one query as a stream of Arrow batches. Raises: UsageError."""
        with translated(self._path), told(Limits()):
            return arrow_reader(self._db, sql)
