from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from consumers.errors import UsageError
from consumers.store import gate as module
from consumers.store.background import NICENESS
from consumers.store.gate import Busy, Limits, Stopped, TimeUp, Waiting
from tests.consumers.store.attacks import BOUNDED, REFUSED
from tests.consumers.store.living import LIMITS, event, living
from tests.consumers.stored import query
from tests.waiting import LATE_S, wait_for

LONG = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"


@pytest.fixture(scope="module")
def alive(tmp_path_factory):
    """A store that a writer commits to all the time."""
    with living(tmp_path_factory.mktemp("alive") / "s.duckdb") as made:
        yield made


@pytest.mark.parametrize("attack", REFUSED)
def test_what_is_refused(attack, alive):
    """What would write, reach out or steer is wrong usage in one line; the writer goes on."""
    with pytest.raises(UsageError) as refused:
        alive.gate.ask(attack.replace("{store}", str(alive.store.path)))
    assert str(refused.value)
    assert "\n" not in str(refused.value)
    alive.go_on(1)


@pytest.mark.parametrize("attack", BOUNDED, ids=lambda text: text[:60])
def test_what_is_bounded(attack, alive):
    """What would take all time or memory ends; the writer commits on meanwhile."""
    before, ways = alive.commits, BOUNDED[attack]
    limits = replace(LIMITS, seconds=1.0) if TimeUp in ways else LIMITS
    try:
        answer = alive.gate.ask(attack, limits=limits)
    except tuple(each for each in ways if isinstance(each, type)) as ended:
        assert "\n" not in str(ended)  # noqa: PT017 - what it is was asserted above
    else:
        assert None in ways or answer.is_truncated
        assert len(answer.rows) <= LIMITS.rows
    alive.go_on(1)
    assert alive.commits > before


def test_nothing_has_changed(alive):
    """After all of them the store holds what the writer wrote, and is still ours alone."""
    assert alive.gate.ask("SELECT count(*) FROM store.class").rows == [(2,)]
    assert alive.gate.ask("SELECT count(*) % 50 FROM annotations").rows == [(0,)]
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, alive.store.path], capture_output=True, check=False
    )
    assert b"lock" in done.stderr, "a second process got in"


def test_what_is_allowed(alive):
    """A reader asks in any form of SELECT, over views, with parameters."""
    for sql in (
        "SELECT now(), [now()]",
        "FROM annotations LIMIT 1;",
        "WITH a AS (FROM classes) SELECT label FROM a ORDER BY 1 -- the end",
        "VALUES (1), (2)",
        "TABLE offsets",
        "SHOW TABLES",
        "DESCRIBE annotations",
        "SUMMARIZE classes",
        "EXPLAIN FROM label_issues",
        "/* x */ EXPLAIN (FORMAT json) SELECT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM annotations",
        "FROM information_schema.tables",
        "PIVOT classes ON label IN ('a') USING sum(annotation_count)",
        "FROM duckdb_columns() LIMIT 1",
        "FROM test_all_types()",
    ):
        assert alive.gate.ask(sql).columns, sql
        assert alive.gate.arrow(sql).schema, sql
    assert alive.gate.ask("SELECT ? + 1", [41]).rows == [(42,)]
    assert alive.gate.ask("SELECT $a", {"a": "x"}).rows == [("x",)]
    with pytest.raises(UsageError, match=r"Did you mean|Candidate bindings"):
        alive.gate.ask("SELECT given_labl FROM annotations")


def test_an_answer_is_of_one_commit(alive):
    """However long a query takes, it sees one commit, while others follow."""
    for _ in range(20):
        ((read, stored),) = alive.gate.ask(
            "SELECT (SELECT next_offset FROM offsets), (SELECT count(*) FROM annotations)"
        ).rows
        assert read == stored
        assert read % 50 == 0


def test_rows_are_cut_and_said_so(alive):
    """More rows than the limit are cut; as many are not."""
    for ask in (alive.gate.ask, alive.gate.arrow):
        assert ask("FROM range(1000)").is_truncated is False
        assert ask("FROM range(1001)").is_truncated is True
        assert ask("FROM range(3)", limits=Limits(rows=0)).is_truncated is True
    assert len(alive.gate.ask("FROM range(1001)").rows) == 1_000
    assert sum(map(len, alive.gate.arrow("FROM range(1001)").batches)) == 1_000


def test_few_at_a_time(alive):
    """More queries than may run wait a moment, and are then turned away."""
    waiting = [Waiting(), Waiting()]
    ended = []
    threads = [
        threading.Thread(target=lambda w=w: ended.append(stopped(alive, w))) for w in waiting
    ]
    for each in threads:
        each.start()
    wait_for(lambda: all(each._cursor for each in waiting))
    with pytest.raises(Busy, match="2 queries run already"):
        alive.gate.ask("SELECT 1")
    for each in waiting:
        each.leave()
    for each in threads:
        each.join(LATE_S)
    assert ended == [Stopped, Stopped]
    assert alive.gate.ask("SELECT 1").rows == [(1,)]


def stopped(alive, waiting):
    """How a long query ends."""
    try:
        alive.gate.ask(LONG, limits=Limits(seconds=LATE_S), waiting=waiting)
    except (Stopped, TimeUp) as ended:
        return type(ended)


def test_who_has_left_is_not_answered(alive):
    """A query whose client has gone does not begin."""
    waiting = Waiting()
    waiting.leave()
    with pytest.raises(Stopped):
        alive.gate.ask("SELECT 1", waiting=waiting)


def test_the_writer_ends_while_readers_ask(tmp_path):
    """A query that runs when the store is closed is interrupted, and says so; the store is whole."""
    ended, waiting = [], Waiting()
    with living(tmp_path / "s.duckdb") as alive:
        thread = threading.Thread(target=lambda: ended.append(stopped(alive, waiting)))
        thread.start()
        wait_for(lambda: waiting._cursor)
        gate = alive.gate
    thread.join(LATE_S)
    assert ended == [Stopped]
    with pytest.raises(Stopped, match="ending"):
        gate.ask("SELECT 1")
    assert query(tmp_path / "s.duckdb", "SELECT count(*) FROM annotations") == [
        (alive.commits * 50,)
    ]


def test_a_reader_that_does_not_leave_fails_nothing(tmp_path, monkeypatch):
    """Where a query does not end in time, the store is let go of all the same."""
    monkeypatch.setattr(module, "END_S", 0.0)
    ended, waiting = [], Waiting()
    with living(tmp_path / "s.duckdb") as alive:
        thread = threading.Thread(target=lambda: ended.append(stopped(alive, waiting)))
        thread.start()
        wait_for(lambda: waiting._cursor)
    waiting.leave()
    thread.join(LATE_S)
    assert ended == [Stopped]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own there")
def test_queries_yield_the_processor(alive):
    """The thread of a query is as nice as it says, and the writer's is not."""
    assert os.getpriority(os.PRIO_PROCESS, 0) < NICENESS
    waiting = Waiting()
    asking = threading.Thread(target=lambda: stopped(alive, waiting))
    asking.start()
    try:
        wait_for(lambda: NICENESS in niceness_of_queries())
    finally:
        waiting.leave()
        asking.join(LATE_S)


def niceness_of_queries():
    """Of the threads in which queries run."""
    found = set()
    for each in threading.enumerate():
        if each.name == "aside" and each.native_id:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                found.add(os.getpriority(os.PRIO_PROCESS, each.native_id))
    return found


@pytest.mark.parametrize("memory_limit", [None, "80MB"])
def test_memory_goes_to_writers_first(memory_limit, tmp_path):
    """Readers that eat all memory there is fail, or leave; commits, puts and checkpoints succeed."""
    bombs = [each for each, ways in BOUNDED.items() if Stopped in ways]
    limits = Limits(seconds=1.5, rows=10, bytes=1 << 20)
    settings = {"memory_limit": memory_limit, "checkpoint_bytes": 1 << 18}
    with living(tmp_path / "s.duckdb", limits=limits, **settings) as alive:
        puts = 0
        threads = [
            threading.Thread(target=drop, args=(alive, each)) for each in (bombs, bombs[::-1])
        ]
        for each in threads:
            each.start()
        while any(each.is_alive() for each in threads):
            alive.store.inbox.put([event(puts)], f"k{puts}")
            puts += 1
            alive.go_on(1)
        alive.go_on()
    assert query(tmp_path / "s.duckdb", "SELECT count(*), max(txn_id) FROM store.txn") == [
        (alive.commits, alive.commits)
    ]
    found = query(tmp_path / "s.duckdb", "SELECT count(*), max(seq) + 1 FROM store.inbox")
    assert found == [(puts, puts)]


def drop(alive, bombs):
    """Ask for too much, again and again."""
    for each in bombs:
        with pytest.raises(Exception, match=r"memory|longer|interrupted|again"):
            alive.gate.ask(each)


def test_readers_do_not_stop_checkpoints(tmp_path):
    """With a reader all the time, and one that sits on its snapshot, the log stays bounded."""
    limit = 1 << 18
    path, wal = tmp_path / "s.duckdb", tmp_path / "s.duckdb.wal"
    limits = Limits(seconds=LATE_S, rows=10)
    with living(path, limits=limits, checkpoint_bytes=limit, batch_size=200) as alive:
        waiting = Waiting()
        slow = threading.Thread(
            target=lambda: stopped(alive, waiting),
        )
        slow.start()
        wait_for(lambda: waiting._cursor)
        sizes = []
        for _ in range(60):
            alive.gate.ask("SELECT count(*), sum(self_confidence) FROM annotations")
            alive.go_on(1)
            sizes.append(size_of(wal))
        waiting.leave()
        slow.join(LATE_S)
    assert max(sizes) < 4 * limit
    assert any(after < before for before, after in itertools.pairwise(sizes))


def size_of(path):
    """The size of a file, 0 where there is none, or no more."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
