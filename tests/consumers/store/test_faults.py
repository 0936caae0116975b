"""Bad surroundings of the store: each ends in one line that names the fix, and loses nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.consumers.stored import difference, query, tables, tamper, write_jsonl
from tests.consumers.terminal import finish, killed_at_last, run_apart, run_here, start
from tests.waiting import committed, wait_for_commit

EVENT = {"example_id": "x", "label": "a", "pred_probs": {"a": 0.5, "b": 0.5}}
READS = (
    ("sql", "FROM classes"),
    ("flags",),
    ("explain", "x"),
    ("export", "clean", "--to", "x.csv"),
    ("dead-letters", "list"),
)
WRITES = (("replay", "e.jsonl"), ("rebuild",), ("dead-letters", "redrive"))


@pytest.fixture
def folder(tmp_path):
    """A folder with a file to replay."""
    write_jsonl(tmp_path / "e.jsonl", [EVENT])
    return tmp_path


def refusals(folder, commands, store="s.duckdb"):
    """What each command says when it refuses the store with exit code 3."""
    found = []
    for command in commands:
        ended = run_here(*command, "--store", store, cwd=folder)
        assert ended.exit_code == 3, (command, ended)
        assert ended.out == ""
        found.append(ended.fault)
    return found


@contextlib.contextmanager
def foreign_holder(path):
    """Another program that has the database open."""
    code = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"open\n"
        try:
            yield process
        finally:
            process.communicate(b"\n", timeout=60)


def test_a_newer_schema(folder, filled):
    """A store of a newer labelwatch is refused, by readers and writers, and told apart from damage."""
    tamper(filled, "INSERT INTO labelwatch_schema VALUES (1000)")
    for fault in refusals(folder, READS + WRITES):
        assert "schema 1000" in fault
        assert "install a newer labelwatch" in fault


def test_a_foreign_database(folder):
    """A DuckDB file of another program is left alone."""
    tamper(folder / "s.duckdb", "CREATE TABLE theirs (x INTEGER)")
    for fault in refusals(folder, WRITES):
        assert "tables of another program (theirs, …)" in fault
        assert "--store" in fault
    assert query(folder / "s.duckdb", "SELECT count(*) FROM duckdb_tables()") == [(1,)]
    for fault in refusals(folder, READS):
        assert "--store" in fault


def test_an_empty_foreign_database_is_no_store_to_read(folder):
    """A DuckDB file without tables holds no answer."""
    tamper(folder / "s.duckdb", "SELECT 1")
    assert all("no labelwatch database" in fault for fault in refusals(folder, READS))


@pytest.mark.parametrize("damage", ["garbage", "truncated", "half a header", "empty"])
def test_a_damaged_file(damage, folder, filled):
    """A file that is no database, or not a whole one, is kept as it is, and the line says what to do."""
    whole = filled.read_bytes()
    content = {
        "garbage": b"not a database " * 1_000,
        "truncated": whole[: len(whole) // 2],
        "half a header": whole[:5_000],
        "empty": b"",
    }[damage]
    filled.write_bytes(content)
    for fault in refusals(folder, READS + WRITES if content else WRITES[:1]):
        assert "s.duckdb" in fault
        assert "restore" in fault.lower() or "--store" in fault
    if content:
        assert filled.read_bytes() == content


@pytest.mark.parametrize("damage", ["flipped", "garbage"])
def test_a_damaged_log(damage, folder, filled):
    """Where DuckDB's write-ahead log is damaged, both files are kept."""
    log = _unfinished(folder)
    content = bytearray(log.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    else:
        content[:] = b"garbage" * 1_000
    log.write_bytes(content)
    for fault in refusals(folder, WRITES):
        assert "s.duckdb" in fault
        assert ".wal" in fault
    assert log.read_bytes() == content


def _unfinished(folder, commits=3):
    """The log that a killed process leaves."""
    events = [{**EVENT, "example_id": f"x{i}"} for i in range(8)]
    write_jsonl(folder / "more.jsonl", events)
    settings = {"BATCH_SIZE_MAX": 2, "CRASH_AT": f"source.committed:{commits}"}
    killed = run_apart(
        "replay", "more.jsonl", "--store", "s.duckdb", cwd=folder, settings=settings
    )
    assert killed.exit_code == -signal.SIGKILL, killed.err
    return folder / "s.duckdb.wal"


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("loss", ["removed", "emptied", "cut"])
def test_a_lost_log(is_new, loss, folder, filled):
    """A database without the log that belongs to it is older than it was: DuckDB opens it, we do not."""
    if is_new:
        for each in folder.glob("s.duckdb*"):
            each.unlink()
    log = _unfinished(folder)
    content = log.read_bytes()
    if loss == "removed":
        log.unlink()
    else:
        log.write_bytes(b"" if loss == "emptied" else content[: len(content) // 2])
    for fault in refusals(folder, WRITES):
        assert "s.duckdb.mark says that" in fault
        assert "Restore the .wal file" in fault
    log.write_bytes(content)
    ended = run_here("replay", "more.jsonl", "--store", "s.duckdb", cwd=folder)
    assert ended.exit_code == 0, ended.err
    assert ended.err.startswith("2 records read")


def test_going_on_from_an_older_state(folder, filled):
    """Without its mark an older database is taken as it is, and the rest is read again."""
    _unfinished(folder).unlink()
    (folder / "s.duckdb.mark").unlink()
    ended = run_here("replay", "more.jsonl", "--store", "s.duckdb", cwd=folder)
    assert (ended.exit_code, ended.err.split(";")[0]) == (0, "8 records read")


def test_a_log_without_its_database(folder, filled):
    """A log whose database is missing is not overwritten by a new one."""
    log = _unfinished(folder)
    (folder / "s.duckdb").unlink()
    (fault,) = refusals(folder, WRITES[:1])
    assert "s.duckdb is missing, but s.duckdb.wal is there" in fault
    assert log.exists()


def test_a_deleted_store_starts_anew(folder, filled):
    """A database that was deleted on purpose is made anew, whatever its mark says."""
    filled.unlink()
    ended = run_here("replay", "e.jsonl", "--store", filled, cwd=folder)
    assert (ended.exit_code, ended.err) == (0, "1 records read; 0 rejected; 0 label issues\n")


def test_held_by_another_program(folder, filled):
    """Where another program has the database open, the line names its pid."""
    with foreign_holder(filled) as holder:
        for fault in refusals(folder, READS + WRITES):
            assert f"in use by pid {holder.pid};" in fault
            assert "stop that process" in fault
    assert run_here("replay", "e.jsonl", "--store", filled, cwd=folder).exit_code == 0


def test_held_by_another_program_after_a_kill(folder, filled):
    """A killed labelwatch is not taken for the holder."""
    _unfinished(folder)
    with foreign_holder(filled) as holder:
        for fault in refusals(folder, READS + WRITES):
            assert f"in use by pid {holder.pid};" in fault


def test_held_by_labelwatch(folder, filled):
    """Where labelwatch has the database open, the line names its pid and command; it is not disturbed."""
    before = committed(filled)
    holder = start("replay", "-", "--store", filled, cwd=folder, stdin=subprocess.PIPE)
    with killed_at_last(holder):
        holder.stdin.write(b'{"example_id":"new","label":"a"}\n')
        holder.stdin.flush()
        wait_for_commit(filled, holder, before)
        for fault in refusals(folder, READS + WRITES):
            assert f"in use by pid {holder.pid} (labelwatch replay)" in fault
        ended = finish(holder)
    assert ended.exit_code == 0, ended.err
    assert query(filled, "SELECT count(*) FROM pending WHERE example_id = 'new'") == [(1,)]


def test_a_store_that_cannot_be(folder):
    """A missing folder, and a folder in place of the database, are told in one line."""
    (folder / "d.duckdb").mkdir()
    for store in ("nowhere/s.duckdb", "d.duckdb"):
        (fault,) = refusals(folder, WRITES[:1], store)
        assert store in fault
    for fault in refusals(folder, READS, "nowhere/s.duckdb"):
        assert "does not exist; name the database with --store" in fault
    ended = run_here("rebuild", "--store", "nowhere/s.duckdb", cwd=folder)
    assert (ended.exit_code, "does not exist" in ended.fault) == (2, True)


@pytest.mark.parametrize("text", ["abc", "-1GB", "80%"])
def test_a_wrong_memory_limit(text, folder):
    """What DuckDB does not take for a size is a wrong setting, named."""
    ended = run_here(
        "replay", "e.jsonl", "--store", "s.duckdb", cwd=folder, settings={"MEMORY_LIMIT": text}
    )
    assert ended.exit_code == 2, ended.err
    assert ended.fault.startswith("memory_limit: ")


def test_too_little_memory(folder):
    """Where DuckDB may not have the memory it needs, nothing is stored and the setting is named."""
    ended = run_here(
        "replay", "e.jsonl", "--store", "s.duckdb", cwd=folder, settings={"MEMORY_LIMIT": "1KB"}
    )
    assert ended.exit_code == 3, ended.err
    assert "raise memory_limit" in ended.fault
    assert run_here("replay", "e.jsonl", "--store", "s.duckdb", cwd=folder).exit_code == 0


def test_a_folder_that_may_not_be_written(folder):
    """A folder without permission is told in one line."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    (fault,) = refusals(folder, WRITES[:1], "locked/s.duckdb")
    assert "Permission denied; check the folder" in fault


def test_a_store_is_created_whole_or_not_at_all(folder):
    """What a process left that died while it created the database is cleared away by the next one."""
    (folder / "s.duckdb.new").write_bytes(b"half a database")
    (folder / "s.duckdb.new.wal").write_bytes(b"half a log")
    assert run_here("replay", "e.jsonl", "--store", "s.duckdb", cwd=folder).exit_code == 0
    assert sorted(each.name for each in folder.iterdir()) == [
        "e.jsonl",
        "s.duckdb",
        "s.duckdb.lock",
        "s.duckdb.mark",
    ]


def test_a_copy_is_a_store(folder, filled):
    """A copy of the database alone, put elsewhere, is a store: the mark is advice."""
    copy = folder / "copy.duckdb"
    shutil.copy(filled, copy)
    assert run_here("rebuild", "--store", copy, cwd=folder).exit_code == 0
    assert difference(tables(copy), tables(filled)) is None
