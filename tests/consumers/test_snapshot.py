"""A snapshot is the store as of one commit, whoever holds it, and goes on as the store would."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import duckdb
import pytest

from consumers.config import Settings
from consumers.errors import StoreError
from consumers.files import FileSource
from consumers.http.snapshot import routes
from consumers.loop import Breaker, run
from consumers.store import Store
from consumers.store.snapshot import KEPT_S, working_files
from consumers.wiring import open_line
from tests.consumers.served import get, serving
from tests.consumers.stored import (
    assert_findings_add_up,
    assert_joint_is_shown,
    difference,
    query,
    tables,
    views,
    write_jsonl,
)
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_apart, run_here

CATALOG = {
    "duckdb_tables()": "schema_name, table_name, comment, sql",
    "duckdb_views()": "schema_name, view_name, comment, column_count",
    "duckdb_columns()": "schema_name, table_name, column_name, column_index, comment, data_type, is_nullable",
    "duckdb_functions()": "schema_name, function_name, parameters, macro_definition, comment",
    "duckdb_indexes()": "schema_name, index_name, sql",
    "duckdb_constraints()": "schema_name, table_name, constraint_text",
    "duckdb_sequences()": "schema_name, sequence_name, sql",
}


def catalog(path):
    """Everything that a database declares, with its comments."""
    return {
        name: query(
            path,
            f"SELECT {columns} FROM {name} "
            "WHERE NOT internal AND database_name = current_database() ORDER BY ALL"
            if name not in ("duckdb_indexes()", "duckdb_constraints()", "duckdb_sequences()")
            else f"SELECT {columns} FROM {name} WHERE database_name = current_database() ORDER BY ALL",
        )
        for name, columns in CATALOG.items()
    }


def everything(path):
    """Every row and every declaration of a store, clock and identity included."""
    names = query(path, "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL")
    rows = {f"{schema}.{name}": query(path, f"FROM {schema}.{name}") for schema, name in names}
    shown = {name: query(path, f"FROM {name} ORDER BY ALL") for name in (*views(path), "findings")}
    return rows | shown | catalog(path)


def take(store, target, *options, cwd=None, **more):
    """The command over a store."""
    return run_here(
        "snapshot", target, "--store", store, *options, cwd=cwd or store.parent, **more
    )


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
    settings = {"CRASH_AT": "store.marked:3", "BATCH_SIZE_MAX": 50}
    run_apart("replay", stream, "--store", "s.duckdb", cwd=tmp_path, settings=settings)
    log = tmp_path / "s.duckdb.wal"
    before = log.read_bytes()
    assert take(tmp_path / "s.duckdb", "copy.duckdb").exit_code == 0
    assert log.read_bytes() == before
    assert query(tmp_path / "copy.duckdb", "SELECT max(txn_id) FROM store.txn") == [(3,)]
    assert difference(tables(tmp_path / "copy.duckdb"), tables(tmp_path / "s.duckdb")) is None


def test_a_store_that_lost_its_log_is_not_copied(stream, tmp_path):
    """A copy of a store that lost its newest commits would hide that: it is refused as a run would be."""
    settings = {"CRASH_AT": "store.marked:3", "BATCH_SIZE_MAX": 50}
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


@pytest.mark.parametrize("point", ["snapshot.copied", "snapshot.synced"])
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


@contextlib.contextmanager
def held(path):
    """A store that is held, and answers at a port that its lock file names."""
    with (
        contextlib.closing(Store.open(path, "labelwatch run")) as store,
        serving(routes, snapshots=store.snapshots) as port,
    ):
        tell_url(path, f"http://127.0.0.1:{port}")
        yield store, port


def tell_url(path, url):
    """Write into the lock file of a store where its holder answers."""
    lock = Path(f"{path}.lock")
    held_by = json.loads(lock.read_text())
    lock.write_text(json.dumps(held_by | {"url": url}))


def test_whoever_holds_a_store_copies_it(filled, tmp_path):
    """While a process holds the store, the command asks it, and moves what it wrote to its place."""
    with held(filled):
        ended = take(filled, tmp_path / "copy.duckdb")
        assert ended.exit_code == 0, ended.err
        again = take(filled, tmp_path / "copy.duckdb")
        assert again.exit_code == 2
        assert take(filled, tmp_path / "copy.duckdb", "--force").exit_code == 0
    assert difference(everything(tmp_path / "copy.duckdb"), everything(filled)) is None
    assert not list(tmp_path.glob("*snapshot*"))


def test_onto_another_disk(filled, tmp_path):
    """A copy made beside the store is brought to another disk whole, and leaves nothing behind."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk")
    target = other / f"labelwatch-{os.getpid()}.duckdb"
    try:
        with held(filled):
            assert take(filled, target).exit_code == 0
        assert difference(tables(target), tables(filled)) is None
        assert not list(tmp_path.glob("*snapshot*"))
        assert not list(other.glob(f"{target.name}.*"))
    finally:
        target.unlink(missing_ok=True)


def test_a_holder_that_cannot_be_asked(filled, tmp_path):
    """A holder without an address, one that is gone, and one that is still loading are told apart."""
    with contextlib.closing(Store.open(filled, "labelwatch replay")):
        ended = take(filled, "copy.duckdb")
        assert ended.exit_code == 3
        assert "(labelwatch replay), which does not answer over HTTP" in ended.fault
        tell_url(filled, "http://127.0.0.1:1")
        assert "does not answer (ConnectionRefusedError" in take(filled, "copy.duckdb").fault
        with serving(routes) as port:
            tell_url(filled, f"http://127.0.0.1:{port}")
            ended = take(filled, "copy.duckdb")
        assert ended.exit_code == 3
        assert "still being loaded; ask again" in ended.fault
    assert not list(tmp_path.glob("copy*"))


def test_one_copy_at_a_time(filled):
    """Who asks while a copy is being made is told to ask again."""
    with held(filled) as (store, port):
        store.snapshots._is_busy.acquire()
        status, found = get(port, "/api/snapshot", "POST")
        assert (status, found["hint"]) == (429, "ask again in a moment")
        store.snapshots._is_busy.release()
        assert get(port, "/api/snapshot", "POST")[0] == 200


def test_what_nobody_fetches_goes_away(filled, tmp_path):
    """A copy that nobody moved is removed with the next one, an hour later."""
    with held(filled) as (_, port):
        first, second = (
            tmp_path / get(port, "/api/snapshot", "POST")[1]["name"] for _ in range(2)
        )
        assert first.exists()
        long_ago = time.time() - KEPT_S - 1
        os.utime(first, (long_ago, long_ago))
        get(port, "/api/snapshot", "POST")
        assert not first.exists()
        assert second.exists()


def test_a_copy_that_fails_leaves_the_holder_alone(filled, stream, tmp_path):
    """A disk that is full ends the copy only: the store goes on, and is copied later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.closing(Store.open(filled, "test")) as store:
        for kilobytes in (16, 100, 400):
            resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, hard))
            try:
                with pytest.raises(StoreError, match="no snapshot was written"):
                    store.snapshots.take()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            store._db.execute("INSERT INTO store.setting VALUES (?, '1')", [str(kilobytes)])
            store.checkpoint(above_bytes=0)
        assert not list(tmp_path.glob("*.snapshot*"))
        taken = store.snapshots.take()
        taken.path.rename(tmp_path / "copy.duckdb")
    assert difference(everything(tmp_path / "copy.duckdb"), everything(filled)) is None


def test_large_values_are_copied(tmp_path):
    """Texts that fill the memory a store has are copied, held or not; afterwards it has as much as before."""
    event = {"label": "a", "text": "t" * 1_000_000, "pred_probs": {"a": 0.5, "b": 0.5}}
    file = write_jsonl(tmp_path / "e.jsonl", (event | {"example_id": f"x{i}"} for i in range(200)))
    assert run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    store = tmp_path / "s.duckdb"
    assert take(store, "closed.duckdb").exit_code == 0
    with contextlib.closing(Store.open(store, "test")) as held_store:
        limit = "SELECT current_setting('memory_limit')"
        before = held_store._db.execute(limit).fetchall()
        held_store.snapshots.take().path.rename(tmp_path / "held.duckdb")
        assert held_store._db.execute(limit).fetchall() == before
    for name in ("closed.duckdb", "held.duckdb"):
        asked = "SELECT count(*), sum(length(text)) FROM store.annotation_detail"
        assert query(tmp_path / name, asked) == [(200, 200_000_000)]


def test_closing_does_not_wait_for_a_copy(filled, tmp_path):
    """A store that is let go gives up the copy that is being made; who asked for it is told."""
    store = Store.open(filled, "test")
    store._db.execute(
        "INSERT INTO store.example SELECT i, 'x' || i, i, i, 0, [i, i], false, 0, 0, 0, 0, 0 "
        "FROM range(1_000_000) r(i)"
    )
    told = []

    def ask():
        try:
            told.append(store.snapshots.take())
        except StoreError as error:
            told.append(str(error))

    asker = threading.Thread(target=ask)
    asker.start()
    while not (tmp_path / "s.duckdb.snapshot").exists():
        time.sleep(0.001)
    store.close()
    asker.join()
    assert "no snapshot was written" in told[0]
    with pytest.raises(StoreError, match="the process ends"):
        store.snapshots.take()
    assert not list(tmp_path.glob("*.snapshot*"))


def test_a_locked_instance_still_copies(filled, tmp_path):
    """With access to files switched off and settings locked, the files a copy needs are enough."""
    with contextlib.closing(Store.open(filled, "test")) as store:
        allowed = [str(path) for path in working_files(filled.resolve())]
        store._db.execute(f"SET allowed_paths = {allowed}")
        store._db.execute("SET enable_external_access = false")
        store._db.execute("SET allowed_configs = ['memory_limit']")
        store._db.execute("SET lock_configuration = true")
        taken = store.snapshots.take()
        taken.path.rename(tmp_path / "copy.duckdb")
    assert difference(everything(tmp_path / "copy.duckdb"), everything(filled)) is None


@pytest.mark.slow
def test_copies_of_a_store_that_is_written_are_of_one_commit(tmp_path):
    """Taken while a loop commits and checkpoints, each copy has the rows, flags and offsets of one commit."""
    lines = busy_stream(5, 2_000)
    file = write_jsonl(tmp_path / "e.jsonl", lines)
    settings = Settings(str(tmp_path / "s.duckdb"), batch_size_max=40, checkpoint_bytes=4_096)
    records, copies, is_done = {0: 0}, [], threading.Event()

    def ask(port):
        while not is_done.is_set():
            status, found = get(port, "/api/snapshot", "POST")
            assert status == 200, found
            copies.append(found)

    with (
        open_line(settings, "test") as line,
        serving(routes, snapshots=line.store.snapshots) as port,
    ):
        asker = threading.Thread(target=ask, args=(port,))
        asker.start()
        try:
            source = FileSource([str(file)], settings.value_bytes_max, settings.fields)
            run(
                line,
                source,
                Breaker(is_armed=False),
                lambda: False,
                lambda totals: records.update({line.store.txn_id: totals.records}),
            )
        finally:
            is_done.set()
            asker.join()
    assert len({each["txn_id"] for each in copies}) > 3
    for each in copies[:: max(1, len(copies) // 4)]:
        check_copy(tmp_path / each["name"], each["txn_id"], records, file, settings)


def check_copy(path, txn_id, records, file, settings):
    """A copy holds together, is as of this commit, and goes on to where the store has gone."""
    assert query(path, "SELECT coalesce(max(txn_id), 0) FROM store.txn") == [(txn_id,)]
    offsets = query(path, "SELECT next_offset FROM offsets")
    assert (offsets[0][0] if offsets else 0) == records[txn_id]
    assert_findings_add_up(path)
    assert_joint_is_shown(path)
    # Loading compares all state with what follows from the facts.
    batches = {"BATCH_SIZE_MAX": settings.batch_size_max}
    ended = run_here("replay", file, "--store", path, cwd=path.parent, settings=batches)
    assert ended.exit_code == 0, ended.err
    assert difference(tables(path), tables(Path(settings.store))) is None
