"""Sorted distinct row numbers. Most of ours are nearly sorted already, where sorting beats hashing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def distinct(*rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """The distinct values of all arrays, ascending. It may be an array that was given.

    >>> distinct(np.array([3, 1], np.int32), np.array([1], np.int32)).tolist()
    [1, 3]
    """
    filled = [each for each in rows if each.size] or [rows[0]]
    merged = filled[0] if len(filled) == 1 else np.concatenate(filled)
    is_new = np.ones(merged.size, np.bool_)
    np.greater(merged[1:], merged[:-1], out=is_new[1:])
    if is_new.all():
        return merged
    merged = np.sort(merged)
    np.not_equal(merged[1:], merged[:-1], out=is_new[1:])
    return merged[is_new]
