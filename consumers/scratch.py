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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def allocator(folder: Path, bytes_max: int) -> Callable[[tuple[int, int]], NDArray[np.uint32]]:
    """Allocates zeroed arrays: in memory up to `bytes_max`, in a file in `folder` above."""

    def allocate(shape: tuple[int, int]) -> NDArray[np.uint32]:
        if shape[0] * shape[1] * np.dtype(np.uint32).itemsize <= bytes_max:
            return np.zeros(shape, np.uint32)
        try:
            with tempfile.TemporaryFile(dir=folder, prefix="labelwatch-") as file:
                # Without its blocks, a full disk would end the process at some later write.
                size = shape[0] * shape[1] * np.dtype(np.uint32).itemsize
                os.posix_fallocate(file.fileno(), 0, size)
                return np.memmap(file, np.uint32, "w+", shape=shape)
        except OSError as error:
            raise StoreError(
                f"{folder}: {error.strerror}: no room for {shape[0]:,} rows of probabilities. The last "
                "batch was not stored, nothing is lost: make room, or raise mirror_bytes_max"
            ) from error

    return allocate
