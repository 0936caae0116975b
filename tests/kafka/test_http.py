"""Answers while a run follows Kafka."""

from __future__ import annotations

import pytest

from consumers.store.lock import url_of
from tests.consumers.http.test_stream import streaming
from tests.consumers.http.web import Monitor, events_of
from tests.consumers.terminal import finish
from tests.kafka.running import annotation, follow_on, now_at
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("client")


def asked(cwd):
    """A client of the run in a folder, once there is one."""
    store = cwd / "labelwatch.duckdb"
    wait_for(lambda: url_of(store) is not None)
    found = object.__new__(Monitor)
    found.store, found.url, found.token = store, url_of(store), None
    return found


def test_it_answers_while_it_follows(broker, topic, tmp_path):
    """What is produced is a finding in the stream, a row in the lists, and lag no longer."""
    broker.produce(topic, [annotation(i, "abc"[i % 3]) for i in range(30)])
    with follow_on(broker, topic, cwd=tmp_path) as process:
        monitor = asked(tmp_path)
        wait_for(lambda: now_at(tmp_path) == [30])
        with streaming(monitor) as stream:
            probs = {"a": 0.02, "b": 0.96, "c": 0.02}
            broker.produce(topic, [annotation(99, "a", pred_probs=probs)])
            ((_, found),) = events_of(stream, 1)
        assert (found["example_id"], found["action"]) == ("x99", "raised")
        (issue,) = monitor.get("/api/label-issues").json["rows"]
        assert (issue["example_id"], issue["topic"], issue["kafka_offset"]) == ("x99", topic, 30)
        assert monitor.get("/readyz").json["lag_records"] == 0
        process.terminate()
        assert finish(process).exit_code == 0
    assert url_of(monitor.store) is None


def test_a_broker_that_is_away(own_broker, tmp_path):
    """Without its broker a run is alive, answers, and is not ready; with it again, it is."""
    topic = own_broker.create()
    own_broker.produce(topic, [annotation(i, "abc"[i % 3]) for i in range(6)])
    with follow_on(own_broker, topic, cwd=tmp_path) as process:
        monitor = asked(tmp_path)
        wait_for(lambda: monitor.get("/readyz").status == 200)
        own_broker.kill()
        try:
            wait_for(lambda: monitor.get("/readyz").status == 503)
            (reason,) = monitor.get("/readyz").json["reasons"]
            assert (reason["reason"], own_broker.servers in reason["detail"]) == (
                "source_away",
                True,
            )
            assert monitor.get("/livez").status == 200
            assert monitor.get("/api/classes").status == 200
        finally:
            own_broker.start()
        wait_for(lambda: monitor.get("/readyz").status == 200)
        process.terminate()
        assert finish(process).exit_code == 0
