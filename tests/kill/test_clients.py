"""Promise 3 for all who ask: two hundred clients at once, and a monitor that is killed over and over."""

from __future__ import annotations

import itertools
import os
import signal
import time
from random import Random

from consumers.config import Settings
from consumers.sweeping import Sweep
from consumers.wiring import open_line
from tests.consumers.http.serving import Monitor, post
from tests.consumers.stored import assert_findings_add_up, difference, query, tables
from tests.consumers.terminal import finish
from tests.kill.clients import LAST, Asker, Explainer, Follower, Lister, Sender, Town
from tests.waiting import LATE_S, wait_for

POPULATION = {Sender: 60, Follower: 60, Asker: 40, Lister: 25, Explainer: 15}
POINTS = ("inbox.stored:20", "store.inserted:5", "store.committed:5", "store.checkpointed:2")
RANDOM_KILLS = 2
REQUESTS = 250
SENTINEL = {
    "example_id": LAST, "label": "a", "pred_probs": {"a": 0.01, "b": 0.99}, "annotated_at": 0,
}  # fmt: skip


def kill_often(monitor, random):
    """Kill it at each point, and at random moments between them."""
    lives = random.sample([*POINTS, *[None] * RANDOM_KILLS], len(POINTS) + RANDOM_KILLS)
    for point in lives:
        monitor.start(**({"CRASH_AT": point} if point else {}))
        if point:
            assert monitor.process.wait(LATE_S) == -signal.SIGKILL, point
            finish(monitor.process)
        else:
            time.sleep(random.uniform(0.1, 1.5))
            monitor.kill()


def in_order(senders):
    """All events that were acknowledged, in the order in which they were taken, without a gap."""
    sent = {first: events for sender in senders for first, events in sender.sent.items()}
    assert len(sent) == sum(len(sender.sent) for sender in senders)
    next_seq = 0
    for first in sorted(sent):
        assert first == next_seq, "a number is missing, or given twice"
        next_seq += len(sent[first])
    return list(itertools.chain.from_iterable(sent[first] for first in sorted(sent)))


def undisturbed(folder, events):
    """The tables of a monitor that got these events from one sender, and was left alone."""
    folder.mkdir()
    with Monitor(folder) as monitor:
        assert post(monitor.url, events)[0] == 202
        assert post(monitor.url, SENTINEL)[0] == 202
        ended = monitor.end()
    assert ended.exit_code == 0, ended.err
    return tables(monitor.store)


def held(found):
    """Tables without what depends on which events are read together: where an example's key stands."""
    found.pop("prediction_key")
    return found | {"example": [row[:-4] for row in found["example"]]}


def test_two_hundred_clients_of_a_monitor_that_is_killed(tmp_path, record_property):
    """Each gets a clear answer, what is acknowledged counts once, and no stream has a gap or repeats."""
    seed = int(os.environ.get("LABELWATCH_SEED", time.time_ns() % 2**32))
    print(f"seed {seed}: set LABELWATCH_SEED to repeat")  # noqa: T201 - the seed is the point
    monitor = Monitor(tmp_path, CHECKPOINT_BYTES=20_000)
    with monitor:
        town = Town(monitor, seed, POPULATION)
        time.sleep(1)
        monitor.kill()
        kill_often(monitor, Random(seed))
        monitor.start()
        wait_for(lambda: town.has_sent(REQUESTS))
        town.is_over.set()
        faults = town.settle(Sender, Asker, Lister, Explainer)
        assert not faults, faults[:5]
        assert post(monitor.url, SENTINEL)[0] == 202
        faults = town.settle(Follower)
        assert not faults, faults[:5]
        ended = monitor.end()
    assert ended.exit_code == 0, ended.err
    record_property("answers", dict(town.answers))
    for kind in {each.kind for each in town.clients}:
        assert town.answers[kind, "closed"], town.answers
        assert town.answers[kind, 202 if kind == "sender" else 200], town.answers
    events = in_order(town.of(Sender))
    assert_findings_add_up(monitor.store)
    assert_streams_are(monitor.store, town.of(Follower))
    alone = undisturbed(tmp_path / "alone", events)
    with open_line(Settings(store=str(monitor.store)), "test") as line:
        Sweep(line.store, line.state).finish()
    assert difference(held(tables(monitor.store)), held(alone)) is None


def assert_streams_are(store, followers):
    """Each client has had every finding once, in order."""
    keys = query(
        store,
        "SELECT concat_ws('.', txn_id, kind, annotation) FROM store.finding "
        "ORDER BY txn_id, kind, annotation",
    )
    assert len(keys) > 100
    shown = query(
        store, "SELECT finding_id, action, example_id, txn_id FROM findings ORDER BY ALL"
    )
    (end,) = {each.found[-1][0] for each in followers}
    # A sweep may have found more since.
    keys = keys[: keys.index((end,)) + 1]
    shown = [row[:3] for row in shown if row[3] <= int(end.split(".")[0])]
    for each in followers:
        assert [key for key, *_ in each.found] == [key for (key,) in keys], each.name
        assert sorted(told for _, *told in each.found) == [list(row) for row in shown]
