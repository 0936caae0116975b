"""JSONL, CSV, Parquet and standard input as one source of records.

source.py    several inputs, one after another, behind the Source protocol
stream.py    one input: where it is, its fingerprint, going on after a stored position
opening.py   from a path to the reader of its format
blocks.py    bytes from a file, a gzip file or a pipe
lines.py     whole lines out of blocks, whatever their length
jsonl.py     lines → records
csv_rows.py  lines → rows → records; cells.py types the cells
parquet.py   row groups → records; arrow_values.py converts the columns
rows.py      columns → one JSON object a row
"""

from consumers.files.source import FileSource

__all__ = ["FileSource"]
