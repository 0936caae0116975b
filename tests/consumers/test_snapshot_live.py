"""Whoever holds a store copies it while it goes on, as of one commit."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import threading
import time
from pathlib import Path

import duckdb
import pytest

from consumers.config import Settings
from consumers.errors import StoreError
from consumers.files import FileSource
from consumers.loop import Breaker, run
from consumers.store import Store, snapshot
from consumers.store.snapshot import KEPT_S
from consumers.wiring import open_line
from tests.consumers.copies import everything, take
from tests.consumers.served import get, serving
from tests.consumers.store.test_memory_limit import limit_mb
from tests.consumers.stored import (
    assert_findings_add_up,
    assert_joint_is_shown,
    difference,
    query,
    tables,
    write_jsonl,
)
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_here
from tests.waiting import wait_for


@contextlib.contextmanager
def held(path):
    """A store that is held, and answers at a port that its lock file names."""
    with (
        contextlib.closing(Store.open(path, "labelwatch run")) as store,
        serving(snapshots=store.snapshots) as port,
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
        assert "gave no answer (ConnectionRefusedError" in take(filled, "copy.duckdb").fault
        with serving() as port:
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
        before = limit_mb(held_store._db)
        held_store.snapshots.take().path.rename(tmp_path / "held.duckdb")
        # Where more is still in use, the next commit or checkpoint lowers it.
        held_store._memory.release()
        assert limit_mb(held_store._db) < before + 40
    for name in ("closed.duckdb", "held.duckdb"):
        asked = "SELECT count(*), sum(length(text)) FROM store.annotation_detail"
        assert query(tmp_path / name, asked) == [(200, 200_000_000)]


def test_closing_does_not_wait_for_a_copy(filled, tmp_path, monkeypatch):
    """A store that is let go gives up the copy that is being made; who asked for it is told."""
    store = Store.open(filled, "test")
    store._db.execute(
        "INSERT INTO store.example SELECT i, 'x' || i, i, i, 0, [i, i], false, 0, 0, 0, 0, 0 "
        "FROM range(1_000_000) r(i)"
    )
    copy = snapshot._copy

    def copy_without_end(db, target):
        copy(db, target)
        db.execute("SELECT count(*) FROM range(1000000000000) a, range(1000000000000) b")

    monkeypatch.setattr(snapshot, "_copy", copy_without_end)
    told = []

    def ask():
        try:
            told.append(store.snapshots.take())
        except StoreError as error:
            told.append(str(error))

    asker = threading.Thread(target=ask)
    asker.start()
    wait_for((tmp_path / "s.duckdb.snapshot").exists)
    store.close()
    asker.join()
    assert "no snapshot was written" in told[0]
    with pytest.raises(StoreError, match="the process ends"):
        store.snapshots.take()
    assert not list(tmp_path.glob("*.snapshot*"))


def test_a_locked_instance_still_copies(filled, tmp_path):
    """With access to files switched off and settings locked, the files a copy needs are enough."""
    with contextlib.closing(Store.open(filled, "test")) as store:
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            store._db.execute("SET threads = 2")
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

    def after_commit(totals):
        """The loop goes on while copies are made, and is not done before there are some."""
        records[line.store.txn_id] = totals.records
        if len(records) % 10 == 0:
            wait_for(lambda: len(txn_ids(copies)) >= len(records) // 10)

    def ask(port):
        while not is_done.is_set():
            status, found = get(port, "/api/snapshot", "POST")
            assert status == 200, found
            copies.append(found)

    with (
        open_line(settings, "test") as line,
        serving(snapshots=line.store.snapshots) as port,
    ):
        asker = threading.Thread(target=ask, args=(port,))
        asker.start()
        try:
            source = FileSource([str(file)], settings.value_bytes_max, settings.fields)
            run(line, source, Breaker(is_armed=False), lambda: False, after_commit)
        finally:
            is_done.set()
            asker.join()
    assert len(txn_ids(copies)) > 3
    for each in copies[:: max(1, len(copies) // 4)]:
        check_copy(tmp_path / each["name"], each["txn_id"], records, file, settings)


def txn_ids(copies):
    """As of which commits they are."""
    return {each["txn_id"] for each in copies}


def check_copy(path, txn_id, records, file, settings):
    """A copy holds together, is as of this commit, and goes on to where the store has gone."""
    assert query(path, "SELECT coalesce(max(txn_id), 0) FROM store.txn") == [(txn_id,)]
    offsets = query(path, "SELECT next_offset FROM offsets")
    # Between two batches a sweep commits, too.
    batch = max(each for each in records if each <= txn_id)
    assert (offsets[0][0] if offsets else 0) == records[batch]
    assert_findings_add_up(path)
    assert_joint_is_shown(path)
    # Loading compares all state with what follows from the facts.
    batches = {"BATCH_SIZE_MAX": settings.batch_size_max}
    ended = run_here("replay", file, "--store", path, cwd=path.parent, settings=batches)
    assert ended.exit_code == 0, ended.err
    assert difference(tables(path), tables(Path(settings.store))) is None
