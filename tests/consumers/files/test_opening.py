from __future__ import annotations

import gzip
import os

import pytest

from consumers.errors import SourceError
from consumers.files import FileSource

LINES = b'{"a":1}\n{"a":2}\n'


def _fault(paths, read):
    with pytest.raises(SourceError) as raised:
        read(paths)
    text = str(raised.value)
    assert text.startswith(str(paths[-1]))
    assert "\n" not in text
    assert raised.value.exit_code == 4
    return text


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.JSON", "a.txt", "a", "a.parquetish"])
def test_lines_are_the_default(read, tmp_path, name):
    """A file is JSONL unless its name or its first bytes say otherwise."""
    (path := tmp_path / name).write_bytes(LINES)
    assert read([path]).values == [b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.gz", "a.jsonl"])
def test_gzip_is_known_by_its_bytes(read, tmp_path, name):
    """A gzip file gives the records of the file within, whatever it is called."""
    (path := tmp_path / name).write_bytes(gzip.compress(LINES[:8]) + gzip.compress(LINES[8:]))
    assert read([path]).values == [b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.jsonl.gz"])
def test_an_empty_file_has_no_records(read, tmp_path, name):
    """An empty file is no fault: it may grow."""
    (path := tmp_path / name).write_bytes(b"")
    found = read([path])
    assert found.records == []
    assert found.positions == {}


def test_a_missing_file_is_told_before_any_is_read(read, tmp_path):
    """One missing file stops the run at its start."""
    (path := tmp_path / "a.jsonl").write_bytes(LINES)
    missing = tmp_path / "b.jsonl"
    with pytest.raises(SourceError, match="No such file or directory; check the path"):
        FileSource([str(path), str(missing)], 100)
    assert "No such file" in _fault([path, missing], read)


def test_a_directory_is_refused(read, tmp_path):
    """A directory is refused with the pattern for the files in it."""
    assert f"{tmp_path}/*.jsonl" in _fault([tmp_path], read)


def test_a_named_pipe_is_refused(read, tmp_path):
    """What cannot be read twice is refused with the way to read it once."""
    os.mkfifo(path := tmp_path / "fifo")
    assert "pipe it into -" in _fault([path], read)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_refused(read, tmp_path):
    """A file without permission is refused."""
    (path := tmp_path / "a.jsonl").write_bytes(LINES)
    path.chmod(0)
    assert "Permission denied" in _fault([path], read)


def test_a_loop_of_links_is_refused(read, tmp_path):
    """What the system cannot open is told with the system's words."""
    (path := tmp_path / "a.jsonl").symlink_to(path)
    assert "symbolic links" in _fault([path], read)


@pytest.mark.parametrize(
    ("beginning", "command"),
    [
        ("{}\n".encode("utf-16"), "iconv -f UTF-16"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd -dc"),
        (b"PK\x03\x04\x00", "unzip -p"),
    ],
)
def test_a_foreign_format_is_refused(read, tmp_path, beginning, command):
    """Compressed and foreign files are refused with the command that turns them into lines."""
    (path := tmp_path / "a.jsonl").write_bytes(beginning)
    assert f"{command}" in _fault([path], read)


@pytest.mark.parametrize("text", [b"[\n  {}\n]\n", b' [{"a":1}]', b'{\n  "a": 1\n}\n'])
def test_one_json_document_is_refused(read, tmp_path, text):
    """A .json file that is one document is refused with the jq command for lines."""
    (path := tmp_path / "a.json").write_bytes(text)
    assert "jq -c" in _fault([path], read)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_gzip_is_refused(read, tmp_path, name, damage):
    """A gzip file that ends early or is damaged is refused."""
    packed = bytearray(gzip.compress(b'label,text\n"a","b"\n' + os.urandom(5000).hex().encode()))
    if damage == "cut":
        del packed[-9:]
    else:
        packed[len(packed) // 2] ^= 255
    (path := tmp_path / name).write_bytes(packed)
    assert "gzip data is damaged" in _fault([path], read)
