"""A monitor that is killed while it copies its store for somebody."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from random import Random

import pytest

from consumers.crash import SNAPSHOT_POINTS
from tests.consumers.copies import everything
from tests.consumers.http.serving import Monitor, post
from tests.consumers.stored import difference, query
from tests.consumers.terminal import finish, run_apart, start

EVENTS, TEXT_BYTES = 70, 100_000
LATE_S = 120


def events():
    """Events whose texts take a while to be copied."""
    random = Random(1)
    return [
        {
            "example_id": f"x{i}",
            "label": "ab"[i % 2],
            "pred_probs": {"a": 0.75, "b": 0.25},
            "text": random.randbytes(TEXT_BYTES // 2).hex(),
        }
        for i in range(EVENTS)
    ]


def kill(monitor, point):
    """See it die at the point; without one, kill it as soon as there is something of a copy."""
    if point:
        assert monitor.process.wait(LATE_S) == -signal.SIGKILL
        return finish(monitor.process)
    deadline = time.monotonic() + LATE_S
    while not Path(f"{monitor.store}.snapshot").exists():
        assert time.monotonic() < deadline, "no copy is begun"
    return monitor.kill()


@pytest.mark.parametrize("point", [None, *SNAPSHOT_POINTS])
def test_killed_while_it_copies(point, tmp_path):
    """Who asked is told, no half copy stays in the way, and after a restart a copy is taken as ever."""
    command = ("snapshot", "copy.duckdb", "--store", "s.duckdb")
    monitor = Monitor(tmp_path)
    with contextlib.ExitStack() as stack:
        stack.push(monitor.start(**({"CRASH_AT": point} if point else {})))
        assert "txn_id" in post(monitor.url, events(), wait=30)[2]
        asking = start(*command, cwd=tmp_path)
        kill(monitor, point)
        told = finish(asking)
        assert told.exit_code == 3
        assert "so there is no snapshot; look at" in told.fault
        assert list(tmp_path.glob("*.snapshot"))
        assert not (tmp_path / "copy.duckdb").exists()
        monitor.start()
        assert not list(tmp_path.glob("*.snapshot*"))
        again = run_apart(*command, cwd=tmp_path)
        assert again.exit_code == 0, again.err
        ended = monitor.end()
    assert ended.exit_code == 0, ended.err
    assert not list(tmp_path.glob("*.snapshot*"))
    copied = query(tmp_path / "copy.duckdb", "SELECT count(DISTINCT text) FROM annotations")
    assert copied == [(EVENTS,)]
    assert difference(everything(tmp_path / "copy.duckdb"), everything(monitor.store)) is None
