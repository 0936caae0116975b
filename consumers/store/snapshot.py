"""A copy of a database as of one commit, while it is in use or while nobody holds it.

DuckDB copies: this process never opens the file of a database that it has open, since closing it again
would drop DuckDB's lock. The copy has everything, the identity too: it is the same store, as of then.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import duckdb

from consumers import crash
from consumers.errors import StoreError
from consumers.store.connection import (
    BLOCK_BYTES,
    ROW_GROUP_ROWS,
    first_line,
    quoted,
    translated,
)
from consumers.store.look import check_mark
from consumers.store.memory_limit import Files
from consumers.store.migrate import schema_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from consumers.store.memory_limit import MemoryLimit

KEPT_S = 3600.0
_SPARE_BYTES = 64 << 20
_GIVE_UP_S = 0.02
_MORE_BYTES = (96 << 20, 1 << 30, 16 << 30)
"""Memory for a copy, tried in turn: large values need as much as a vector of them, or several."""
_COPY = "labelwatch_snapshot"
_ENDS = ("", ".wal", ".wal.checkpoint", ".wal.recovery")


@dataclass(frozen=True, slots=True)
class Taken:
    """A finished copy: its file, and the last transaction in it."""

    path: Path
    txn_id: int
    byte_count: int


class Snapshots:
    """Copies a database that is in use here, beside itself. Any thread may ask for one."""

    def __init__(self, db: duckdb.DuckDBPyConnection, path: Path, memory: MemoryLimit) -> None:
        self._db = db
        self._memory = memory
        self._path = path.resolve()
        self._is_busy = threading.Lock()
        self._is_closed = False
        # A process that was killed over a copy left it; the next copy tries again to remove it.
        with contextlib.suppress(OSError):
            _discard(working_files(self._path)[0])

    def take(self) -> Taken | None:
        """A new copy, None while another one is being made. It is removed an hour later, if nobody moved it.

        Raises: StoreError; the store goes on as if nothing had been.
        """
        if not self._is_busy.acquire(blocking=False):
            return None
        try:
            if self._is_closed:
                raise StoreError(f"{self._path}: the process ends; no snapshot was written")
            _remove_old(self._path)
            unfinished = working_files(self._path)[0]
            refuse_full(self._path, unfinished.parent)
            ready = self._path.with_name(f"{self._path.name}.snapshot-{time.time_ns()}")
            with _unfinished(unfinished):
                return _finished(unfinished, ready, self._copy(unfinished))
        except (duckdb.Error, OSError) as error:
            raise StoreError(
                f"{self._path}: no snapshot was written ({first_line(error)}); the store is as it was"
            ) from error
        finally:
            self._is_busy.release()

    def _copy(self, target: Path) -> int:
        # Without more memory commits and the copy take pages from one another, for up to a minute each.
        try:
            return _copy_with(self._db, target, partial(self._memory.lend, "snapshot"))
        finally:
            self._memory.lend("snapshot", 0)

    def close(self) -> None:
        """Give up what is being copied, and take no more. For the thread that holds the store."""
        self._is_closed = True
        while not self._is_busy.acquire(timeout=_GIVE_UP_S):
            # It may have come between two statements; then it meets the next one.
            self._db.interrupt()
        self._db.close()
        self._is_busy.release()


def working_files(store: Path) -> list[Path]:
    """What DuckDB writes while it copies a database in use: all that it needs access to beside the store."""
    return [store.with_name(f"{store.name}.snapshot{end}") for end in _ENDS]


def copy_closed(store: Path, target: Path, *, memory_limit: str | None = None) -> Taken:
    """Copy a database whose lock this process holds, without opening it for writing.

    Raises: StoreError, also where the database has lost its write-ahead log.
    """
    refuse_full(store, target.parent)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "default_block_size": BLOCK_BYTES,
        "temp_directory": f"{unfinished}.tmp",
    }
    with _unfinished(unfinished), translated(store), duckdb.connect(config=config) as db:
        db.execute(f"ATTACH {quoted(store)} AS labelwatch (READ_ONLY)")
        db.execute("USE labelwatch")
        if schema_version(db) == 0:
            raise StoreError(f"{store} is no labelwatch database; name one with --store")
        needed = Files.of(store).needed_bytes

        def limit(more: int) -> None:
            db.execute(f"SET memory_limit = '{memory_limit or f'{needed + more}B'}'")

        txn_id = _copy_with(db, unfinished, limit)
        check_mark(store, _identity(db), txn_id)
        return _finished(unfinished, target, txn_id)


def refuse_full(store: Path, folder: Path) -> None:
    """Raises: StoreError where the folder's disk has no room for a copy of the store, and some to go on."""
    wal = store.with_name(f"{store.name}.wal")
    needed = store.stat().st_size + (wal.stat().st_size if wal.exists() else 0) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{folder}: a snapshot needs {needed >> 20:,} MiB, and {free >> 20:,} MiB are free; make room"
        )


def moved(source: Path, target: Path) -> None:
    """Bring a finished copy to its place, whole or not at all, also onto another disk. Raises: OSError."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
        with _unfinished(unfinished):
            shutil.copyfile(source, unfinished)
            _sync(unfinished)
            unfinished.replace(target)
        source.unlink()
    _sync(target.parent)


def _copy_with(db: duckdb.DuckDBPyConnection, target: Path, limit: Callable[[int], None]) -> int:
    """Copy with as little memory as will do: more of it is filled with pages that are read once."""
    for more in _MORE_BYTES[:-1]:
        limit(more)
        with contextlib.suppress(duckdb.OutOfMemoryException):
            return _copy(db, target)
        _discard(target)
    limit(_MORE_BYTES[-1])
    return _copy(db, target)


def _copy(db: duckdb.DuckDBPyConnection, target: Path) -> int:
    """Write the database `labelwatch` of this connection to a new file; the last transaction in it."""
    try:
        db.execute(f"ATTACH {quoted(target)} AS {_COPY} (ROW_GROUP_SIZE {ROW_GROUP_ROWS})")
        try:
            db.execute(f"COPY FROM DATABASE labelwatch TO {_COPY}")
            crash.point("snapshot.copied")
            # What is in the log of a copy would have to be moved with it.
            db.execute(f"CHECKPOINT {_COPY}")
            row = db.execute(f"SELECT coalesce(max(txn_id), 0) FROM {_COPY}.store.txn").fetchone()  # noqa: S608 - ours
        finally:
            with contextlib.suppress(duckdb.Error):
                db.execute(f"DETACH {_COPY}")
    except duckdb.Error as error:
        if not re.search(r"No space left|File too large|Could not write", str(error)):
            raise
        raise StoreError(
            f"{target.parent}: the disk is full ({first_line(error)}); no snapshot was written: make room"
        ) from error
    assert row is not None, "an aggregate has one row"
    return int(row[0])


def _finished(unfinished: Path, target: Path, txn_id: int) -> Taken:
    byte_count = unfinished.stat().st_size
    _sync(unfinished)
    crash.point("snapshot.synced")
    unfinished.replace(target)
    _sync(target.parent)
    return Taken(target, txn_id, byte_count)


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[None]:
    """Nothing of a copy that failed stays, nor of one that a killed process left."""
    _discard(path)
    try:
        yield
    finally:
        _discard(path)


def _discard(path: Path) -> None:
    for end in _ENDS:
        path.with_name(path.name + end).unlink(missing_ok=True)


def _remove_old(store: Path) -> None:
    for path in store.parent.iterdir():
        if path.name.startswith(f"{store.name}.snapshot-"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > KEPT_S:
                    path.unlink()


def _identity(db: duckdb.DuckDBPyConnection) -> str:
    row = db.execute("SELECT value FROM store.setting WHERE name = 'store_id'").fetchone()
    assert row is not None, "a store has an identity"
    return str(json.loads(row[0]))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
