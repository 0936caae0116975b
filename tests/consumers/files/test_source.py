from __future__ import annotations

import gzip
import json
import os
import tempfile
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.errors import SourceError
from consumers.files import FileSource
from consumers.files.source import POLL_BYTES_MAX
from consumers.ports import Position
from monitor.events import Partition

STDIN = Partition("stdin:")
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


class Pipe:
    """A pipe whose reading end stands for standard input."""

    def __init__(self, stored=0, limit=100):
        fd, self._end = os.pipe()
        self._fd = fd
        self.source = FileSource(["-", "-"], limit, stdin_fd=fd)
        self.source.seek({STDIN: Position(stored)})

    def _write(self, data):
        os.write(self._end, data)

    def end(self):
        os.close(self._end)

    def poll(self, records_max=100):
        polled = self.source.poll(records_max)
        offsets = polled.records.offsets.tolist()
        return list(zip(offsets, polled.records.values, strict=True)), polled

    def close(self):
        self.source.close()
        os.close(self._fd)


def test_standard_input_is_visible_at_once():
    """What was written to the pipe is handed out, though the pipe stays open and may go on."""
    pipe = Pipe()
    pipe.write(b'{"a":1}\n{"a":2}\n{"a"')
    assert pipe.poll()[0] == [(0, b'{"a":1}'), (1, b'{"a":2}')]
    assert pipe.poll()[0] == []
    pipe.write(b":3}\n")
    found, polled = pipe.poll()
    assert found == [(2, b'{"a":3}')]
    assert polled.positions == {STDIN: Position(3)}
    assert not polled.is_exhausted
    pipe.end()
    assert pipe.poll()[1].is_exhausted
    pipe.close()


def test_standard_input_goes_on_numbering():
    """Records of standard input are numbered from the stored offset; none is taken as read."""
    pipe = Pipe(stored=7)
    pipe.write(b"{}\n\n[]")
    pipe.end()
    assert [*pipe.poll()[0], *pipe.poll()[0]] == [(7, b"{}"), (9, b"[]")]
    assert pipe.source.end_offsets() in ({}, {STDIN: 10})
    pipe.close()


@settings(deadline=None, max_examples=15)
@given(values=st.lists(st.binary(min_size=1, max_size=30)), size=st.integers(1, 40))
def test_standard_input_comes_in_any_pieces(values, size):
    """However the sender writes, the records are the same."""
    values = [b'"' + value.replace(b"\n", b"").replace(b"\r", b"") for value in values]
    text = b"\n".join(values)
    pipe = Pipe()

    def send():
        for start in range(0, len(text), size):
            pipe.write(text[start : start + size])
        pipe.end()

    sender = threading.Thread(target=send)
    sender.start()
    found, is_exhausted = [], False
    while not is_exhausted:
        records, polled = pipe.poll(3)
        found += records
        is_exhausted = polled.is_exhausted
    sender.join()
    pipe.close()
    assert found == list(enumerate(values))


def test_files_before_standard_input_do_not_wait(tmp_path):
    """What files gave goes out before an empty pipe is waited for."""
    (path := tmp_path / "a.jsonl").write_bytes(b"{}\n")
    fd, end = os.pipe()
    source = FileSource([str(path), "-"], 100, stdin_fd=fd)
    source.seek({})
    polled = source.poll(100)
    assert polled.records.values == [b"{}"]
    assert not polled.is_exhausted
    source.close()
    os.close(fd)
    os.close(end)


def test_closed_standard_input_is_one_line():
    """Standard input that is closed or a directory is told in one line."""
    fd, end = os.pipe()
    os.close(fd)
    os.close(end)
    source = FileSource(["-"], 100, stdin_fd=fd)
    with pytest.raises(SourceError, match="standard input cannot be read"):
        source.poll(1)
    fd = os.open("/", os.O_RDONLY)
    with pytest.raises(SourceError, match=r"standard input cannot be read: Is a directory"):
        FileSource(["-"], 100, stdin_fd=fd).poll(1)
    os.close(fd)
