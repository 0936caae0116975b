from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from sklearn.datasets import load_digits

from consumers.demo.pictures import data_uri


def decoded(uri):
    """The grey values of a PNG without filters; every checksum is looked at."""
    kind, _, text = uri.partition(",")
    assert kind == "data:image/png;base64"
    data = base64.b64decode(text, validate=True)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(name + body),)
        chunks[name] = body
        at += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 0, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def test_a_picture_is_the_digit():
    """Each picture is a PNG of 64 × 64 grey values, dark where there is ink, and less than 1 kB long."""
    images, _ = load_digits(return_X_y=True)
    for image in images[:200]:
        uri = data_uri(image)
        assert len(uri) < 1_000
        grey = decoded(uri)
        assert grey.shape == (64, 64)
        assert np.allclose(grey[4::8, 4::8], 255 - image.reshape(8, 8) * 255 / 16, atol=0.5)
    assert grey.min() == 0
    assert grey.max() == 255
