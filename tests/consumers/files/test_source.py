from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.errors import SourceError
from consumers.files import FileSource
from consumers.files.source import POLL_BYTES_MAX
from monitor.events import Partition

FORMATS = ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"]


def _write(path, rows):
    """A file of one of the formats with these labels."""
    lines = [json.dumps({"label": row}).encode() + b"\n" for row in rows]
    cells = ["label,revision\n", *(f'"{row}",1\n' for row in rows)]
    match path.name.partition(".")[2]:
        case "jsonl":
            path.write_bytes(b"".join(lines))
        case "jsonl.gz":
            path.write_bytes(gzip.compress(b"\n".join(lines), mtime=0))
        case "csv":
            path.write_text("".join(cells))
        case "csv.gz":
            path.write_bytes(gzip.compress("".join(cells).encode(), mtime=0))
        case "parquet":
            table = pa.table({"label": pa.array(rows, pa.string())})
            pq.write_table(table, path, row_group_size=3)


labels = st.lists(st.text("ab é\n", min_size=1, max_size=4), max_size=12)


@pytest.mark.parametrize("suffix", FORMATS)
@settings(deadline=None, max_examples=30)
@given(rows=labels, sizes=st.lists(st.integers(1, 4)))
def test_poll_sizes_do_not_matter(read, suffix, rows, sizes):
    """However it is polled, a file gives the same records, and the same fingerprint at each."""
    with tempfile.TemporaryDirectory() as folder:
        _write(path := Path(folder, f"a.{suffix}"), rows)
        some, single = read([path], sizes), read([path], [1] * len(rows))
    assert [json.loads(value)["label"] for value in some.values] == rows
    assert some.records == single.records
    assert some.fingerprints.items() <= single.fingerprints.items()
    assert some.positions == single.positions


@pytest.mark.parametrize("suffix", FORMATS)
@settings(deadline=None, max_examples=30)
@given(rows=labels, cut=st.integers(1, 12), more=labels)
def test_going_on_is_reading_through(read, suffix, rows, cut, more):
    """Stopped at any record and started again, also after the file grew, it reads each once."""
    with tempfile.TemporaryDirectory() as folder:
        _write(path := Path(folder, f"a.{suffix}"), rows)
        before = read([path], [cut], records_max=min(cut, len(rows)))
        _write(path, rows + more)
        after = read([path], stored=before.positions)
        through = read([path])
    assert before.records + after.records == through.records
    assert after.positions in ({}, through.positions)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("now", "message"),
    [
        (["a", "B", "c"], "the first [23] records are not those read last time"),
        (["a"], "has no longer the [23] records read last time"),
        ([], "has no longer the [23] records read last time"),
        (["new", "a", "b"], "the first [23] records are not those read last time"),
    ],
)
def test_a_changed_file_is_refused(read, tmp_path, suffix, now, message):
    """A file whose consumed records changed or are gone is refused; the text says what to do."""
    _write(path := tmp_path / f"a.{suffix}", ["a", "b", "c"])
    stored = read([path], [2], records_max=2).positions
    _write(path, now)
    with pytest.raises(SourceError, match=message) as fault:
        read([path], stored=stored)
    assert str(fault.value).startswith(str(path))
    assert "\n" not in str(fault.value)
    assert "another name" in str(fault.value)


def test_a_last_line_that_went_on_is_a_change(read, tmp_path):
    """A line read before it was complete is refused when it has become another record."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":')
    stored = read([path]).positions
    path.write_bytes(b'{"a":1}\n{"a":2}\n')
    with pytest.raises(SourceError, match="first 2 records"):
        read([path], stored=stored)


def test_the_newline_that_came_late_is_no_change(read, tmp_path):
    """A last line without its newline is a record, and the same one with it."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n{}")
    stored = read([path]).positions
    path.write_bytes(b'{}\n{}\r\n{"a":1}\n')
    assert read([path], stored=stored).records == [(f"file:{path}", 2, b'{"a":1}')]


def test_the_size_limit_may_change_between_runs(read, tmp_path):
    """Another limit on the size of a value makes no file look changed."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":"' + b"x" * 2_000_000 + b'"}\n{}\n')
    stored = read([path], [1], records_max=1, value_bytes_max=1_000_000).positions
    assert read([path], stored=stored).values == [b"{}"]


def test_offsets_are_line_numbers(read, tmp_path):
    """Blank lines are no records but are counted: offset + 1 is the line an editor shows."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf\n{}\r\n \t\n\n[1]\n\n")
    assert read([path]).records == [(f"file:{path}", 1, b"{}"), (f"file:{path}", 4, b"[1]")]


def test_small_files_share_a_poll(read, tmp_path):
    """Files follow each other in the order given, many in one poll, each with its own position."""
    paths = [tmp_path / f"{name}.jsonl" for name in "cab"]
    for path in paths:
        path.write_bytes(b'{"from":"%s"}\n' % path.stem.encode())
    source = FileSource([str(path) for path in paths], 100)
    source.seek({})
    polled = source.poll(10)
    source.close()
    assert [json.loads(value)["from"] for value in polled.records.values] == ["c", "a", "b"]
    assert polled.is_exhausted
    assert polled.positions.keys() == {Partition(f"file:{path}") for path in paths}
    assert {position.next_offset for position in polled.positions.values()} == {1}


def test_many_files_go_on(read, tmp_path):
    """More files than are kept open go on where they were, each at its own place."""
    paths = [tmp_path / f"{i}.jsonl" for i in range(30)]
    for path in paths:
        path.write_bytes(b"{}\n")
    stored = read(paths).positions
    for path in paths:
        path.write_bytes(b'{}\n{"new":1}\n')
    assert read(paths, stored=stored).values == [b'{"new":1}'] * 30


def test_a_finished_file_is_known_at_the_start(read, tmp_path):
    """Files read to their end last time are not read a second time."""
    for suffix in FORMATS:
        _write(path := tmp_path / f"a.{suffix}", ["a", "b"])
        stored = read([path]).positions
        source = FileSource([str(path)], 100)
        source.seek(stored)
        known = source.end_offsets()
        polled = source.poll(10)
        source.close()
        assert polled.is_exhausted
        assert polled.positions == {}
        assert not len(polled.records)
        assert known or suffix.startswith("csv")


def test_a_poll_of_large_records_stays_small(read, tmp_path):
    """A poll ends early when its records are large, however many were asked for."""
    path = tmp_path / "a.jsonl"
    path.write_bytes((b'"' + b"x" * (4 << 20) + b'"\n') * 30)
    source = FileSource([str(path)], 8 << 20)
    source.seek({})
    counts = [len(source.poll(1000).records) for _ in range(2)]
    source.close()
    assert sum(counts) == 30
    assert max(counts) < (POLL_BYTES_MAX >> 22) + 4


def test_a_file_is_read_once(read, tmp_path):
    """A file given twice, by a link or another spelling, is read once, under its first name."""
    path, symlink, hard_link = (tmp_path / f"{name}.jsonl" for name in "abc")
    path.write_bytes(b"{}\n")
    symlink.symlink_to(path)
    hard_link.hardlink_to(path)
    again = f"{tmp_path}/./a.jsonl"
    assert read([symlink, path, again, hard_link]).records == [(f"file:{path}", 0, b"{}")]


def test_end_offsets_are_told_when_known(tmp_path):
    """Parquet knows its number of rows at the start, lines are counted by reading them."""
    _write(lines := tmp_path / "a.jsonl", ["a", "b"])
    _write(table := tmp_path / "a.parquet", ["a", "b", "c"])
    source = FileSource([str(lines), str(table)], 100)
    source.seek({})
    known = source.end_offsets()
    source.poll(100)
    assert known == {Partition(f"file:{table}"): 3}
    assert source.end_offsets() == {Partition(f"file:{lines}"): 2, **known}
    source.commit({})
    source.close()
    source.close()
