"""A snapshot is the store as of one commit, and goes on as the store would."""

from __future__ import annotations

import resource
import signal
import subprocess

import duckdb
import pytest

from consumers.crash import SNAPSHOT_POINTS
from tests.consumers.copies import everything, take
from tests.consumers.stored import (
    difference,
    query,
    tables,
    write_jsonl,
)
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_apart, run_here


def test_a_copy_has_everything(filled, tmp_path):
    """Rows in their order, views, macros, comments and identity are those of the store."""
    ended = take(filled, tmp_path / "copy.duckdb")
    assert ended.exit_code == 0, ended.err
    assert "as of transaction" in ended.err
    assert difference(everything(tmp_path / "copy.duckdb"), everything(filled)) is None
    assert len(query(filled, "FROM duckdb_views() WHERE NOT internal AND comment IS NOT NULL")) > 9
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"copy.duckdb", *(f"s.duckdb{end}" for end in ("", ".lock", ".mark"))}


def test_a_copy_goes_on_as_the_store_would(filled, tmp_path):
    """Commands read a copy as they read the store, and a replay goes on from it to the same end."""
    assert take(filled, "copy.duckdb").exit_code == 0
    for asked in (("flags",), ("health",), ("sql", "FROM offsets"), ("explain", "x1")):
        ours, theirs = (
            run_here(*asked, "--store", name, cwd=tmp_path) for name in ("copy.duckdb", "s.duckdb")
        )
        assert (ours.exit_code, ours.out) == (theirs.exit_code, theirs.out)
    doctor = run_here("doctor", "--store", "copy.duckdb", cwd=tmp_path)
    assert "ok       store          copy.duckdb is as of transaction" in doctor.out
    more = write_jsonl(tmp_path / "more.jsonl", busy_stream(2, 200))
    for name in ("copy.duckdb", "s.duckdb"):
        assert run_here("replay", more, "--store", name, cwd=tmp_path).exit_code == 0
    assert difference(tables(tmp_path / "copy.duckdb"), tables(filled)) is None
    assert run_here("rebuild", "--store", "copy.duckdb", cwd=tmp_path).exit_code == 0
    assert difference(tables(tmp_path / "copy.duckdb"), tables(filled)) is None


def test_what_stands_in_the_log_is_copied(stream, tmp_path):
    """A killed run leaves its last commits in the log; they are in the copy, and the log stays as it is."""
    settings = {"CRASH_AT": "source.committed:3", "BATCH_SIZE_MAX": 50}
    run_apart("replay", stream, "--store", "s.duckdb", cwd=tmp_path, settings=settings)
    log = tmp_path / "s.duckdb.wal"
    before = log.read_bytes()
    assert take(tmp_path / "s.duckdb", "copy.duckdb").exit_code == 0
    assert log.read_bytes() == before
    assert query(tmp_path / "copy.duckdb", "SELECT next_offset FROM offsets") == [(150,)]
    assert difference(tables(tmp_path / "copy.duckdb"), tables(tmp_path / "s.duckdb")) is None


def test_a_store_that_lost_its_log_is_not_copied(stream, tmp_path):
    """A copy of a store that lost its newest commits would hide that: it is refused as a run would be."""
    settings = {"CRASH_AT": "source.committed:3", "BATCH_SIZE_MAX": 50}
    run_apart("replay", stream, "--store", "s.duckdb", cwd=tmp_path, settings=settings)
    (tmp_path / "s.duckdb.wal").unlink()
    ended = take(tmp_path / "s.duckdb", "copy.duckdb")
    assert ended.exit_code == 3
    assert ".wal file is missing" in ended.fault
    assert not (tmp_path / "copy.duckdb").exists()


REFUSALS = {
    "nowhere/copy.duckdb": "nowhere is no folder",
    ".": "is a folder",
    "s.duckdb": "is the store itself",
    "there.duckdb": "there.duckdb exists; choose another file, or replace it with --force",
    "live.duckdb": "is a database with a log, maybe in use",
}


@pytest.mark.parametrize("target", REFUSALS)
def test_nothing_is_overwritten_unasked(target, filled, tmp_path):
    """What is there stays: without --force any file, with it the store itself and a database with a log."""
    (tmp_path / "there.duckdb").write_bytes(b"there")
    (tmp_path / "live.duckdb").write_bytes(b"live")
    (tmp_path / "live.duckdb.wal").write_bytes(b"log")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for options in ((), ("--force",)):
        if target == "there.duckdb" and options:
            continue
        ended = take(filled, target, *options)
        assert ended.exit_code == 2
        assert REFUSALS[target] in ended.fault
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_copy_may_be_replaced(filled, stream, tmp_path):
    """With --force the file becomes the new copy, and a mark that an older one left is no obstacle."""
    assert take(filled, "copy.duckdb").exit_code == 0
    more = write_jsonl(tmp_path / "more.jsonl", busy_stream(2, 50))
    settings = {"BATCH_SIZE_MAX": 5}
    ended = run_here("replay", more, "--store", "copy.duckdb", cwd=tmp_path, settings=settings)
    assert ended.exit_code == 0
    assert take(filled, "copy.duckdb", "--force").exit_code == 0
    assert difference(tables(tmp_path / "copy.duckdb"), tables(filled)) is None
    assert run_here("replay", more, "--store", "copy.duckdb", cwd=tmp_path).exit_code == 0


def test_a_copy_is_restored_into_the_place_of_a_store(filled, tmp_path):
    """Put over a store that is ahead of it a copy is refused; without the store's mark it goes on."""
    assert take(filled, "copy.duckdb").exit_code == 0
    known = tables(filled)
    more = write_jsonl(tmp_path / "more.jsonl", busy_stream(2, 50))
    assert run_here("replay", more, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    ahead = tables(filled)
    (tmp_path / "s.duckdb").write_bytes((tmp_path / "copy.duckdb").read_bytes())
    ended = run_here("replay", more, "--store", "s.duckdb", cwd=tmp_path)
    assert ended.exit_code == 3
    assert "an old copy was put back" in ended.fault
    (tmp_path / "s.duckdb.mark").unlink()
    assert difference(tables(filled), known) is None
    assert run_here("replay", more, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    assert difference(tables(filled), ahead) is None


def test_what_is_no_store_is_not_copied(tmp_path):
    """A missing store, another program's database and no database at all are told in one line."""
    with duckdb.connect(str(tmp_path / "other.duckdb")) as db:
        db.execute("CREATE TABLE t (i INTEGER)")
    (tmp_path / "text.duckdb").write_bytes(b"no database")
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    for name, text in {
        "missing.duckdb": "does not exist",
        "other.duckdb": "tables of another program",
        "text.duckdb": "cannot be read",
        "empty.duckdb": "is no labelwatch database",
    }.items():
        ended = take(tmp_path / name, "copy.duckdb")
        assert ended.exit_code == 3
        assert text in ended.fault
    assert not list(tmp_path.glob("copy*"))


@pytest.mark.parametrize("kilobytes", [16, 400])
def test_a_file_that_may_not_grow(kilobytes, filled, tmp_path):
    """Where a copy cannot be written whole, nothing of it stays, and the store is as it was."""
    before = tables(filled)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10,) * 2)

    asked = ("snapshot", "copy.duckdb", "--store", "s.duckdb")
    ended = run_apart(*asked, cwd=tmp_path, preexec_fn=limit)
    assert ended.exit_code == 3
    assert "no snapshot was written: make room" in ended.fault
    assert not list(tmp_path.glob("copy*"))
    assert difference(tables(filled), before) is None


def test_a_disk_without_room(filled, tmp_path):
    """On a disk that has no room for it, a copy is not even begun."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2000k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        ended = take(filled, disk / "copy.duckdb")
        assert ended.exit_code == 3
        assert "a snapshot needs" in ended.fault
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("point", SNAPSHOT_POINTS)
def test_a_killed_command_leaves_the_target_alone(point, filled, tmp_path):
    """Killed anywhere it leaves no file of that name; the next one is taken as if nothing had been."""
    ended = run_apart(
        *("snapshot", "copy.duckdb", "--store", "s.duckdb"),
        cwd=tmp_path,
        settings={"CRASH_AT": point},
    )
    assert ended.exit_code == -signal.SIGKILL
    assert not (tmp_path / "copy.duckdb").exists()
    assert take(filled, "copy.duckdb").exit_code == 0
    assert difference(tables(tmp_path / "copy.duckdb"), tables(filled)) is None
