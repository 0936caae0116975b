from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.errors import SourceError
from consumers.files import FileSource
from consumers.ports import Position
from monitor.events import Partition

STDIN = Partition("stdin:")


class Pipe:
    """A pipe whose reading end stands for standard input."""

    def __init__(self, stored=0, limit=100):
        fd, self._end = os.pipe()
        self._fd = fd
        self.source = FileSource(["-", "-"], limit, stdin_fd=fd)
        self.source.seek({STDIN: Position(stored)})

    def send(self, data):
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
    pipe.send(b'{"a":1}\n{"a":2}\n{"a"')
    assert pipe.poll()[0] == [(0, b'{"a":1}'), (1, b'{"a":2}')]
    assert pipe.poll()[0] == []
    pipe.send(b":3}\n")
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
    pipe.send(b"{}\n\n[]")
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

    def write():
        try:
            for start in range(0, len(text), size):
                pipe.send(text[start : start + size])
        finally:
            pipe.end()

    sender = threading.Thread(target=write)
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
