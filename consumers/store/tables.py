"""Bulk writes through Arrow: INSERT, and DELETE with INSERT of a few rows. Never UPDATE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.arrow import pa
from consumers.store import statements as sql

if TYPE_CHECKING:
    import duckdb

    from consumers.store.memory_limit import MemoryLimit
    from monitor.tables import Rows


_ANY = 1 << 40


class _Batch:
    """What DuckDB reads under one name: whatever rows stand here when a statement runs.

    Registering a table anew for each statement costs more than most statements do.
    """

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows

    def __arrow_c_schema__(self) -> object:
        return self.rows.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


class Tables:
    """The tables of schema `store`, inside a transaction of the caller.

    Statements read the rows that are meant for table x as `batch_x`; their columns never change.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, memory: MemoryLimit) -> None:
        self._db = db
        self._memory = memory
        self._batches: dict[str, _Batch] = {}
        self._prepared: set[str] = set()

    def insert(self, table: str, batch: pa.Table) -> None:
        """Append all rows of an Arrow table; its columns are in the order of the table's."""
        if len(batch):
            self._memory.insert(table, len(batch), batch.nbytes)
            self._show(table, batch)
            if table not in self._prepared:
                # Planning an INSERT takes longer than to insert the few rows of a light stream.
                self._db.execute(
                    f"PREPARE insert_{table} AS INSERT INTO store.{table} SELECT * FROM batch_{table}"  # noqa: S608 - our own names
                )
                self._prepared.add(table)
            self._db.execute(f"EXECUTE insert_{table}")

    def delete(self, table: str, rows: Rows, *parameters: str) -> None:
        """Delete rows by their numbers, which sql.DELETE reads as `batch_rows (value)`."""
        if len(rows):
            self._memory.delete(table, len(rows))
            self._show("rows", pa.table({"value": rows}))
            self._db.execute(sql.DELETE[table], list(parameters))

    def delete_by(self, table: str, keys: pa.Table) -> None:
        """Delete rows by their keys, which sql.DELETE_BY reads as `batch_<table>_keys`."""
        if len(keys):
            self._memory.delete(table, len(keys))
            self._show(f"{table}_keys", keys)
            self._db.execute(sql.DELETE_BY[table])

    def delete_stratum(self, table: str, number: int) -> None:
        """Delete all rows of a stratum."""
        self._memory.delete(table, _ANY)
        self._db.execute(f"DELETE FROM store.{table} WHERE stratum = ?", [number])  # noqa: S608 - our own names

    def replace_all(self, table: str, batch: pa.Table) -> None:
        """Replace every row of a small table: that costs less than to look for those that go."""
        self._memory.delete(table, _ANY)
        self._db.execute(f"DELETE FROM store.{table}")  # noqa: S608 - our own names
        self.insert(table, batch)

    def _show(self, name: str, rows: pa.Table) -> None:
        if name not in self._batches:
            self._batches[name] = _Batch(rows)
            self._db.register(f"batch_{name}", self._batches[name])
        self._batches[name].rows = rows
