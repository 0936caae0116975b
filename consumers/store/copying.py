"""Rows as a file, in whatever form DuckDB writes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import duckdb

from consumers.errors import SourceError
from consumers.store.connection import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa


def copy_rows(
    rows: pa.RecordBatchReader, path: Path, options: str, json_columns: Iterable[str]
) -> int:
    """Write all rows to a file, with these options of COPY; how many. Raises: SourceError.

    Arrow carries JSON as text, so its columns are named.
    """
    casts = ", ".join(f"{name}::JSON AS {name}" for name in json_columns)
    target = str(path).replace("'", "''")
    with contextlib.closing(duckdb.connect(config={"threads": 1})) as db:
        db.register("rows", rows)
        try:
            statement = f"COPY (SELECT * REPLACE ({casts}) FROM rows) TO '{target}' {options}"  # noqa: S608 - names of ours, a quoted path
            found = db.execute(statement).fetchone()
        except duckdb.IOException as error:
            raise SourceError(f"{path}: {first_line(error)}; choose another --to") from error
    assert found is not None, "COPY counts its rows"
    return int(found[0])
