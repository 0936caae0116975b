"""A whole monitor in this process: the loop in a thread, and clients of what it serves."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request

import pytest

from consumers.cli.feeding import feed
from consumers.config import HttpSettings, Settings
from consumers.http import server
from consumers.store.lock import url_of
from tests.consumers.http.serving import post
from tests.consumers.http.web import events_of
from tests.metrics.live import LiveSource
from tests.waiting import LATE_S, beside, wait_for

PROBS = {"cat": 0.9, "dog": 0.1}


def event(i, label="cat"):
    """An annotation."""
    return {"example_id": f"x{i}", "label": label, "annotator": "ann", "pred_probs": PROBS}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The source of a run that answers, its store, and what ends it."""
    # However slow the machine, streams are not cut off.
    monkeypatch.setattr(server, "STREAMS_END_S", LATE_S)
    store = tmp_path / "s.duckdb"
    settings = Settings(store=str(store), http=HttpSettings(listen="127.0.0.1:0"))
    source, stop = LiveSource(), threading.Event()

    def run():
        feed(
            settings,
            source,
            "labelwatch test",
            is_stopping=stop.is_set,
            keep_going=True,
            has_server=True,
        )

    with beside(run, stop) as faults:
        wait_for(lambda: faults or url_of(store))
        yield source, store, stop


def test_events_are_sent_and_findings_come_back(here):
    """What is posted is counted once, what is wrong is refused whole; the stream tells what is found."""
    _, store, _ = here
    url = url_of(store)
    with urllib.request.urlopen(f"{url}/api/events", timeout=LATE_S) as stream:
        many = [event(i) for i in range(8)] + [event(9, "dog")]
        many += [event(i, "dog") | {"pred_probs": {"cat": 0.1, "dog": 0.9}} for i in range(10, 18)]
        status, _, said = post(url, many, "k1", wait=60)
        assert (status, said["accepted"], said["first_seq"]) == (202, len(many), 0)
        ((place, finding),) = events_of(stream, 1)
    assert (finding["example_id"], finding["action"]) == ("x9", "raised")
    status, headers, again = post(url, many, "k1", wait=60)
    assert (status, again["first_seq"], headers["idempotency-replayed"]) == (202, 0, "true")
    assert post(url, event(1), "k1")[0] == 409
    status, _, said = post(url, [event(20), {"example_id": "x"}])
    assert (status, [each["index"] for each in said["errors"]]) == (422, [1])
    assert post(url, b"[{", kind="application/json")[0] == 400
    assert post(url, b"", kind="application/json")[0] == 400
    assert post(url, b"x", kind="text/plain")[0] == 415
    lines = b"\n".join(json.dumps(event(i)).encode() for i in (30, 31))
    assert post(url, lines, kind="application/x-ndjson", wait=60)[2]["accepted"] == 2
    assert post(url, event(9), wait=60)[0] == 202
    asked = urllib.request.Request(f"{url}/api/events", headers={"Last-Event-ID": place})
    with urllib.request.urlopen(asked, timeout=LATE_S) as stream:
        found = iter(lambda: events_of(stream, 1)[0][1], None)
        cleared = next(each for each in found if each["action"] == "cleared")
    assert cleared["example_id"] == "x9"


def test_the_document_and_what_is_refused(here):
    """The document describes every path; a wrong parameter, method or place is told in a line."""
    _, store, _ = here
    url = url_of(store)
    with urllib.request.urlopen(f"{url}/api/openapi.json", timeout=LATE_S) as answer:
        assert {"/api/events", "/sql", "/api/label-issues"} <= set(json.load(answer)["paths"])
    for path, status in (
        ("/api/label-issues?limit=0", 400),
        ("/api/label-issues?limit=1&limit=2", 400),
        ("/api/label-issues?nothing=1", 400),
        ("/api/label-issues?next=x", 400),
        ("/api/label-issue", 404),
        ("/api/explain/nobody", 404),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url + path, timeout=LATE_S)
        assert refused.value.code == status
        assert json.load(refused.value)["hint"]
    asked = urllib.request.Request(f"{url}/api/events", headers={"Last-Event-ID": "x"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(asked, timeout=LATE_S)


def test_what_waits_is_counted_before_the_end(here):
    """The source and the inbox are counted in one store; nothing is lost when it stops."""
    source, store, _ = here
    source.send([json.dumps(event(i)).encode() for i in range(5)])
    assert post(url_of(store), [event(i) for i in range(5, 9)], wait=60)[0] == 202
    wait_for(lambda: b'"next_offset":5' in ask(store, "/api/offsets"))


def test_the_end_of_the_monitor_is_the_end_of_the_stream(here):
    """What is committed before a monitor ends is sent, and then the stream ends as it should."""
    _, store, stop = here
    many = [event(i) for i in range(8)]
    many += [event(i, "dog") | {"pred_probs": {"cat": 0.1, "dog": 0.9}} for i in range(10, 18)]
    url = url_of(store)
    assert "txn_id" in post(url, many, wait=60)[2]
    with urllib.request.urlopen(f"{url}/api/events", timeout=LATE_S) as stream:
        assert "txn_id" in post(url, [event(i, "dog") for i in range(20, 60)], wait=60)[2]
        stop.set()
        assert stream.read().count(b'"kind":"label_issue"') == 40


def ask(store, path):
    """The body of an answer."""
    with urllib.request.urlopen(url_of(store) + path, timeout=LATE_S) as answer:
        return answer.read()
