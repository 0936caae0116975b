"""Rejected records: into the store as an Arrow table, out of it in pages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from consumers.arrow import pa
from consumers.store import statements as sql
from monitor.events import LargeValue, Partition, Records

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import duckdb
    from numpy.typing import NDArray

    from monitor.events import Rejection

VALUE_BYTES_MAX = 1 << 20
"""Bytes of a dead letter's value that are kept."""

LetterPlace = tuple[int, int, int]
"""The transaction that first rejected a letter, its source and position: the order letters came in."""

BEFORE_ALL: LetterPlace = (0, -1, -1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters, and how many at the most. `is_whole`: only those whose bytes are all there."""

    rows_max: int
    bytes_max: int
    is_whole: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as stored. `value` is the beginning of one longer than what is kept."""

    txn_id: int
    source: int
    position: int
    topic: str
    number: int
    key: bytes | None
    time_us: int
    value: bytes | None
    size: int
    sha256: str | None
    reason: str
    error: str
    first_seen_at: dt.datetime

    @property
    def place(self) -> LetterPlace:
        """Where it stands among the letters."""
        return self.txn_id, self.source, self.position


def letters_after(
    db: duckdb.DuckDBPyConnection, place: LetterPlace, wanted: Wanted
) -> list[Letter]:
    """The next letters in order, one at least where there is one."""
    found = db.execute(
        sql.LETTER_SIZES,
        dict(zip(("txn_id", "source", "position"), place, strict=True))
        | {"reason": wanted.reason, "is_whole": wanted.is_whole}
        | {"rows_max": wanted.rows_max, "kept_bytes": VALUE_BYTES_MAX},
    ).fetchall()
    sums = accumulate(size for *_, size in found)
    places = [
        row[:3] for i, (row, total) in enumerate(zip(found, sums, strict=True))
        if i == 0 or total <= wanted.bytes_max
    ]  # fmt: skip
    if not places:
        return []
    names = ("txn_id", "source", "position")
    columns = (pa.array(column, pa.int64()) for column in zip(*places, strict=True))
    db.register("batch", pa.table(dict(zip(names, columns, strict=True))))
    letters = db.execute(sql.LETTERS, {"first": places[0][0], "last": places[-1][0]}).fetchall()
    db.unregister("batch")
    return [Letter(*row) for row in letters]


def records_of(letters: Sequence[Letter]) -> Records:
    """The letters as records with their original coordinates."""
    places = [Partition(each.topic, each.number) for each in letters]
    partitions = tuple(dict.fromkeys(places))
    numbers = {place: number for number, place in enumerate(partitions)}
    return Records(
        [each.value for each in letters],
        [each.key for each in letters],
        np.array([each.position for each in letters], np.int64),
        np.array([each.time_us for each in letters], np.int64),
        np.array([numbers[place] for place in places], np.int64),
        partitions,
    )


def dead_letter_table(
    records: Records,
    rejections: Sequence[Rejection],
    sources: NDArray[np.int32],
    txn_ids: NDArray[np.int64],
) -> pa.Table:
    """Rejected records with their bytes (a prefix of long ones), coordinates, reason and error.

    `txn_ids[i]` is the transaction that first rejected record i.
    """
    at = [rejection.position for rejection in rejections]
    kept = [_kept(records.values[i]) for i in at]
    return pa.table(
        {
            "source": sources[records.partition_index[at]] if at else np.empty(0, np.int32),
            "position": records.offsets[at] if at else np.empty(0, np.int64),
            "record_key": pa.array([records.keys[i] for i in at], pa.binary()),
            "time_us": records.timestamps_us[at] if at else np.empty(0, np.int64),
            "value": pa.array([value for value, _, _ in kept], pa.binary()),
            "is_null": pa.array([records.values[i] is None for i in at], pa.bool_()),
            "size": pa.array([size for _, size, _ in kept], pa.int64()),
            "sha256": pa.array([digest for _, _, digest in kept], pa.string()),
            "reason": pa.array([str(rejection.reason) for rejection in rejections], pa.string()),
            "error": pa.array([rejection.error for rejection in rejections], pa.string()),
            "txn_id": txn_ids[at] if at else np.empty(0, np.int64),
        }
    )


def _kept(value: bytes | LargeValue | None) -> tuple[bytes, int, str | None]:
    if value is None:
        return b"", 0, None
    if isinstance(value, LargeValue):
        return value.prefix[:VALUE_BYTES_MAX], value.size, value.sha256
    if len(value) > VALUE_BYTES_MAX:
        return value[:VALUE_BYTES_MAX], len(value), hashlib.sha256(value).hexdigest()
    return value, len(value), None
