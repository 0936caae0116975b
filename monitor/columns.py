"""Columns that grow together: the one mutable container of monitor/.

Rows are numbered by arrival and never move. Room grows by half; pages beyond the last row are not
touched and cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    Allocate = Callable[[tuple[int, int]], NDArray[np.uint32]]

_ROWS_MIN = 1_024


def capacity_for(size: int) -> int:
    """Rows to allocate so that `size` rows fit and appending is amortised."""
    return max(_ROWS_MIN, size + size // 2)


class Columns:
    """Named columns of one length. A subclass annotates them and lists (name, dtype, fill).

    >>> class Points(Columns):
    ...     layout = (("x", np.int32, -1),)
    >>> points = Points()
    >>> points.grow_to(2)
    >>> points.x[:points.size].tolist()
    [-1, -1]
    """

    layout: tuple[tuple[str, DTypeLike, Any], ...]

    def __init__(self) -> None:
        self.size = 0
        for name, dtype, fill in self.layout:
            setattr(self, name, np.full(_ROWS_MIN, fill, dtype))

    def grow_to(self, size: int) -> None:
        """Make room for rows up to `size`; new rows hold the fill value."""
        if size <= self.size:
            return
        is_full = size > getattr(self, self.layout[0][0]).size
        for name, dtype, fill in self.layout:
            if is_full:
                column = np.empty(capacity_for(size), dtype)
                column[: self.size] = getattr(self, name)[: self.size]
                setattr(self, name, column)
            # Rows beyond are not written yet, so that their pages cost no memory.
            getattr(self, name)[self.size : size] = fill
        self.size = size


class Matrix:
    """A growing (rows, K) array of uint32; K may grow too, new columns hold 0.

    `allocate` makes a zeroed array of a shape: in memory by default, or wherever the shell keeps
    arrays that are too large for it.
    """

    def __init__(self, allocate: Allocate | None = None) -> None:
        self._allocate = allocate or _in_memory
        self.size = 0
        self.data: NDArray[np.uint32] = _in_memory((0, 0))

    def grow_to(self, size: int, width: int) -> None:
        """Make room for `size` rows of `width` columns; new cells hold 0."""
        rows, columns = self.data.shape
        if size > rows or width > columns:
            capacity = capacity_for(size) if size > rows else rows
            grown = self._allocate((capacity, max(width, columns)))
            grown[: self.size, :columns] = self.data[: self.size]
            self.data = grown
        self.size = max(self.size, size)


def _in_memory(shape: tuple[int, int]) -> NDArray[np.uint32]:
    return np.zeros(shape, np.uint32)
