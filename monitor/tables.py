"""The two tables of the ledger: a row for every annotation and every example ever named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.columns import Columns
from monitor.order import BEFORE_ALL, OrderKeys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int32]
    Flags = NDArray[np.bool_]


# As narrow as most streams need; `set_keys` widens what a larger number needs.
_KEY = (
    ("revision", np.int8, BEFORE_ALL),
    ("time_us", np.int64, 0),
    ("source", np.int16, 0),
    ("offset", np.int32, 0),
)


class Annotations(Columns):
    """One row per annotation ever named: its newest write."""

    layout = (
        *_KEY,
        ("example", np.int32, -1),
        ("annotator", np.int32, -1),
        ("given", np.int16, -1),
        ("content", np.int32, -1),
        ("next", np.int32, -1),
        ("is_retracted", np.bool_, False),
    )
    revision: NDArray[np.signedinteger]
    time_us: NDArray[np.int64]
    source: NDArray[np.signedinteger]
    offset: NDArray[np.signedinteger]
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    content: Rows
    next: Rows
    is_retracted: Flags


class Examples(Columns):
    """One row per example ever named: the newest write of its prediction, and its annotations as a chain."""

    layout = (
        *_KEY,
        ("stratum", np.int32, -1),
        ("is_truncated", np.bool_, False),
        ("first", np.int32, -1),
        ("live_count", np.int32, 0),
        ("has_marker", np.bool_, False),
    )
    revision: NDArray[np.signedinteger]
    time_us: NDArray[np.int64]
    source: NDArray[np.signedinteger]
    offset: NDArray[np.signedinteger]
    stratum: Rows
    is_truncated: Flags
    first: Rows
    live_count: Rows
    has_marker: Flags


def keys_of(table: Annotations | Examples, rows: Rows) -> OrderKeys:
    """The newest keys of these rows."""
    return OrderKeys(
        table.revision[rows].astype(np.int64),
        table.time_us[rows],
        table.source[rows].astype(np.int32),
        table.offset[rows].astype(np.int64),
    )


def set_keys(table: Annotations | Examples, rows: Rows | slice, keys: OrderKeys) -> None:
    """Give these distinct rows their newest keys."""
    table.put("revision", rows, keys.revision)
    table.time_us[rows] = keys.time_us
    table.put("source", rows, keys.source)
    table.put("offset", rows, keys.offset)
