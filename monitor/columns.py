"""Columns that grow together: the one mutable container of monitor/.

Rows are numbered by arrival and never move. Columns grow in place: the system remaps large ones to
more room without copying a byte, which an array of its own could not. So a view of a column must not
be kept while rows are added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    Grow = Callable[[NDArray[np.uint32], tuple[int, int]], NDArray[np.uint32]]

_ROWS_MIN = 1_024


def capacity_for(size: int) -> int:
    """Rows to allocate so that `size` rows fit and appending is amortised."""
    return max(_ROWS_MIN, size + size // 8)


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
        for name, _, fill in self.layout:
            column = getattr(self, name)
            if is_full:
                column.resize(capacity_for(size), refcheck=False)
            column[self.size : size] = fill
        self.size = size

    def put(
        self, name: str, rows: NDArray[np.integer] | slice, values: NDArray[np.integer]
    ) -> None:
        """Set integers in a column, which becomes wider where they need that."""
        column = getattr(self, name)
        room = np.iinfo(column.dtype)
        if values.size and (values.min() < room.min or values.max() > room.max):
            column = column.astype(values.dtype)
            setattr(self, name, column)
        column[rows] = values


class Matrix:
    """A growing (rows, K) array of uint32; K may grow too, new cells hold 0.

    `grow` moves the array to a larger shape: in memory by default, or wherever the shell keeps
    arrays that are too large for it.
    """

    def __init__(self, grow: Grow | None = None) -> None:
        self._grow = grow or grow_in_memory
        self.size = 0
        self.data: NDArray[np.uint32] = np.zeros((0, 0), np.uint32)

    def grow_to(self, size: int, width: int) -> None:
        """Make room for `size` rows of `width` columns."""
        rows, columns = self.data.shape
        if size > rows or width > columns:
            capacity = capacity_for(size) if size > rows else rows
            self.data = self._grow(self.data, (capacity, max(width, columns)))
        self.size = max(self.size, size)


def grow_in_memory(data: NDArray[np.uint32], shape: tuple[int, int]) -> NDArray[np.uint32]:
    """The array with more rows, in place, or with more columns, as a copy."""
    rows, columns = data.shape
    if columns == shape[1]:
        data.resize(shape, refcheck=False)
        return data
    grown = np.zeros(shape, np.uint32)
    grown[:rows, :columns] = data
    return grown
