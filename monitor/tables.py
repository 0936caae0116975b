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


class Annotations(Columns):
    """One row per annotation ever named: its newest write."""

    layout = (
        ("revision", np.int64, BEFORE_ALL),
        ("time_us", np.int64, 0),
        ("source", np.int32, 0),
        ("offset", np.int64, 0),
        ("example", np.int32, -1),
        ("annotator", np.int32, -1),
        ("given", np.int16, -1),
        ("content", np.int32, -1),
        ("next", np.int32, -1),
        ("is_retracted", np.bool_, False),
    )
    revision: NDArray[np.int64]
    time_us: NDArray[np.int64]
    source: NDArray[np.int32]
    offset: NDArray[np.int64]
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    content: Rows
    next: Rows
    is_retracted: Flags


class Examples(Columns):
    """One row per example ever named: the newest write of its prediction, and its annotations as a chain."""

    layout = (
        ("revision", np.int64, BEFORE_ALL),
        ("time_us", np.int64, 0),
        ("source", np.int32, 0),
        ("offset", np.int64, 0),
        ("stratum", np.int32, -1),
        ("is_truncated", np.bool_, False),
        ("first", np.int32, -1),
        ("live_count", np.int32, 0),
        ("has_marker", np.bool_, False),
    )
    revision: NDArray[np.int64]
    time_us: NDArray[np.int64]
    source: NDArray[np.int32]
    offset: NDArray[np.int64]
    stratum: Rows
    is_truncated: Flags
    first: Rows
    live_count: Rows
    has_marker: Flags


def keys_of(table: Annotations | Examples, rows: Rows) -> OrderKeys:
    """The newest keys of these rows."""
    return OrderKeys(
        table.revision[rows], table.time_us[rows], table.source[rows], table.offset[rows]
    )


def set_keys(table: Annotations | Examples, rows: Rows | slice, keys: OrderKeys) -> None:
    """Give these distinct rows their newest keys."""
    table.revision[rows] = keys.revision
    table.time_us[rows] = keys.time_us
    table.source[rows] = keys.source
    table.offset[rows] = keys.offset
