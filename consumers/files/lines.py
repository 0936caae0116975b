"""Whole lines out of blocks. A line above the limit is never held whole."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from consumers.files.chunk import PREFIX_BYTES
from monitor.events import LargeValue

if TYPE_CHECKING:
    from consumers.files.blocks import Blocks

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class WholeLines:
    """The lines of an input, many at a time.

    Memory: a block and a line of `line_bytes_max`, whatever the input holds.
    """

    def __init__(self, blocks: Blocks, line_bytes_max: int) -> None:
        self._blocks = blocks
        self._line_bytes_max = line_bytes_max
        self._pieces: list[bytes] = []  # a line whose end has not come
        self._held_bytes = 0
        self._large: _LargeLine | None = None  # the same, once it is above the limit
        self._pushed_back = b""  # what stood after a large line in its last block
        self._is_started = False
        self.is_ended = False

    def next(self) -> bytes | LargeValue | None:
        r"""Whole lines, each with its \n; or one line above the limit; None at the end, or so far.

        The last line gets a \n where the input has none. Lines above the limit may come among
        others where a block held them anyway.
        """
        while not self.is_ended:
            block = self._next_block()
            if block is None:
                return None
            lines = self._take(block) if block else self._finish()
            if lines:
                return lines
        return None

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._blocks.close()

    def _next_block(self) -> bytes | None:
        block, self._pushed_back = self._pushed_back, b""
        return block or self._blocks.read()

    def _take(self, block: bytes) -> bytes | LargeValue | None:
        if self._large is not None:
            return self._continue_large(self._large, block)
        end = block.rfind(b"\n") + 1
        if end == 0:
            self._hold(block)
            return None
        lines = b"".join((*self._pieces, block[:end]))
        self._pieces = [block[end:]]
        self._held_bytes = len(block) - end
        return self._without_mark(lines)

    def _hold(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > self._line_bytes_max + 1:  # one byte more may be a \r
            self._large = _LargeLine(self._without_mark(b"".join(self._pieces)))
            self._pieces = []
            self._held_bytes = 0

    def _continue_large(self, large: _LargeLine, block: bytes) -> LargeValue | None:
        end = block.find(b"\n")
        if end < 0:
            large.add(block)
            return None
        large.add(block[:end])
        self._pushed_back = block[end + 1 :]
        self._large = None
        return large.value()

    def _finish(self) -> bytes | LargeValue | None:
        self.is_ended = True
        if self._large is not None:
            return self._large.value()
        rest = b"".join(self._pieces)
        return self._without_mark(rest + b"\n") if rest else None

    def _without_mark(self, lines: bytes) -> bytes:
        is_first, self._is_started = not self._is_started, True
        return lines.removeprefix(_BYTE_ORDER_MARK) if is_first else lines


class _LargeLine:
    """A line of which only the beginning, the length and the SHA-256 are kept."""

    def __init__(self, beginning: bytes) -> None:
        self._prefix = b""
        self._size = 0
        self._hash = sha256()
        self._withheld = b""
        self.add(beginning)

    def add(self, piece: bytes) -> None:
        r"""Go on with the line. A \r at its end waits: it may belong to the line's end."""
        piece = self._withheld + piece
        self._withheld = b"\r" if piece.endswith(b"\r") else b""
        piece = piece.removesuffix(b"\r")
        self._size += len(piece)
        self._hash.update(piece)
        if len(self._prefix) < PREFIX_BYTES:
            self._prefix = (self._prefix + piece)[:PREFIX_BYTES]

    def value(self) -> LargeValue:
        """What is kept of the line, its end not counted."""
        return LargeValue(self._prefix, self._size, self._hash.hexdigest())
