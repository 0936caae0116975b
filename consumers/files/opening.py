"""From a path to the reader of its format: by its first bytes, then by its extension."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from consumers.errors import SourceError
from consumers.files.blocks import GZIP_MAGIC, FileBlocks, head
from consumers.files.csv_rows import CsvReader
from consumers.files.jsonl import JsonlReader
from consumers.files.lines import WholeLines

if TYPE_CHECKING:
    from consumers.files.chunk import Reader, ReadSettings

PARQUET_MAGIC = b"PAR1"
_HEAD_BYTES = 16

_PARQUET_NAME = re.compile(r"\.(parquet|pq)$", re.IGNORECASE)
_CSV_NAME = re.compile(r"\.(csv|tsv)(\.gz)?$", re.IGNORECASE)
_JSON_NAME = re.compile(r"\.json$", re.IGNORECASE)

# What is none of the formats, and the command that makes it one.
_FOREIGN = {
    b"\xff\xfe": ("UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "iconv -f UTF-16 -t UTF-8"),
    b"(\xb5/\xfd": ("compressed with zstd", "zstd -dc"),
    b"BZh91AY&SY": ("compressed with bzip2", "bzip2 -dc"),
    b"\xfd7zXZ\x00": ("compressed with xz", "xz -dc"),
    b"PK\x03\x04": ("a ZIP archive or a spreadsheet", "unzip -p"),
}


def open_reader(path: str, settings: ReadSettings) -> Reader:
    """The reader for a file: gzip and Parquet by their first bytes, CSV by name, else JSONL.

    Raises: SourceError where the file cannot be opened, or is of a format that is not read.
    """
    beginning = head(path, _HEAD_BYTES)
    _refuse_foreign(path, beginning)
    if beginning.startswith(PARQUET_MAGIC) or _PARQUET_NAME.search(path):
        # pyarrow's part for Parquet takes long to import, which other formats need not pay for.
        from consumers.files.parquet import ParquetReader  # noqa: PLC0415 - as above

        return ParquetReader(path, settings)
    if not beginning.startswith(GZIP_MAGIC) and _JSON_NAME.search(path):
        _refuse_one_document(path, beginning)
    lines = WholeLines(FileBlocks(path), settings.value_bytes_max)
    if not _CSV_NAME.search(path):
        return JsonlReader(lines, settings.value_bytes_max)
    try:
        return CsvReader(path, lines, settings)
    except SourceError:
        lines.close()
        raise


def _refuse_foreign(path: str, beginning: bytes) -> None:
    for magic, (what, command) in _FOREIGN.items():
        if beginning.startswith(magic):
            raise SourceError(
                f"{path}: is {what}; convert it first: {command} {shlex.quote(path)}"
            )


def _refuse_one_document(path: str, beginning: bytes) -> None:
    """A .json file is read line by line, so it must not be one array or one spread-out object."""
    name = shlex.quote(path)
    if beginning.lstrip().startswith(b"["):
        raise SourceError(f"{path}: is one JSON array; make it lines: jq -c '.[]' {name}")
    if re.match(rb"\s*\{\s*\n", beginning):
        raise SourceError(f"{path}: its JSON spans lines; one object a line: jq -c . {name}")
