from __future__ import annotations

import contextlib
import itertools
import json
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from consumers.config import Settings
from consumers.errors import StoreError
from consumers.loop import Breaker, run
from consumers.store import inbox as module
from consumers.store.inbox import InboxFull, KeyTaken
from consumers.store.inbox_source import InboxSource
from consumers.wiring import open_line
from tests.consumers.logs import CLASSES
from tests.consumers.stored import query


def event(name, **more):
    """An annotation as bytes."""
    return json.dumps(
        {"example_id": name, "label": "a", "pred_probs": [0.5, 0.25, 0.25]} | more
    ).encode()


def opened(path, **settings):
    """A line over a store."""
    return open_line(Settings(store=str(path), classes=CLASSES, **settings), "test")


def count(line, is_stopping=lambda: False):
    """Count what waits."""
    source = InboxSource(line.store.inbox)
    return run(line, source, Breaker(is_armed=True), is_stopping, lambda _: None)


def test_one_of_many_with_the_same_key_is_stored(tmp_path):
    """However many threads send a request at once, it is stored once, and all are told its numbers."""
    with opened(tmp_path / "s.duckdb") as line, ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: line.store.inbox.put([event("x")] * 3, "k"), range(40)))
        assert sum(not each.is_repeat for each in receipts) == 1
        assert {(each.first_seq, each.last_seq) for each in receipts} == {(0, 2)}
        with pytest.raises(KeyTaken):
            line.store.inbox.put([event("x")] * 2, "k")
        assert count(line).records == 3


def test_threads_put_while_the_loop_commits_and_checkpoints(tmp_path):
    """None of them ever stands in the way of another, and each event is counted under its number."""
    with opened(tmp_path / "s.duckdb", checkpoint_bytes=1) as line, ThreadPoolExecutor(5) as pool:
        inbox, source = line.store.inbox, InboxSource(line.store.inbox)

        def put(sender):
            return [inbox.put([event(f"{sender}.{i}")], f"{sender}.{i}") for i in range(40)]

        senders = [pool.submit(put, sender) for sender in range(4)]
        while not all(sender.done() for sender in senders):
            run(line, source, Breaker(is_armed=True), lambda: False, lambda _: None)
        count(line)
        receipts = [each.first_seq for sender in senders for each in sender.result()]
        assert inbox.waiting_bytes == 0
    assert sorted(receipts) == list(range(160))
    found = query(tmp_path / "s.duckdb", "SELECT kafka_offset FROM annotations ORDER BY 1")
    assert [seq for (seq,) in found] == list(range(160))
    assert query(tmp_path / "s.duckdb", "FROM store.inbox") == []


def test_the_time_of_arrival_only_grows(tmp_path, monkeypatch):
    """A clock that is set back, even while nobody runs, does not make a later correction the older one."""
    clock = iter((9_000_000, 5_000_000, 1_000_000))
    path = tmp_path / "s.duckdb"
    for label in "abc":
        now = next(clock)
        monkeypatch.setattr(module, "_now_us", lambda now=now: now)
        with opened(path) as line:
            line.store.inbox.put([event("x", label=label)], label)
            count(line)
    assert query(path, "SELECT given_label, kafka_offset FROM annotations") == [("c", 2)]


def test_a_full_inbox_takes_more_once_the_loop_has_counted(tmp_path, monkeypatch):
    """What waits is bounded, also after a restart; one request is taken whatever its size."""
    monkeypatch.setattr(module, "WAITING_BYTES_MAX", 1_000)
    path = tmp_path / "s.duckdb"
    with opened(path) as line:
        line.store.inbox.put([event("x", text="t" * 2_000)], None)
        with pytest.raises(InboxFull):
            line.store.inbox.put([event("y")], None)
    with opened(path) as line:
        with pytest.raises(InboxFull):
            line.store.inbox.put([event("y")], None)
        count(line)
        assert line.store.inbox.put([event("y")], None).first_seq == 1
        assert count(line).records == 1


def test_large_events_fit_into_the_default_memory(tmp_path):
    """An inbox full of events of megabytes is stored, counted and folded into the file."""
    path = tmp_path / "s.duckdb"
    size = 7 << 20
    with opened(path) as line:
        for i in range(8):
            line.store.inbox.put([event(f"x{i}", text="t" * size)], None)
        line.store.checkpoint(above_bytes=0)
    with opened(path) as line:
        assert count(line).records == 8
    assert query(path, "SELECT count(*), sum(length(text)) FROM annotations") == [(8, 8 * size)]


def test_old_keys_are_deleted(tmp_path, monkeypatch):
    """After their days they are gone from the file; their numbers are never given again."""
    path, day_us = tmp_path / "s.duckdb", 24 * 3600 * 1_000_000
    for i, days in enumerate((100, 106, 108)):
        monkeypatch.setattr(module, "_now_us", lambda days=days: days * day_us)
        with opened(path) as line:
            assert line.store.inbox.put([event("x")], f"k{days}").first_seq == i
            count(line)
    assert query(path, "SELECT key FROM store.inbox_key ORDER BY 1") == [("k106",), ("k108",)]


def test_a_put_is_durable_before_the_loop_has_seen_it(tmp_path):
    """A copy of the files made right after a put holds it."""
    path, copy = tmp_path / "s.duckdb", tmp_path / "copy"
    copy.mkdir()
    with opened(path) as line:
        line.store.inbox.put([event("x")], "k")
        for each in itertools.chain([path], tmp_path.glob("s.duckdb.[wm]*")):
            (copy / each.name).write_bytes(each.read_bytes())
    with opened(copy / "s.duckdb") as line:
        assert line.store.inbox.put([event("x")], "k").is_repeat
        assert count(line).records == 1


def full_disk():
    """What a full disk raises."""
    return pytest.raises(StoreError, match="the disk is full")


@contextlib.contextmanager
def no_file_grows(size):
    """No file of this process may become larger."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_ends_the_run(tmp_path):
    """A put that cannot be written is refused, as are later ones; the next process has the others."""
    path = tmp_path / "s.duckdb"
    with opened(path) as line:
        line.store.inbox.put([event("x")], "k1")
        with no_file_grows(path.with_name("s.duckdb.wal").stat().st_size + 2_000), full_disk():
            line.store.inbox.put([event("y", text="t" * 100_000)], "k2")
        with full_disk():
            line.store.inbox.put([event("z")], "k3")
        with full_disk():
            count(line)
    with opened(path) as line:
        inbox = line.store.inbox
        assert [inbox.put([event(x)], key).is_repeat for x, key in (("x", "k1"), ("z", "k3"))] == [
            True,
            False,
        ]
        assert count(line).records == 2
