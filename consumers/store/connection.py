"""Opening DuckDB, and its errors as ours."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import duckdb

from consumers.errors import StoreError, StoreLocked
from consumers.store.lock import holder_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROW_GROUP_ROWS = 10_240
"""So many rows in one transaction go to the file at once, compressed, and not through the log."""
BLOCK_BYTES = (
    "65536"  # a block is shared by the columns of few row groups: large ones stay half empty
)
NAME = "labelwatch"
_NEVER = "1TB"
_NO_ROOM = re.compile(r"No space left|File too large|quota exceeded", re.IGNORECASE)
_NOT_WRITTEN = re.compile(r"Could not (write|fsync|truncate)", re.IGNORECASE)
# DuckDB's buffer manager ends its texts with (307.7 MiB/309.9 MiB used).
_NO_MEMORY = re.compile(r"Out of Memory|bad allocation|\(\S+ \w+/\S+ \w+ used\)", re.IGNORECASE)
_OFF = (
    "enable_external_access",
    "python_enable_replacements",
    "autoinstall_known_extensions",
    "autoload_known_extensions",
    "allow_community_extensions",
)
_OURS = ("max_execution_time", "memory_limit", "operator_memory_limit")
_DAMAGE = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException)


def connect(path: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Open the database for writing; checkpoints happen only when we say so. Raises: StoreError."""
    with translated(path):
        db = duckdb.connect(
            config={
                "threads": 1,
                "memory_limit": memory_limit,
                "wal_autocheckpoint": _NEVER,
                "temp_directory": f"{path}.tmp",
                "default_block_size": BLOCK_BYTES,
            }
        )
        try:
            # What is refused, or ends in a fault, stays as it is.
            db.execute("PRAGMA disable_checkpoint_on_shutdown")
            # The size of row groups can be chosen for an attached database only.
            db.execute(f"ATTACH {quoted(path)} AS {NAME} (ROW_GROUP_SIZE {ROW_GROUP_ROWS})")
            db.execute(f"USE {NAME}")
        except BaseException:
            db.close()
            raise
        return db


def cursor(db: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection of its own to the same open database, for another thread."""
    found = db.cursor()
    found.execute(f"USE {NAME}")
    return found


def let_go(db: duckdb.DuckDBPyConnection) -> None:
    """Close it; where a call on one of its cursors does not end, the end of the process will."""
    with contextlib.suppress(duckdb.ResourceInUseException):
        db.close()


def lock_down(db: duckdb.DuckDBPyConnection, files: Sequence[Path] = ()) -> None:
    """Nothing that a query says reaches a file but these, the network, variables of Python, or a setting.

    Open databases and the folder for spilling stay in reach of DuckDB, and of its file functions too:
    those are refused by name (guard.py). A read of our own file would drop DuckDB's lock on it.
    """
    # Shown times do not depend on the machine.
    db.execute("SET GLOBAL TimeZone = 'UTC'")
    db.execute(f"SET allowed_paths = [{', '.join(map(quoted, files))}]")
    for name in _OFF:
        db.execute(f"SET {name} = false")
    # What is listed can still be set, by each connection; this has to come last.
    db.execute(f"SET allowed_configs = {list(_OURS)}")
    db.execute("SET lock_configuration = true")


def connect_read_only(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the database for reading, while nobody writes. Raises: StoreError."""
    if not path.exists():
        raise StoreError(f"{path} does not exist; name the database with --store")
    with translated(path):
        db = duckdb.connect(str(path), read_only=True)
        lock_down(db)
        return db


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of DuckDB that mean bad surroundings become a StoreError that says what to do."""
    try:
        yield
    except duckdb.Error as error:
        text = first_line(error)
        if isinstance(error, duckdb.FatalException) or "has been invalidated" in text:
            # The instance is dead and the outcome of the last commit unknown; a new process reads
            # it from the file.
            mending = "raise memory_limit" if lacks_memory(text) else "make room or check the disk"
            raise StoreError(
                f"{path}: DuckDB stopped ({text}). Nothing is lost: keep {path.name} and "
                f"{path.name}.wal as they are, {mending}, and start again"
            ) from error
        if "Conflicting lock" in text or "Could not set lock" in text:
            raise StoreLocked(str(path), _holder(path, str(error))) from error
        if why := _not_stored(text):
            what, mending = why
            raise StoreError(
                f"{path}: {what} ({text}). The last batch was not stored, nothing is lost: {mending}"
            ) from error
        # A damaged log is told by an error that is nothing but duckdb.Error.
        if type(error) is duckdb.Error or isinstance(error, _DAMAGE):
            raise StoreError(
                f"{path} cannot be read ({text}). Keep it and its .wal file; restore a copy, or move both "
                "away and replay the input"
            ) from error
        raise


def lacks_memory(text: str) -> bool:
    """Whether it was memory that did not suffice. The type of an error does not say what ended a commit."""
    is_of_disk = _NO_ROOM.search(text) or _NOT_WRITTEN.search(text)
    return _NO_MEMORY.search(text) is not None and not is_of_disk


def _not_stored(text: str) -> tuple[str, str] | None:
    """What kept a transaction from being stored, as far as the text says, and what to do; else None."""
    if lacks_memory(text):
        return "DuckDB ran out of memory", "raise memory_limit and start again"
    if _NO_ROOM.search(text):
        return "the disk is full", "make room and start again"
    if _NOT_WRITTEN.search(text):
        return "it could not be written to", "make room or check the disk, and start again"
    if "failed to commit" in text.lower():
        return "a commit failed", "start again, and report this line if it comes again"
    return None


def quoted(path: Path) -> str:
    """A path as a literal in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def first_line(error: BaseException) -> str:
    """The first line of an error, without what DuckDB draws below it."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _holder(path: Path, text: str) -> str:
    """Who DuckDB says holds the file; with its command, if that is in our lock file too."""
    found = re.search(r"PID (\d+)", text)
    pid = f"pid {found[1]}" if found else "another process"
    held = holder_of(path) or ""
    return held if held.startswith(f"{pid} ") else pid
