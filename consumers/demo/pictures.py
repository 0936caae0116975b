"""A digit as a small picture: a PNG in a data: address, which a page shows without asking anybody."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE, _SCALE = 8, 8
_INK_MAX = 16


def data_uri(ink: NDArray[np.float64]) -> str:
    """The picture of a digit, dark on white, 64 × 64, in less than 1 kB.

    Shape: (64,), row by row. Unit: from 0 (paper) to 16 (ink).
    """
    grey = np.rint(255 * (1 - ink / _INK_MAX)).astype(np.uint8).reshape(_SIDE, _SIDE)
    picture = _png(grey.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1))
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def _png(grey: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG. Source: PNG specification, third edition, 5 and 11."""
    height, width = grey.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    # Each row begins with the number of its filter: none.
    rows = np.hstack([np.zeros((height, 1), np.uint8), grey]).tobytes()
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
