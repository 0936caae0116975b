from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.columns import Columns, Matrix, capacity_for


class Points(Columns):
    layout = (("x", np.int32, -1), ("is_on", np.bool_, False))


@given(st.lists(st.integers(0, 5_000), max_size=6))
def test_rows_stay_and_new_ones_are_filled(sizes):
    """Growth moves no row and never shrinks; a new row holds the fill values."""
    points, written = Points(), 0
    for size in sizes:
        points.grow_to(size)
        assert points.size == max(written, size)
        assert (points.x[:written] == np.arange(written)).all()
        assert (points.x[written : points.size] == -1).all()
        assert not points.is_on[written : points.size].any()
        written = points.size
        points.x[:written] = np.arange(written)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 5)), max_size=6))
def test_a_matrix_grows_both_ways(shapes):
    """Rows and classes may be added at any time; new cells hold 0."""
    matrix, expected = Matrix(), np.zeros((0, 0), np.uint32)
    for i, (size, width) in enumerate(shapes):
        matrix.grow_to(size, width)
        more = np.maximum(np.subtract((size, width), expected.shape), 0)
        expected = np.pad(expected, ((0, more[0]), (0, more[1])))
        assert matrix.size == len(expected)
        cells = matrix.data[: matrix.size]
        assert (cells == expected).all()
        cells[::7] = expected[::7] = i + 1


def test_growth_is_rare_and_frugal():
    """A million rows, one by one, make room fewer than a hundred times, and an eighth too much at most."""
    count = size = capacity = 0
    while size < 1_000_000:
        size = capacity + 1
        capacity = capacity_for(size)
        count += 1
        assert capacity <= max(1_024, size * 1.125)
    assert count < 100


def test_growth_in_place_keeps_what_is_there():
    """Rows keep their values however often the system moves the column to more room."""
    points = Points()
    for size in range(0, 3_000_000, 99_991):
        points.grow_to(size)
        points.x[:size] = np.arange(size)
        points.grow_to(size + 1)
        assert (points.x[:size] == np.arange(size)).all()
