"""Rejected records, as an Arrow table in the shape of the store's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from consumers.arrow import pa
from monitor.events import LargeValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.events import Records, Rejection

VALUE_BYTES_MAX = 1 << 20
"""Bytes of a dead letter's value that are kept."""


def dead_letter_table(
    records: Records, rejections: Sequence[Rejection], sources: NDArray[np.int32], txn_id: int
) -> pa.Table:
    """Rejected records with their bytes (a prefix of long ones), coordinates, reason and error."""
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
            "txn_id": np.full(len(at), txn_id, np.int64),
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
