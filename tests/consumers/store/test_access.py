"""What is done anew where memory was short, and what is not."""

from __future__ import annotations

import threading

import duckdb
import pytest

from consumers.errors import StoreError
from consumers.store.access import Access
from consumers.store.gate import Busy, Limits, Stopped, TimeUp
from tests.consumers.store.living import event, living
from tests.waiting import LATE_S

LONG = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"
SHORT = "failed to allocate data of size 512 bytes (307.7 MiB/309.9 MiB used)"


class Failing:
    """A connection whose next COMMIT says that memory is short: before it is done, or after."""

    def __init__(self, db, *, is_done):
        self._db, self._is_done, self._is_armed = db, is_done, True

    def __getattr__(self, name):
        return getattr(self._db, name)

    def execute(self, statement, *parameters):
        """As the connection does, but once."""
        fails = self._is_armed and statement == "COMMIT"
        if fails:
            self._is_armed = False
            if not self._is_done:
                raise duckdb.OutOfMemoryException(SHORT)
        found = self._db.execute(statement, *parameters)
        if fails:
            raise duckdb.OutOfMemoryException(SHORT)
        return found


@pytest.fixture
def alive(tmp_path):
    """A store that a writer commits to all the time, and one who reads for long."""
    with living(tmp_path / "s.duckdb", limits=Limits(seconds=LATE_S, rows=10)) as made:
        asking = threading.Thread(target=read_on, args=(made.gate,), daemon=True)
        asking.start()
        yield made
    asking.join(LATE_S)
    assert not asking.is_alive()


def read_on(gate):
    """Ask for long, again and again, until the store is closed."""
    while True:
        try:
            gate.ask(LONG)
        except (Busy, TimeUp):  # busy: all are kept out for longer than one waits
            continue
        except Stopped as stopped:
            if "ending" in str(stopped):
                return


@pytest.mark.parametrize("is_done", [False, True])
def test_a_commit_is_done_once(is_done, alive):
    """Whether the commit failed or what came after it, there is one transaction of each batch."""
    alive.store._db = alive.store._committer._tables._db = Failing(
        alive.store._db, is_done=is_done
    )
    alive.go_on(5)
    store = alive.store
    found = alive.gate.ask("SELECT count(*), count(DISTINCT txn_id), max(txn_id) FROM store.txn")
    assert len(set(found.rows[0])) == 1
    found = alive.gate.ask(
        "SELECT count(*) % 50, count(*) - count(DISTINCT annotation) FROM store.annotation"
    )
    assert found.rows == [(0, 0)]
    assert store.txn_id >= 5


@pytest.mark.parametrize("is_done", [False, True])
def test_a_put_is_done_once(is_done, alive, tmp_path):
    """Likewise what is put into the inbox."""
    inbox = alive.store.inbox
    inbox._db = inbox._tables._db = Failing(inbox._db, is_done=is_done)
    assert [inbox.put([event(i)], f"k{i}").first_seq for i in range(3)] == [0, 1, 2]
    assert inbox.put([event(0)], "k0").is_repeat
    found = alive.gate.ask("SELECT count(*), count(DISTINCT seq) FROM store.inbox")
    assert found.rows == [(3, 3)]


def test_readers_are_sent_away(alive):
    """What is read is read anew, alone; what fails for another reason is not."""
    tries = []

    def fails_once():
        tries.append(1)
        if len(tries) == 1:
            raise duckdb.OutOfMemoryException(SHORT)
        return "found"

    assert alive.store._access.first(fails_once) == "found"

    def fails():
        tries.append(1)
        raise duckdb.IOException("No space left on device")

    with pytest.raises(StoreError, match="disk is full"):
        alive.store._access.first(fails)
    assert len(tries) == 3


def test_without_readers_it_fails(tmp_path):
    """Where nobody can be sent away, the fault is told."""

    def fails():
        raise duckdb.OutOfMemoryException(SHORT)

    with pytest.raises(StoreError, match="raise memory_limit"):
        Access(tmp_path / "s.duckdb").first(fails)
