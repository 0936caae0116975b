"""Applies migrations in order, each together with its record in one transaction, then checkpoints.

DDL happens here and nowhere else: none may sit in the WAL when the process dies.
"""

from __future__ import annotations

import json
import uuid
from importlib import resources
from typing import TYPE_CHECKING

from consumers.errors import StoreError
from consumers.store.connection import connect, translated
from consumers.store.memory_limit import needed_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb


def migrations() -> list[tuple[int, str]]:
    """Number and text of every migration, in order."""
    folder = resources.files("consumers.store") / "migrations"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name.split("_")[0]), (folder / name).read_text("utf-8")) for name in files]


def create(path: Path) -> None:
    """Create a database with an identity of its own, whole or not at all, whenever the process dies.

    Raises: StoreError, also where a write-ahead log says that there was a database.
    """
    wal = path.with_name(f"{path.name}.wal")
    if wal.exists():
        raise StoreError(
            f"{path} is missing, but {wal.name} is there; restore it, or delete that too"
        )
    unfinished = path.with_name(f"{path.name}.new")
    _discard(unfinished)
    try:
        with translated(path):
            db = connect(unfinished, f"{needed_bytes()}B")
            migrate(db)
            identity = json.dumps(uuid.uuid4().hex)
            db.execute("INSERT INTO store.setting VALUES ('store_id', ?)", [identity])
            db.execute("CHECKPOINT")
            db.close()
        unfinished.replace(path)
    except BaseException:
        _discard(unfinished)
        raise


def _discard(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}.wal")):
        each.unlink(missing_ok=True)


def schema_version(db: duckdb.DuckDBPyConnection) -> int:
    """The number of the last migration applied, 0 for an empty database.

    Raises: StoreError for a database that something else made.
    """
    tables = db.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    if ("main", "labelwatch_schema") not in tables:
        if tables:
            raise StoreError(
                f"the database has tables of another program ({tables[0][1]}, …); use another --store"
            )
        return 0
    row = db.execute("SELECT max(version) FROM labelwatch_schema").fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def migrate(db: duckdb.DuckDBPyConnection) -> None:
    """Bring the schema up to date. Raises: StoreError for a schema from a newer version."""
    known = migrations()
    version = schema_version(db)
    check_version(version)
    for number, text in known:
        if number > version:
            db.execute("BEGIN")
            db.execute("CREATE TABLE IF NOT EXISTS labelwatch_schema (version INTEGER)")
            db.execute(text)
            db.execute("INSERT INTO labelwatch_schema VALUES (?)", [number])
            db.execute("COMMIT")
    if version < known[-1][0]:
        db.execute("CHECKPOINT")


def check_version(version: int) -> None:
    """Raises: StoreError for a schema from a newer version of labelwatch."""
    newest = migrations()[-1][0]
    if version > newest:
        raise StoreError(
            f"the database has schema {version}, this labelwatch knows up to {newest}; "
            "install a newer labelwatch"
        )
