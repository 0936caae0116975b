from __future__ import annotations

import itertools
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.consumers.http.serving import Monitor, post
from tests.consumers.stored import query, write_jsonl
from tests.waiting import wait_for, wait_for_commit

PROBS = {"cat": 0.9, "dog": 0.1}
LINES = "application/x-ndjson"


def event(i=1, label="cat", **more):
    """An annotation."""
    return {"example_id": f"x{i}", "label": label, "pred_probs": PROBS} | more


def labels(store):
    """The label of each example."""
    return dict(query(store, "SELECT example_id, given_label FROM annotations"))


@pytest.fixture
def monitor(tmp_path):
    """A monitor that follows an empty stdin."""
    with Monitor(tmp_path) as monitor:
        yield monitor


def test_an_event_is_counted_once(monitor):
    """202 with its number; asked to wait, the transaction that holds it; no record is a second one."""
    status, _, said = post(monitor.url, event(), "k1", wait=60)
    txn_id = said["txn_id"]
    expected = {"accepted": 1, "first_seq": 0, "last_seq": 0, "txn_id": txn_id}
    assert (status, said) == (202, expected)
    status, headers, again = post(monitor.url, event(), "k1", wait=60)
    assert (status, again, headers["idempotency-replayed"]) == (202, said, "true")
    assert monitor.stop().exit_code == 0
    assert query(monitor.store, "SELECT example_id, txn_id FROM annotations") == [("x1", txn_id)]
    found = query(monitor.store, "SELECT value FROM store.counter WHERE name = 'accepted'")
    assert found == [(1,)]
    assert query(monitor.store, "FROM store.inbox") == []
    assert query(monitor.store, "FROM offsets WHERE topic = 'inbox:'") == [("inbox:", 0, 1)]


def test_a_key_stands_for_one_request(monitor, tmp_path):
    """Another body under the same key is refused, also by the next process; another key is news."""
    assert post(monitor.url, event(1), "k")[0] == 202
    status, _, said = post(monitor.url, event(2), "k")
    assert status == 409
    assert "came before with other events" in said["error"]
    assert monitor.stop().exit_code == 0
    with monitor:
        assert post(monitor.url, event(2), "k")[0] == 409
        assert post(monitor.url, event(1), "k")[2]["first_seq"] == 0
        assert post(monitor.url, event(2), "k2", wait=60)[2]["first_seq"] == 1
        assert monitor.stop().exit_code == 0
    assert labels(monitor.store) == {"x1": "cat", "x2": "cat"}


def test_a_key_is_forgotten_after_some_days(tmp_path):
    """Then it may come again."""
    with Monitor(tmp_path, HTTP__INBOX_KEY_DAYS="1e-6") as monitor:
        assert post(monitor.url, event(1), "k")[0] == 202
        time.sleep(0.2)
        assert post(monitor.url, event(2), "k")[2]["first_seq"] == 1


@pytest.mark.parametrize("form", ["array", "lines"])
def test_many_events_in_one_request(form, monitor):
    """10,000 events of one request are in order, and in one transaction or none."""
    events = [event(i, metadata={"n": i}) for i in range(10_000)]
    lines = b"\r\n".join(json.dumps(each).encode() for each in events) + b"\n\n"
    sent = (lines, LINES) if form == "lines" else (events, "application/json; charset=utf-8")
    status, _, said = post(monitor.url, sent[0], kind=sent[1], wait=60)
    assert (status, said["accepted"], said["last_seq"]) == (202, 10_000, 9_999)
    assert monitor.stop().exit_code == 0
    found = query(
        monitor.store,
        "SELECT count(*), bool_and(example_id = 'x' || kafka_offset), any_value(topic) FROM annotations",
    )
    assert found == [(10_000, True, "inbox:")]


def test_bad_events_are_named_and_nothing_is_stored(monitor):
    """A request with a bad event stores none of its events; each bad one is named with its fix."""
    bad = [
        event(1),
        {"example_id": "x2", "pred_probs": PROBS},
        event(3, pred_probs={"cat": 0.9, "dog": 0.9}),
        event(4, annotated_at=time.time() + 90_000),
        7,
        event(6),
    ]
    status, _, said = post(monitor.url, bad, "k", wait=1)
    assert status == 422
    assert said["error"] == "4 events cannot be used; nothing was stored"
    found = [(each["index"], each["reason"], each["field"]) for each in said["errors"]]
    assert found == [
        (1, "missing_field", "label"),
        (2, "probs_not_normalised", "pred_probs"),
        (3, "time_in_future", "annotated_at"),
        (4, "not_an_object", "value"),
    ]
    assert said["errors"][3 - 1]["fix"] == "correct the sender's clock or unit"
    assert post(monitor.url, bad[0], "k", wait=60)[2]["first_seq"] == 0
    assert monitor.stop().exit_code == 0
    assert labels(monitor.store) == {"x1": "cat"}
    assert query(monitor.store, "FROM dead_letters") == []


def test_configured_classes_are_checked_at_once(tmp_path):
    """Where the class list is configured, an unknown label is refused; else only the loop knows."""
    with Monitor(tmp_path, CLASSES="cat,dog") as monitor:
        status, _, said = post(monitor.url, event(label="cow"))
        assert (status, said["errors"][0]["reason"]) == (422, "unknown_label")
        assert post(monitor.url, event(pred_probs=[0.5, 0.5]), wait=60)[2]["txn_id"] >= 1


def test_what_only_the_loop_can_judge_is_a_dead_letter(monitor):
    """A list without classes is accepted, judged in its turn, kept with its bytes, and ends no run."""
    bad = [event(i, pred_probs=[0.5, 0.5]) for i in range(1_500)]
    assert post(monitor.url, bad, wait=60)[0] == 202
    assert post(monitor.url, event(7), wait=60)[0] == 202
    assert monitor.stop().exit_code == 0
    found = query(
        monitor.store, "SELECT reason, count(*), min(kafka_offset) FROM dead_letters GROUP BY ALL"
    )
    assert found == [("probs_without_classes", 1_500, 0)]


@pytest.mark.parametrize(
    ("body", "kind", "more", "status", "text"),
    [
        (b"{}", None, {}, 415, "Content-Type (none)"),
        (b"{}", "text/plain", {}, 415, "Content-Type text/plain"),
        (b"{}", "application/json", {"Content_Encoding": "gzip"}, 415, "in gzip"),
        (b"", "application/json", {}, 400, "holds no event"),
        (b"[]", "application/json", {}, 400, "holds no event"),
        (b"\n \n", LINES, {}, 400, "holds no event"),
        (b"[{}", "application/json", {}, 400, "is not JSON"),
        (b"[" * 100_000, "application/json", {}, 400, "is not JSON"),
        (b"{", "application/json", {}, 422, "1 events cannot"),
        (b"\xff\xfe\x00", "application/json", {}, 422, "1 events cannot"),
        (b"null", LINES, {}, 422, "1 events cannot"),
        (b" " * (33 << 20), "application/json", {}, 413, "8,388,608 bytes"),
        (b"[" + b" " * (7 << 20) + b"1]", "application/json", {}, 422, "1 events cannot"),
        (
            b"{}",
            "application/json",
            {"Idempotency_Key": "k" * 256},
            400,
            "Idempotency-Key has 256",
        ),
        (b"{}", "application/json", {"Idempotency_Key": ""}, 400, "Idempotency-Key has 0"),
    ],
)
def test_what_cannot_be_read_is_refused(monitor, body, kind, *, more, status, text):
    """Each has its status and a text, and the monitor goes on."""
    found, _, said = post(monitor.url, body, kind=kind, **more)
    assert found == status
    assert text in said["error"]
    assert said["hint"]
    assert post(monitor.url, event(), wait=60)[0] == 202


@pytest.mark.parametrize("wait", ["soon", "-1", "61", "nan", "inf"])
def test_wait_is_bounded(wait, monitor):
    """Seconds from 0 to 60, or the request is refused."""
    status, _, said = post(monitor.url, event(), wait=wait)
    assert (status, said["error"]) == (400, f"wait: {wait!r} is no time")


def test_strange_labels(monitor):
    """Quotes, newlines, control characters and other alphabets are labels as any other."""
    strange = [
        'say "hi"',
        "a\nb",
        "a,b",
        "שלום",
        "\u202eevil",
        "\x1b[31mred",
        "\\",
        "'; --",
        "\r\n",
    ]
    events = [
        {"example_id": name, "label": name, "pred_probs": {strange[i - 1]: 1.0}, "annotator": name}
        for i, name in enumerate(strange)
    ]
    assert post(monitor.url, events, "k\"'; é", wait=60)[0] == 202
    lines = b"\n".join(json.dumps(each, ensure_ascii=False).encode() for each in events)
    assert post(monitor.url, lines, kind=LINES, wait=60)[2]["accepted"] == len(strange)
    assert monitor.stop().exit_code == 0
    assert labels(monitor.store) == {name: name for name in strange}


def test_a_correction_wins_over_what_came_before(tmp_path):
    """Files have no time, so what comes by HTTP is newer; a later correction is newer still."""
    file = write_jsonl(tmp_path / "e.jsonl", [event(i, annotator="ann") for i in range(5)])
    with Monitor(tmp_path, file, "-") as monitor:
        for label in ("dog", "cow", "dog"):
            fix = {"example_id": "x1", "label": label, "annotator": "ann"}
            assert post(monitor.url, fix, wait=60)[0] == 202
        gone = {"type": "deletion", "example_id": "x2", "annotator": "ann"}
        assert post(monitor.url, gone, wait=60)[0] == 202
        # Read after the correction, but from an input without times.
        monitor.feed(json.dumps(event(1, "cat", annotator="ann")).encode())
        assert monitor.end().exit_code == 0
    assert labels(monitor.store) == {"x0": "cat", "x1": "dog", "x3": "cat", "x4": "cat"}
    assert query(monitor.store, "SELECT value FROM store.counter WHERE name = 'stale'") == [(1,)]


def test_a_revision_beats_a_correction_without_one(monitor):
    """As for Kafka: revisions everywhere or nowhere."""
    monitor.feed(json.dumps(event(1, revision=3)).encode())
    wait_for_commit(monitor.store, monitor.process)
    assert post(monitor.url, event(1, "dog"), wait=60)[0] == 202
    assert post(monitor.url, event(1, "dog", revision=4), wait=60)[0] == 202
    assert post(monitor.url, event(1, "cat"), wait=60)[0] == 202
    assert monitor.stop().exit_code == 0
    assert labels(monitor.store) == {"x1": "dog"}


def test_the_end_of_a_run_counts_what_was_acknowledged(tmp_path):
    """While a run ends by itself, each request is refused or counted by that same run."""
    lines = [json.dumps(event(i)).encode() for i in range(200)]
    with Monitor(tmp_path) as monitor, ThreadPoolExecutor(4) as pool:
        monitor.feed(*lines)
        sent = []

        def send(sender):
            for i in itertools.count():
                name = f"{sender}.{i}"
                try:
                    status = post(monitor.url, event(name))[0]
                except OSError:
                    break
                assert status in {202, 503}
                sent.extend([f"x{name}"] * (status == 202))

        senders = [pool.submit(send, sender) for sender in range(4)]
        wait_for(lambda: len(sent) > 100 or any(each.done() for each in senders))
        assert monitor.end().exit_code == 0
        for each in senders:
            each.result()
    assert len(sent) > 100
    assert set(sent) <= labels(monitor.store).keys()
    assert query(monitor.store, "SELECT count(*) FROM store.inbox") == [(0,)]


def test_a_sender_that_leaves_stores_nothing(monitor):
    """Half a body is no request."""
    place = urlsplit(monitor.url)
    with socket.create_connection((place.hostname, place.port)) as sender:
        head = b"POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        sender.sendall(
            head + b"Content-Length: 9999\r\n\r\n" + json.dumps(event(9)).encode() + b"\n"
        )
        time.sleep(0.2)
    assert post(monitor.url, event(), wait=60)[2]["first_seq"] == 0
