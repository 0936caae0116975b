"""Bulk writes through Arrow: INSERT, and DELETE with INSERT of a few rows. Never UPDATE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

    from monitor.tables import Rows


class Tables:
    """The tables of schema `store`, inside a transaction of the caller."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db

    def insert(self, table: str, batch: pa.Table) -> None:
        """Append all rows of an Arrow table; its columns are in the order of the table's."""
        if len(batch):
            self._db.register("batch", batch)
            self._db.execute(f"INSERT INTO store.{table} SELECT * FROM batch")  # noqa: S608 - our own names
            self._db.unregister("batch")

    def delete(self, statement: str, batch: pa.Table | Rows, *parameters: str) -> None:
        """Run a DELETE that reads `batch`: a table, or one column `value`."""
        if len(batch):
            table = batch if isinstance(batch, pa.Table) else pa.table({"value": batch})
            self._db.register("batch", table)
            self._db.execute(statement, list(parameters))
            self._db.unregister("batch")

    def replace(self, table: str, statement: str, batch: pa.Table) -> None:
        """Delete what `batch` names by its keys, then append it."""
        self.delete(statement, batch)
        self.insert(table, batch)
