from __future__ import annotations

import numpy as np
import pytest

from consumers.errors import StoreError
from consumers.scratch import grower
from monitor.columns import Matrix


@pytest.mark.parametrize("bytes_max", [0, 100_000, 1 << 30])
def test_a_matrix_is_the_same_in_memory_and_on_disk(bytes_max, tmp_path):
    """Probabilities keep their values while they grow, in memory, on disk and from one to the other."""
    matrix, expected = Matrix(grower(tmp_path, bytes_max)), np.zeros((0, 0), np.uint32)
    for size, width in ((10, 2), (5_000, 2), (5_000, 7), (40_000, 7)):
        matrix.grow_to(size, width)
        more = np.subtract((size, width), expected.shape)
        expected = np.pad(expected, ((0, more[0]), (0, more[1])))
        assert (matrix.data[:size] == expected).all()
        matrix.data[:size:3] = expected[::3] = size
    assert isinstance(matrix.data, np.memmap) == (bytes_max < 1 << 30)


def test_the_file_has_no_name(tmp_path):
    """Nothing is left in the folder, however the process ends."""
    matrix = Matrix(grower(tmp_path, 0))
    matrix.grow_to(10_000, 3)
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_a_fault_of_the_store(tmp_path):
    """A folder that cannot take the file is told in one line that names the setting."""
    with pytest.raises(StoreError, match=r"no room for .* rows .* raise mirror_bytes_max"):
        Matrix(grower(tmp_path / "nowhere", 0)).grow_to(10, 2)
