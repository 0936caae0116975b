"""Parquet: row groups → JSON objects. A null is an absent field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from pyarrow import types

from consumers.arrow import pa
from consumers.errors import SourceError
from consumers.files.arrow_values import MISSING, NUMERIC, to_values
from consumers.files.cells import convert
from consumers.files.chunk import NO_RECORDS, Chunk, bounded
from consumers.files.header import Header, Kind
from consumers.files.rows import RowEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consumers.files.chunk import ReadSettings
    from consumers.files.fingerprint import Fingerprint

# As Python objects a batch takes several times its size in the file.
BATCH_BYTES = 8 << 20
BATCH_ROWS_MAX = 4096
BUFFER_BYTES = 1 << 20


class ParquetReader:
    """The rows of a Parquet file, a batch at a time.

    Raises: SourceError where the file is damaged.
    """

    def __init__(self, path: str, settings: ReadSettings) -> None:
        self._path = path
        self._value_bytes_max = settings.value_bytes_max
        self._waiting: list[bytes] = []
        self._file = _open(path)
        self._columns = _Columns(path, self._file.schema_arrow, Header(settings.field_paths))
        self._batches: Iterator[pa.RecordBatch] = self._file.iter_batches(
            batch_size=_batch_rows(self._file.metadata), use_threads=False
        )
        self.end_offset: int | None = self._file.metadata.num_rows
        self.next_offset = 0
        self.is_ended = False

    def read(self, records_max: int) -> Chunk:
        """Rows of one batch."""
        while not self._waiting and not self.is_ended:
            self._load()
        if self.is_ended:
            return NO_RECORDS
        values, self._waiting = self._waiting[:records_max], self._waiting[records_max:]
        first, self.next_offset = self.next_offset, self.next_offset + len(values)
        offsets = np.arange(first, self.next_offset)
        return Chunk(bounded(values, self._value_bytes_max), offsets)

    def skip(self, offset: int, fingerprint: Fingerprint) -> None:
        """Consume the rows before `offset`: read again, for only so can they be compared."""
        while self.next_offset < offset and not self.is_ended:
            fingerprint.add(self.read(offset - self.next_offset).values)

    def close(self) -> None:
        """Close the file and forget what waits."""
        self._waiting = []
        self._file.close()

    def _load(self) -> None:
        try:
            batch = next(self._batches, None)
            self.is_ended = batch is None
            if batch is not None:
                self._waiting = self._columns.encode(batch)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(_damaged(self._path, error)) from error


class _Columns:
    """What the columns of a schema mean, and the rows of its batches as JSON."""

    def __init__(self, source: str, schema: pa.Schema, header: Header) -> None:
        names: Sequence[str] = schema.names
        self._words = [NUMERIC if header.is_numeric(name) else MISSING for name in names]
        self._is_json_text = [
            header.kind(field.name) is Kind.JSON and _is_text(field.type) for field in schema
        ]
        self._encoder = RowEncoder(source, [header.path(name) for name in names])

    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        columns: list[Sequence[object]] = [
            to_values(column, words)
            for column, words in zip(batch.columns, self._words, strict=True)
        ]
        for i, is_json_text in enumerate(self._is_json_text):
            if is_json_text:
                columns[i] = convert(Kind.JSON, [str(cell or "") for cell in columns[i]])
        return self._encoder.encode(columns)


def _is_text(kind: pa.DataType) -> bool:
    # A column that its writer marked as JSON is an extension of text.
    stored = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return bool(types.is_string(stored) or types.is_large_string(stored))


def _open(path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=BUFFER_BYTES)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(_damaged(path, error)) from error


def _batch_rows(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    row_bytes = max(
        (group.total_byte_size // (group.num_rows or 1) for group in groups), default=0
    )
    return int(np.clip(BATCH_BYTES // (row_bytes + 1), 1, BATCH_ROWS_MAX))


def _damaged(path: str, error: Exception) -> str:
    reason = str(error).partition("\n")[0].rstrip(".")
    return f"{path}: no readable Parquet file ({reason}); write or copy it again"
