from __future__ import annotations

import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.files.chunk import PREFIX_BYTES
from consumers.files.fingerprint import Fingerprint, are_plain
from consumers.files.jsonl import JsonlReader
from consumers.files.lines import WholeLines
from monitor.events import LargeValue

LIMIT = 12


def _expected(text):
    """The records of a text, the plain way: (line number, value)."""
    lines = text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1]:
        lines.pop()
    values = [(i, line.removesuffix(b"\r")) for i, line in enumerate(lines)]
    return [
        (i, LargeValue(value, len(value), sha256(value).hexdigest()) if is_large else value)
        for i, value in values
        if (is_large := len(value) > LIMIT) or value.strip()
    ]


def _records(reader, records_max=1000):
    found = []
    while not reader.is_ended:
        chunk = reader.read(records_max)
        found += zip(chunk.offsets.tolist(), chunk.values, strict=True)
    return found


texts = st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"\t", b"{}", b"abc", b"x" * LIMIT, b"\xff"])
).map(b"".join)


@given(text=texts, cuts=st.lists(st.integers(0, 60)), records_max=st.integers(1, 5))
@example(text=b"x" * LIMIT + b"\r\n", cuts=[LIMIT, LIMIT + 1], records_max=1)
@example(text=b"x" * LIMIT + b"y\r\ny", cuts=[LIMIT + 2, LIMIT + 4], records_max=1)
@example(text=b"\xef\xbb\xbf{}\n{}", cuts=[1], records_max=1)
@example(text=b" " * (LIMIT + 1) + b"\n{}", cuts=[], records_max=1)
def test_blocks_do_not_matter(blocks, text, cuts, records_max):
    r"""However the bytes come in blocks, the lines are the same: whole, without \n or \r\n."""
    reader = JsonlReader(WholeLines(blocks.cut(text, cuts), LIMIT), LIMIT)
    assert _records(reader, records_max) == _expected(text)


@given(text=texts, cuts=st.lists(st.integers(0, 60)), share=st.floats(0, 1))
@example(text=b"{}\n" * 9, cuts=[9, 18], share=0.5)
def test_skipping_hashes_what_reading_hashes(blocks, text, cuts, share):
    """Records that are skipped give the fingerprint of records that are read."""
    wanted = _expected(text)
    head, tail = (n := int(share * len(wanted))) and wanted[:n], wanted[n:]
    offset = head[-1][0] + 1 if head else 0
    read, skipped = Fingerprint(), Fingerprint()
    read.add([value for _, value in head or []])
    reader = JsonlReader(WholeLines(blocks.cut(text, cuts), LIMIT), LIMIT)
    reader.skip(offset, skipped)
    assert skipped.digest() == read.digest()
    assert reader.next_offset == offset
    assert _records(reader) == tail


@given(lines=st.lists(st.sampled_from([b"", b" ", b"{}", b"\r", b"{ }\r", b"\t{}"]), min_size=1))
def test_plain_lines_are_hashed_as_they_lie(lines):
    """Where lines count as plain, hashing the bytes is hashing the records."""
    text = b"\n".join([*lines, b""])
    as_they_lie, as_records = Fingerprint(), Fingerprint()
    as_they_lie.add_lines(text)
    as_records.add([value for _, value in _expected(text)])
    assert not are_plain(text) or as_they_lie.digest() == as_records.digest()


@given(values=st.lists(st.binary(max_size=20)), cut_at=st.integers(0, 9))
def test_a_fingerprint_does_not_know_its_calls(values, cut_at):
    """However values are cut into calls, the fingerprint is the same."""
    whole, parts = Fingerprint(), Fingerprint()
    whole.add(values)
    parts.add(values[:cut_at])
    parts.add(values[cut_at:])
    assert whole.digest() == parts.digest()


@pytest.mark.parametrize("size", [5, PREFIX_BYTES, PREFIX_BYTES + 1])
def test_a_fingerprint_does_not_know_the_size_limit(size):
    """A value counts the same whether it was held whole or as a prefix."""
    value = b"x" * size
    whole, large = Fingerprint(), Fingerprint()
    whole.add([b"{}", value])
    kept = LargeValue(value[:PREFIX_BYTES], size, sha256(value).hexdigest())
    large.add([b"{}", kept])
    assert whole.digest() == large.digest()


def test_nothing_yet_is_not_the_end(blocks):
    """An input that pauses in the middle of a line goes on with that line."""
    reader = JsonlReader(WholeLines(blocks([b'{"a"', None, b":1}\n{}", None]), LIMIT), LIMIT)
    polls = [reader.read(9).values for _ in range(5)]
    assert polls == [[], [b'{"a":1}'], [], [b"{}"], []]
    assert reader.is_ended


def test_a_huge_line_is_never_held_whole(tmp_path, read):
    """A line of 100 MiB costs the memory of a small one, and keeps its length and SHA-256."""
    path, size = tmp_path / "huge.jsonl", 100 << 20
    with path.open("wb") as file:
        file.write(b"{}\n")
        file.truncate(3 + size)
        file.seek(0, 2)
        file.write(b"\r\n{}\n")
    tracemalloc.start()
    found = read([path])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    digest = sha256()
    for _ in range(100):
        digest.update(bytes(1 << 20))
    large = LargeValue(bytes(PREFIX_BYTES), size, digest.hexdigest())
    assert found.values == [b"{}", large, b"{}"]
    assert found.offsets == [0, 1, 2]
    assert peak < 40 << 20
