"""For supervisors: alive, and of use."""

from __future__ import annotations

import contextlib
import time

import pytest

from consumers.board import Board, Phase
from consumers.config import HttpSettings
from consumers.http import probes
from consumers.http.context import Context
from consumers.store import Store
from consumers.store.gate import Limits
from monitor.events import Partition
from tests.waiting import wait_for

PLACE = Partition("t", 0)


def test_a_monitor_that_waits_is_alive_and_ready(empty):
    """A run with nothing to read is alive and ready, and says how far it is."""
    wait_for(lambda: empty.get("/livez").json["phase"] != "starting")
    assert empty.get("/livez").json == {"alive": True, "phase": "running"}
    assert empty.get("/healthz").json == empty.get("/livez").json
    ready = empty.get("/readyz")
    assert ready.status == 200
    assert ready.json == {"ready": True, "reasons": [], "txn_id": 0, "lag_records": 0}


def test_readiness_knows_the_last_commit(monitor):
    """The transaction told is that of the store."""
    monitor.send(b"{")
    monitor.settle()
    wait_for(lambda: monitor.get("/readyz").json["txn_id"] >= 1)


@pytest.fixture
def context(filled):
    """A context of a run over a store."""
    with contextlib.closing(Store.open(filled, "test")) as store:
        board = Board(phase=Phase.RUNNING)
        yield Context(HttpSettings(), board, path=filled, gate=store.gate(Limits(), 1))


def test_a_loop_that_stands_is_dead(context):
    """A loop that has not come round within the bound is not alive; one that is still loading is."""
    assert probes.stood_s(context) < context.stuck_s
    context.board.moved_at = time.monotonic() - context.stuck_s - 1
    assert probes.stood_s(context) > context.stuck_s
    context.board.phase = Phase.STARTING
    assert probes.stood_s(context) == 0


def reasons(context):
    """Why it is not ready."""
    return list(probes.unready(context))


def test_every_reason_is_told(context, monkeypatch):
    """Each reason alone makes it unready, and it is ready without."""
    board = context.board
    assert reasons(context) == []
    for phase in (Phase.STARTING, Phase.DRAINING):
        board.phase = phase
        assert reasons(context) == [str(phase)]
    board.phase = Phase.RUNNING
    board.away = "localhost:1: nobody listens there"
    assert probes.unready(context) == {"source_away": board.away}
    board.away = None
    monkeypatch.setattr(probes, "FREE_BYTES_MIN", 2**60)
    assert reasons(context) == ["disk_full"]
    monkeypatch.undo()
    context.is_closing = True
    assert reasons(context) == ["draining"]
    context.is_closing, context.gate = False, None
    assert reasons(context) == ["starting"]


def test_a_late_commit_matters_where_there_is_something_to_read(context):
    """No commit for a minute is no fault of a quiet stream, but one of a stream with unread records."""
    board = context.board
    board.committed_at = time.monotonic() - probes.LATE_S - 1
    board.next_offsets, board.end_offsets = {PLACE: 5}, {PLACE: 5}
    assert reasons(context) == []
    board.end_offsets = {PLACE: 6}
    assert reasons(context) == ["commit_late"]
    board.committed_at = time.monotonic()
    assert reasons(context) == []
