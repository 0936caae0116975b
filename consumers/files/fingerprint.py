"""A rolling identity of the records consumed so far."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, TypeGuard, cast

import numpy as np
import xxhash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.events import LargeValue

# Longer values enter by their SHA-256, because that is all a LargeValue still knows of itself.
# The limit is not `value_bytes_max`: changing that setting must not make a file look changed.
WHOLE_BYTES_MAX = 1 << 20

_NEWLINE = 10
_SPACE = 32


class Fingerprint:
    """xxh3-128 over the values consumed, each followed by a newline.

    The same values give the same digest, however they are cut into calls.
    """

    def __init__(self) -> None:
        self._state = xxhash.xxh3_128()

    def add(self, values: Sequence[bytes | LargeValue]) -> int:
        """Consume the values; the number of bytes they hold in memory."""
        if _are_whole(values):
            self._state.update(joined := b"\n".join([*values, b""]))
            return len(joined)
        self._state.update(b"\n".join([*map(_token, values), b""]))
        return sum(map(_held_bytes, values))

    def add_lines(self, lines: bytes) -> None:
        """Consume whole lines as they lie in a file; see `are_plain`."""
        self._state.update(lines)

    def digest(self) -> str:
        """The fingerprint so far, as 32 hexadecimal digits."""
        return self._state.hexdigest()


def are_plain(lines: bytes) -> bool:
    r"""Whether hashing these lines as they lie is the same as hashing them as records.

    That is so where no line is blank, too long to enter whole, or ends in \r\n. It answers no too
    often (any carriage return, any line that begins with white space), never too rarely.
    """
    if b"\r" in lines:
        return False
    text = np.frombuffer(lines, np.uint8)
    starts = np.flatnonzero(text == _NEWLINE) + 1
    longest = int(np.diff(starts, prepend=0).max()) - 1
    return bool(text[0] > _SPACE and (text[starts[:-1]] > _SPACE).all()) and (
        longest <= WHOLE_BYTES_MAX
    )


def _are_whole(values: Sequence[bytes | LargeValue]) -> TypeGuard[Sequence[bytes]]:
    is_bytes = set(map(type, values)) <= {bytes}
    return (
        is_bytes and max(map(len, cast("Sequence[bytes]", values)), default=0) <= WHOLE_BYTES_MAX
    )


def _token(value: bytes | LargeValue) -> bytes:
    if isinstance(value, bytes):
        return value if len(value) <= WHOLE_BYTES_MAX else sha256(value).hexdigest().encode()
    return value.prefix if value.size <= WHOLE_BYTES_MAX else value.sha256.encode()


def _held_bytes(value: bytes | LargeValue) -> int:
    return len(value) if isinstance(value, bytes) else len(value.prefix)
