"""Lines as records. The work per line is one cut, done by bytes.split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consumers.files.chunk import NO_RECORDS, Chunk, bounded
from consumers.files.fingerprint import are_plain
from monitor.events import LargeValue

if TYPE_CHECKING:
    from consumers.files.fingerprint import Fingerprint
    from consumers.files.lines import WholeLines


class JsonlReader:
    """Each line that is not blank is a record; its number counts the blank ones as well."""

    def __init__(self, lines: WholeLines, value_bytes_max: int, first_offset: int = 0) -> None:
        self._lines = lines
        self._value_bytes_max = value_bytes_max
        self._line_number = first_offset  # of the next line to cut
        self._waiting = NO_RECORDS
        self.next_offset = first_offset
        self.end_offset: int | None = None
        self.is_ended = False

    def read(self, records_max: int) -> Chunk:
        """Records of one block of lines."""
        while not len(self._waiting.offsets):
            lines = self._lines.next()
            if lines is None:
                self.is_ended = self._lines.is_ended
                return NO_RECORDS
            self._cut(lines)
        return self._take(records_max)

    def skip(self, offset: int, fingerprint: Fingerprint) -> None:
        """Consume the records before `offset`; plain lines are hashed as they lie."""
        while self._line_number < offset and (lines := self._lines.next()) is not None:
            if isinstance(lines, bytes) and self._are_skipped(lines, offset):
                fingerprint.add_lines(lines)
                self._line_number = self.next_offset = self._line_number + lines.count(b"\n")
            else:
                self._cut(lines)
                before = int(np.searchsorted(self._waiting.offsets, offset))
                fingerprint.add(self._take(before).values)

    def close(self) -> None:
        """Close the file and forget what waits."""
        self._lines.close()
        self._waiting = NO_RECORDS

    def _are_skipped(self, lines: bytes, offset: int) -> bool:
        return self._line_number + lines.count(b"\n") <= offset and are_plain(lines)

    def _cut(self, lines: bytes | LargeValue) -> None:
        if isinstance(lines, LargeValue):
            self._waiting = Chunk([lines], np.array([self._line_number], np.int64))
            self._line_number += 1
            return
        values = (
            lines.replace(b"\r\n", b"\n").split(b"\n") if b"\r" in lines else lines.split(b"\n")
        )
        values.pop()
        numbers = np.arange(self._line_number, self._line_number + len(values))
        self._line_number += len(values)
        if not all(values) or any(map(bytes.isspace, values)):
            kept = [i for i, value in enumerate(values) if not self._is_blank(value)]
            values, numbers = [values[i] for i in kept], numbers[kept]
        self._waiting = Chunk(bounded(values, self._value_bytes_max), numbers)

    def _is_blank(self, line: bytes) -> bool:
        # A line above the limit is a record even if it is white space: whether it was held whole
        # depends on where blocks end, and records must not.
        return not line or (len(line) <= self._value_bytes_max and line.isspace())

    def _take(self, count: int) -> Chunk:
        values, offsets = self._waiting.values, self._waiting.offsets
        self._waiting = Chunk(values[count:], offsets[count:])
        if count:
            self.next_offset = int(offsets[:count][-1]) + 1
        return Chunk(values[:count], offsets[:count])
