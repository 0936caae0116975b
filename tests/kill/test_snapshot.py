"""A monitor that is killed while it copies its store for somebody."""

from __future__ import annotations

import contextlib
import signal
from random import Random

import pytest

from consumers.crash import SNAPSHOT_POINTS
from tests.consumers.copies import everything
from tests.consumers.http.serving import Monitor, post
from tests.consumers.stored import difference, query
from tests.consumers.terminal import finish, killed_at_last, run_apart, start
from tests.waiting import LATE_S, wait_for

EVENTS, TEXT_BYTES = 70, 100_000
TRIES = 20
COMMAND = ("snapshot", "copy.duckdb", "--store", "s.duckdb")


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


def killed_over_a_copy(monitor, folder, point):
    """What is told to somebody who asked for a copy, of a monitor that died at this point.

    Without a point it is killed as soon as there is something of a copy: again, where that was whole by then.
    """
    unfinished = monitor.store.with_name(f"{monitor.store.name}.snapshot")
    for _ in range(TRIES):
        asking = start(*COMMAND, cwd=folder)
        with killed_at_last(asking):
            if point:
                assert monitor.process.wait(LATE_S) == -signal.SIGKILL
                finish(monitor.process)
            else:
                wait_for(lambda: unfinished.exists() or asking.poll() is not None)  # noqa: B023 - called here
                monitor.kill()
            told = finish(asking)
        if unfinished.exists():
            return told
        for each in (*folder.glob("*.snapshot-*"), folder / "copy.duckdb"):
            each.unlink(missing_ok=True)
        monitor.start()
    raise AssertionError("each copy was whole before the monitor died")


@pytest.mark.parametrize("point", [None, *SNAPSHOT_POINTS])
def test_killed_while_it_copies(point, tmp_path):
    """Who asked is told, no half copy stays in the way, and after a restart a copy is taken as ever."""
    monitor = Monitor(tmp_path)
    with contextlib.ExitStack() as stack:
        stack.push(monitor.start(**({"CRASH_AT": point} if point else {})))
        assert "txn_id" in post(monitor.url, events(), wait=60)[2]
        told = killed_over_a_copy(monitor, tmp_path, point)
        assert told.exit_code == 3
        assert "so there is no snapshot; look at" in told.fault
        assert not (tmp_path / "copy.duckdb").exists()
        monitor.start()
        assert not list(tmp_path.glob("*.snapshot*"))
        again = run_apart(*COMMAND, cwd=tmp_path)
        assert again.exit_code == 0, again.err
        ended = monitor.end()
    assert ended.exit_code == 0, ended.err
    assert not list(tmp_path.glob("*.snapshot*"))
    copied = query(tmp_path / "copy.duckdb", "SELECT count(DISTINCT text) FROM annotations")
    assert copied == [(EVENTS,)]
    assert difference(everything(tmp_path / "copy.duckdb"), everything(monitor.store)) is None
