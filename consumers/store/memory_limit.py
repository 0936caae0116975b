"""DuckDB's memory, where nobody has set it: what it needs now.

Any fixed limit is too small for what may come, or is filled with copies of what was written. Needed
are a few megabytes, what was written since the last checkpoint, a block for each row group that lost
rows since then or grew, and room for a vector of large values: DuckDB reads and folds in so many at a time.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from consumers.arrow import pa
from consumers.store.connection import ROW_GROUP_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_BYTES, _FILE_BYTES_PER_ROW = 48_000_000, 80
# Which rows of a row group came and went since the last checkpoint is kept in a block of its own.
_GROUP_BYTES = 256 << 10
_LARGE_TABLES = 5  # with a row for each annotation or example, some of which go
_LOG_BYTES_PER_DELETED = 8
_PER_HELD_BYTE, _PER_LARGE_BYTE = 1.25, 4
_PER_WAITING_BYTE = 3
_LARGE = 4_096
_STEP = 16_000_000
_RESERVE = 256_000_000
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@dataclass(frozen=True, slots=True)
class Large:
    """How many bytes stand in values of more than a page, and in the largest of them."""

    total: int = 0
    largest: int = 0

    def __add__(self, other: Large) -> Large:
        return Large(self.total + other.total, max(self.largest, other.largest))


def large_in(batch: pa.Table) -> Large:
    """The large values of a batch."""
    found = Large()
    for lengths in _lengths(batch):
        large = lengths[lengths > _LARGE]
        found += Large(int(large.sum()), int(large.max(initial=0)))
    return found


def _lengths(batch: pa.Table) -> Iterator[NDArray[np.int32]]:
    for column in batch.columns:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            for chunk in filter(len, column.chunks):
                offsets = np.frombuffer(chunk.buffers()[1], np.int32)
                yield np.diff(offsets[chunk.offset : chunk.offset + len(chunk) + 1])


def needed_bytes(held_bytes: int = 0, group_count: int = 0, large: Large | None = None) -> int:
    """For so many bytes that wait for a checkpoint, so many row groups changed by them, and large values."""
    large = large or Large()
    vector = min(large.total, large.largest * duckdb.__standard_vector_size__)
    held = round(held_bytes * _PER_HELD_BYTE)
    return _BYTES + held + group_count * _GROUP_BYTES + vector * _PER_LARGE_BYTE


@dataclass(frozen=True, slots=True)
class Files:
    """What is known of a store by the sizes of its files: a guess, until it is loaded."""

    row_count: int
    held_bytes: int

    @staticmethod
    def of(path: Path) -> Files:
        """Those of a database and its write-ahead log."""
        wal = path.with_name(f"{path.name}.wal")
        row_count = path.stat().st_size // _FILE_BYTES_PER_ROW
        return Files(row_count, wal.stat().st_size if wal.exists() else 0)

    @property
    def deleted_count(self) -> int:
        """The rows that the log may delete."""
        return self.held_bytes // _LOG_BYTES_PER_DELETED

    @property
    def needed_bytes(self) -> int:
        """Memory to open them with."""
        groups = min(self.deleted_count, _LARGE_TABLES * (self.row_count // ROW_GROUP_ROWS + 1))
        return needed_bytes(self.held_bytes, groups)


@dataclass(slots=True)
class _Changes:
    """Rows of a table: those in the file, and those that came and went since a checkpoint."""

    stored: int = 0
    inserted: int = 0
    deleted: int = 0

    @property
    def group_count(self) -> int:
        """The row groups that they may have changed."""
        new = -(-self.inserted // ROW_GROUP_ROWS)
        return new + min(self.deleted, self.stored // ROW_GROUP_ROWS + 1 + new)


class MemoryLimit:
    """Sets the limit of a connection, which has that of its files now. Where `is_fixed` it does nothing."""

    def __init__(self, db: duckdb.DuckDBPyConnection, files: Files, *, is_fixed: bool) -> None:
        # The limit is the instance's; who holds the store for writing may set it, and who borrows.
        self._db = db.cursor()
        self._lock = threading.Lock()
        self._lent: dict[str, tuple[int, float]] = {}
        self._is_fixed, self._is_closed = is_fixed, False
        self._large = Large()
        self._logged, self._unlogged = files.held_bytes, 0
        self._waiting = 0
        self._limit = _limit_of(self._db) if is_fixed else files.needed_bytes
        self._db.execute(
            "PREPARE held AS SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'ALLOCATOR'"
        )
        self._changes = {
            table: _Changes(stored, deleted=files.deleted_count)
            for table, stored in self._stored().items()
        }

    @property
    def limit(self) -> int:
        """Bytes that DuckDB may use."""
        return self._limit

    def is_short(self) -> bool:
        """Whether so much is held that cannot be evicted that a writer might lack it. From any thread."""
        with self._lock:
            if self._is_closed:
                return False
            ((held,),) = self._db.execute("EXECUTE held").fetchall()
        return int(held) > max(self._limit // 3, self._limit - _RESERVE)

    def keep(self, byte_count: int) -> None:
        """So many bytes wait in the inbox: to be read in one piece, and folded in meanwhile."""
        self._waiting = byte_count
        self._set()

    def fit(self, large: Large) -> None:
        """After a commit there are such values."""
        self._large, self._unlogged = large, 0
        self._set()

    def insert(self, table: str, row_count: int, byte_count: int) -> None:
        """So many rows are about to be written: few to the log, many with the commit to the file."""
        if row_count < ROW_GROUP_ROWS:
            self._changes[table].inserted += row_count
            self._logged += byte_count
        else:
            self._changes[table].stored += row_count
            self._unlogged += byte_count
        self._set()

    def delete(self, table: str, row_count: int) -> None:
        """Up to so many rows are about to be deleted."""
        self._changes[table].deleted += row_count
        self._set()

    def rewrite(self, byte_count: int) -> None:
        """Tables of so many bytes may be written anew in one transaction."""
        self._unlogged += byte_count
        self._set()

    def release(self) -> None:
        """All that was written is in the file now."""
        self._logged = 0
        with self._lock:
            found = self._stored()
        for table, stored in found.items():
            self._changes[table] = _Changes(stored)
        self._set()

    def lend(self, borrower: str, byte_count: int, *, for_s: float = math.inf) -> None:
        """So many bytes more are used beside the writer, for so long or until it is said anew.

        From any thread. Who borrows often keeps what was lent for a while: to set a limit takes milliseconds.
        """
        self._lent[borrower] = (byte_count, time.monotonic() + for_s)
        self._set()

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._db.close()
            self._is_closed = True

    def _stored(self) -> dict[str, int]:
        found = self._db.execute(
            "SELECT table_name, estimated_size FROM duckdb_tables() WHERE schema_name = 'store'"
        )
        return dict(found.fetchall())

    def _needed(self) -> int:
        now = time.monotonic()
        lent = sum(byte_count for byte_count, until in self._lent.copy().values() if until > now)
        held = self._logged + self._unlogged
        waiting = self._waiting * _PER_WAITING_BYTE
        groups = sum(changes.group_count for changes in self._changes.values())
        return needed_bytes(held, groups, self._large) + waiting + lent

    def _set(self) -> None:
        if self._is_fixed or self._is_right(self._needed()):
            return
        with self._lock:
            needed = self._needed()
            if self._is_closed or self._is_right(needed):
                return
            # A lower one is refused while more than that is in use: then it stays as it is.
            with contextlib.suppress(duckdb.OutOfMemoryException):
                self._db.execute(f"SET memory_limit = '{needed + _STEP}B'")
                self._limit = needed + _STEP

    def _is_right(self, needed: int) -> bool:
        return needed <= self._limit <= needed + 2 * _STEP


def _limit_of(db: duckdb.DuckDBPyConnection) -> int:
    """The limit as it is set; DuckDB writes it like 76.2 MiB."""
    ((text,),) = db.execute("SELECT current_setting('memory_limit')").fetchall()
    count, unit = text.split()
    return round(float(count) * _UNITS[unit])
