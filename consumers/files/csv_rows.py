"""CSV and TSV: rows → JSON objects. A row that does not fit the header becomes a JSON array.

Nothing is dropped but blank lines: an array is what the decoder rejects as not_an_object, with
the cells there to be read.
"""

from __future__ import annotations

import csv
import io
import json
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from consumers.errors import SourceError
from consumers.files.cells import convert
from consumers.files.chunk import NO_RECORDS, Chunk, bounded
from consumers.files.header import Header
from consumers.files.rows import RowEncoder
from monitor.events import LargeValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consumers.files.chunk import ReadSettings
    from consumers.files.fingerprint import Fingerprint
    from consumers.files.lines import WholeLines

Row: TypeAlias = "list[str] | bytes | LargeValue"  # cells that fit; anything else is ready

_DELIMITERS = (",", ";", "\t")
_NAMES_SHOWN_MAX = 5
_NAME_SHOWN_MAX = 40


class CsvReader:
    """The rows below the header; their numbers start at 0 there.

    Raises: SourceError where the first line is no header.
    """

    def __init__(self, name: str, lines: WholeLines, settings: ReadSettings) -> None:
        self._lines = lines
        self._value_bytes_max = settings.value_bytes_max
        self._text = _TextLines(lines)
        self.next_offset = 0
        self.end_offset: int | None = None
        first_line = self._text.peek()
        self.is_ended = not first_line and self._text.large is None
        if not self.is_ended:
            self._read_header(name, first_line, Header(settings.field_paths))

    def read(self, records_max: int) -> Chunk:
        """Rows of at most two blocks of lines."""
        if self.is_ended or not records_max:
            return NO_RECORDS
        rows = self._next_rows(records_max)
        fitting = iter(self._encode([row for row in rows if isinstance(row, list)]))
        values = [next(fitting) if isinstance(row, list) else row for row in rows]
        first, self.next_offset = self.next_offset, self.next_offset + len(values)
        return Chunk(values, np.arange(first, self.next_offset))

    def skip(self, offset: int, fingerprint: Fingerprint) -> None:
        """Consume the rows before `offset`."""
        while self.next_offset < offset and not self.is_ended:
            fingerprint.add(self.read(offset - self.next_offset).values)

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def _read_header(self, name: str, first_line: str, header: Header) -> None:
        self._delimiter = _find_delimiter(first_line, header)
        self._start_segment()
        names = self._read_names()
        if not any(map(header.is_known, names)):
            raise SourceError(_no_header(name, names))
        self._kinds = [header.kind(column) for column in names]
        self._encoder = RowEncoder(name, [header.path(column) for column in names])

    def _read_names(self) -> list[str]:
        self._bound_cells()
        try:
            cells = next(self._rows, [])
        except csv.Error:  # a cell above the limit is no name
            cells = []
        self._text.row_lines.clear()
        return [cell.strip() or f"column_{i}" for i, cell in enumerate(cells, 1)]

    def _bound_cells(self) -> None:
        # The module has one limit for all readers, so it is set before each use. Without it a
        # quote that never closes would take the rest of the file into memory.
        csv.field_size_limit(self._value_bytes_max)

    def _start_segment(self) -> None:
        self._rows = csv.reader(self._text.segment(), delimiter=self._delimiter)

    def _next_rows(self, rows_max: int) -> list[Row]:
        self._bound_cells()
        rows: list[Row] = []
        text = self._text
        region_max = text.region_count + 2
        try:
            for cells in self._rows:
                if cells:
                    rows.append(self._judge(cells))
                text.row_lines.clear()
                if len(rows) >= rows_max or text.region_count >= region_max:
                    return rows
        except csv.Error:  # a cell above the limit; the lines after it are read as rows again
            rows.append(self._as_array(["".join(text.row_lines)]))
            text.row_lines.clear()
            return rows
        return rows + self._end_segment()

    def _judge(self, cells: list[str]) -> Row:
        # A row that comes after its lines have stopped is one whose quote was never closed.
        is_whole = not self._text.has_stopped and len(cells) == len(self._kinds)
        return cells if is_whole else self._as_array(cells)

    def _as_array(self, cells: list[str]) -> bytes | LargeValue:
        array = json.dumps(cells, ensure_ascii=False).encode("utf-8", "surrogateescape")
        return bounded([array], self._value_bytes_max)[0]

    def _end_segment(self) -> list[Row]:
        """The line above the limit at which the lines stopped, unless they ended."""
        if (large := self._text.large) is None:
            self.is_ended = True
            return []
        self._start_segment()
        return [large]

    def _encode(self, rows: Sequence[list[str]]) -> list[bytes | LargeValue]:
        if not rows:
            return []
        cells = zip(self._kinds, zip(*rows, strict=True), strict=True)
        values = self._encoder.encode([convert(kind, column) for kind, column in cells])
        return bounded(values, self._value_bytes_max)


class _TextLines:
    """Lines as text for csv.reader, which takes as many as a row has.

    `row_lines` are those of the row being read. Bytes that are no UTF-8 become surrogates.
    """

    def __init__(self, lines: WholeLines) -> None:
        self._lines = lines
        self._region: Iterator[str] = iter(())
        self.row_lines: list[str] = []
        self.region_count = 0
        self.large: LargeValue | None = None
        self.has_stopped = False

    def peek(self) -> str:
        """The first line that is not blank, still to be read; empty where there is none."""
        while self._load():
            for line in self._region:
                if not line.isspace():
                    self._region = chain([line], self._region)
                    return line
        return ""

    def segment(self) -> Iterator[str]:
        """The lines up to one above the limit, which is then `large`, or to the end."""
        self.has_stopped, self.large = False, None
        is_loaded = True
        while is_loaded:
            for line in self._region:
                self.row_lines.append(line)
                yield line
            is_loaded = self._load()
        self.has_stopped = True

    def _load(self) -> bool:
        match self._lines.next():
            case bytes() as lines:
                text = lines.decode("utf-8", "surrogateescape")
                # Of the ways to cut text into lines, this one keeps their ends as they are.
                self._region = iter(io.StringIO(text, newline=""))
                self.region_count += 1
                return True
            case LargeValue() as large:
                self.large = large
        return False


def _find_delimiter(line: str, header: Header) -> str:
    """The delimiter under which the line has most known names; the comma if none has any."""

    def known_count(delimiter: str) -> int:
        return sum(header.is_known(name.strip().strip('"')) for name in line.split(delimiter))

    return max(_DELIMITERS, key=known_count)


def _no_header(name: str, columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column[:_NAME_SHOWN_MAX]) for column in columns[:_NAMES_SHOWN_MAX])
    return (
        f"{name}: the first line is no header: no known field among {shown or 'its cells'}; "
        "add one such as example_id,label,pred_probs, or name the columns under [fields]"
    )
