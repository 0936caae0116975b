"""Arrays that are too large for memory, in an unnamed file beside the store.

The probabilities of all examples are needed to judge them afresh. Up to a limit they are in
memory; above it the operating system keeps what is in use there, and the rest on disk. The file
has no name, so it is gone with the process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from consumers.errors import StoreError
from monitor.columns import grow_in_memory

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.columns import Grow


def grower(folder: Path, bytes_max: int) -> Grow:
    """Grows arrays of uint32: in memory up to `bytes_max`, into a file in `folder` above.

    Raises: StoreError where the disk has no room.
    """

    def grow(data: NDArray[np.uint32], shape: tuple[int, int]) -> NDArray[np.uint32]:
        size = shape[0] * shape[1] * data.itemsize
        if size <= bytes_max:
            return grow_in_memory(data, shape)
        try:
            grown = _on_disk(folder, shape, size)
        except OSError as error:
            raise StoreError(
                f"{folder}: {error.strerror}: no room for {shape[0]:,} rows of probabilities. The last "
                "batch was not stored, nothing is lost: make room, or raise mirror_bytes_max"
            ) from error
        rows, columns = data.shape
        grown[:rows, :columns] = data
        return grown

    return grow


def _on_disk(folder: Path, shape: tuple[int, int], size: int) -> NDArray[np.uint32]:
    with tempfile.TemporaryFile(dir=folder, prefix="labelwatch-") as file:
        # Without its blocks, a full disk would end the process at some later write.
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, np.uint32, "w+", shape=shape)
