from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from consumers.config import Settings
from consumers.doctor.stores import StoreFacts, check_store
from consumers.doctor.stores import look_at as look_at_store
from consumers.store.look import Look
from consumers.store.migrate import migrations
from tests.consumers.store.test_faults import foreign_holder
from tests.consumers.stored import tamper, write_jsonl
from tests.consumers.terminal import finish, killed_at_last, run_apart, run_here, start
from tests.waiting import committed, wait_for_commit

EVENT = {"example_id": "x", "label": "a", "pred_probs": {"a": 0.5, "b": 0.5}}


def doctor(path, *, cwd=None, **settings):
    """What is said of a store, by name of the check; its exit code."""
    arguments = ("doctor", "--store", path, "--format", "json")
    ended = run_here(*arguments, cwd=cwd or path.parent, settings=settings)
    assert ended.err == ""
    return {each["check"]: each for each in json.loads(ended.out)}, ended.exit_code


def fault_of(path, **settings):
    """The one fault in a store, and its exit code."""
    found, exit_code = doctor(path, **settings)
    (fault,) = [each for each in found.values() if each["verdict"] == "fault"]
    return fault["check"], fault["text"], exit_code


def snapshot(folder):
    """Name, bytes and time of every file."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_store_that_is_well(filled):
    """Its last transaction is named, the disk and the dead letters are looked at; nothing is written."""
    before = snapshot(filled.parent)
    found, exit_code = doctor(filled)
    assert snapshot(filled.parent) == before
    assert exit_code == 0
    assert re.search(r"s\.duckdb is as of transaction \d+$", found["store"]["text"])
    assert found["settings"]["text"] == "as the store was built"
    assert found["disk"]["text"].endswith("are free beside the store")


def test_no_store_yet(tmp_path):
    """Before the first run there is no store: that is no fault, and none is made."""
    found, exit_code = doctor(tmp_path / "s.duckdb")
    assert (found["store"]["verdict"], exit_code) == ("ok", 0)
    assert "does not exist yet" in found["store"]["text"]
    assert not list(tmp_path.iterdir())


def test_a_store_that_is_held(filled):
    """While labelwatch writes to it a store is not looked into, which is no fault and disturbs nobody."""
    before = committed(filled)
    holder = start("replay", "-", "--store", filled, cwd=filled.parent, stdin=subprocess.PIPE)
    with killed_at_last(holder):
        holder.stdin.write(b'{"example_id":"new","label":"a"}\n')
        holder.stdin.flush()
        wait_for_commit(filled, holder, before)
        found, exit_code = doctor(filled)
        assert (found["store"]["verdict"], exit_code) == ("ok", 0)
        assert f"in use by pid {holder.pid} (labelwatch replay)" in found["store"]["text"]
        assert "settings" not in found
        assert finish(holder).exit_code == 0


def test_a_store_that_another_program_holds(filled):
    """A program that is not labelwatch keeps a run out: a warning that names it."""
    with foreign_holder(filled) as holder:
        found, exit_code = doctor(filled)
    assert (found["store"]["verdict"], exit_code) == ("warning", 0)
    assert f"is in use by pid {holder.pid}; stop that process" in found["store"]["text"]


def test_a_folder_that_is_none(tmp_path):
    """A store in a folder that does not exist."""
    assert fault_of(tmp_path / "nowhere" / "s.duckdb", cwd=tmp_path) == (
        "store",
        f"{tmp_path}/nowhere is no folder; create it",
        3,
    )


def test_a_folder_that_may_not_be_written(tmp_path):
    """A folder without permission."""
    facts = StoreFacts(tmp_path / "s", False, True, False, 1 << 40, None)
    found = check_store(facts, Settings())[0]
    assert (found.verdict, found.exit_code) == ("fault", 3)
    assert "cannot be written to" in found.text
    if os.geteuid():
        tmp_path.chmod(0o500)
        assert not look_at_store(tmp_path / "s").is_writable
        tmp_path.chmod(0o700)


def test_a_newer_schema(filled):
    """A store of a newer labelwatch."""
    tamper(filled, "INSERT INTO labelwatch_schema VALUES (1000)")
    name, text, exit_code = fault_of(filled)
    assert (name, exit_code) == ("store", 3)
    assert "install a newer labelwatch" in text


def test_an_older_schema(first):
    """A store of an older labelwatch is well: the next run brings it up to date, and doctor does not."""
    before = snapshot(first.parent)
    found, exit_code = doctor(first)
    assert snapshot(first.parent) == before
    assert (found["store"]["verdict"], exit_code) == ("ok", 0)
    newest = migrations()[-1][0]
    assert found["store"]["text"].endswith(f"; schema 1 becomes {newest} with the next run")
    assert found["settings"]["text"] == "as the store was built"


@pytest.mark.parametrize("content", [b"not a database " * 1_000, None])
def test_a_file_that_is_no_store(content, filled):
    """A file that is damaged, or half of one, is kept."""
    whole = filled.read_bytes()
    filled.write_bytes(content or whole[: len(whole) // 2])
    before = snapshot(filled.parent)
    name, text, exit_code = fault_of(filled)
    assert (name, exit_code, "cannot be read" in text) == ("store", 3, True)
    assert snapshot(filled.parent) == before


def test_a_foreign_database(tmp_path):
    """A database of another program."""
    tamper(tmp_path / "s.duckdb", "CREATE TABLE theirs (x INTEGER)")
    name, text, exit_code = fault_of(tmp_path / "s.duckdb")
    assert (name, exit_code) == ("store", 3)
    assert "tables of another program" in text


def test_what_a_kill_leaves(filled):
    """After a kill the log is read with the database, and neither is changed; without it there is a fault."""
    events = [{**EVENT, "example_id": f"x{i}"} for i in range(8)]
    write_jsonl(filled.with_name("more.jsonl"), events)
    settings = {"BATCH_SIZE_MAX": 2, "CRASH_AT": "source.committed:3"}
    arguments = ("replay", "more.jsonl", "--store", "s.duckdb")
    killed = run_apart(*arguments, cwd=filled.parent, settings=settings)
    assert killed.exit_code == -signal.SIGKILL, killed.err
    before = snapshot(filled.parent)
    found, exit_code = doctor(filled)
    assert (found["store"]["verdict"], exit_code) == ("ok", 0)
    assert re.search(r"is as of transaction \d+; its \.wal has", found["store"]["text"])
    found, exit_code = doctor(filled, CHECKPOINT_BYTES=100)
    assert (found["store"]["verdict"], exit_code) == ("warning", 0)
    assert snapshot(filled.parent) == before
    filled.with_name("s.duckdb.wal").unlink()
    name, text, exit_code = fault_of(filled)
    assert (name, exit_code) == ("store", 3)
    assert "Restore the .wal file" in text


def test_a_log_without_its_database(filled):
    """A write-ahead log says that there was a database."""
    filled.rename(filled.with_name("s.duckdb.wal"))
    name, text, exit_code = fault_of(filled)
    assert (name, exit_code, "is missing, but s.duckdb.wal is there" in text) == ("store", 3, True)


def test_settings_that_do_not_fit(filled):
    """A configuration that shapes state in another way than the store was built, in the words of a run."""
    name, text, exit_code = fault_of(filled, COLLISION="paper")
    ended = run_here(
        "replay", "-", "--store", filled, cwd=filled.parent, settings={"COLLISION": "paper"}
    )
    assert (name, exit_code) == ("settings", 2)
    assert text == ended.fault


def test_dead_letters(tmp_path):
    """Many rejected records are a warning with their share, the first reason and a mapping."""
    events = [EVENT, *[{"id": i, "label": "a", "pred_probs": {"a": 1.0}} for i in range(9)]]
    write_jsonl(tmp_path / "e.jsonl", events)
    run_here("replay", "e.jsonl", "--store", "s.duckdb", "--keep-going", cwd=tmp_path)
    found, exit_code = doctor(tmp_path / "s.duckdb")
    assert exit_code == 0
    assert found["dead letters"]["verdict"] == "warning"
    assert found["dead letters"]["text"] == (
        "9, 90% of all records; 9 are missing_field; "
        'this mapping would help: fields.example_id = "id"'
    )


@pytest.mark.parametrize(
    ("free_bytes", "verdict", "said"),
    [
        (2 << 30, "ok", "2 GiB are free"),
        (100 << 20, "warning", "100 MiB are free beside the store; make room before it is full"),
        (1 << 20, "fault", "1 MiB are free beside the store; make room"),
    ],
)
def test_a_disk_that_fills(free_bytes, verdict, said):
    """Little room is a warning, none a fault."""
    facts = StoreFacts(Path("s"), False, True, True, free_bytes, None)
    found = check_store(facts, Settings())[-1]
    assert (found.name, found.verdict) == ("disk", verdict)
    assert found.text.startswith(said)


@pytest.mark.parametrize(("rejected", "verdict"), [(0, "ok"), (9, "ok"), (11, "warning")])
def test_a_few_dead_letters_are_normal(rejected, verdict):
    """Up to one record in a hundred may be bad."""
    reasons = Counter({"wrong_type": rejected} if rejected else {})
    known = Look(1, 2, 7, None, {}, {}, 1_000, reasons, [])
    facts = StoreFacts(Path("s"), True, True, True, 1 << 40, None, known)
    store, *_, letters = check_store(facts, Settings())
    assert (letters.name, letters.verdict) == ("dead letters", verdict)
    assert letters.text.endswith("labelwatch dead-letters list") == (verdict == "warning")
    assert store.text.endswith("schema 1 becomes 2 with the next run")
