"""Findings and dead letters in topics of their own."""

from __future__ import annotations

import hashlib
import json
import signal
from itertools import pairwise

import pytest

from consumers.kafka import publisher
from tests.consumers.stored import query, tamper, write_jsonl
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import finish, run_here
from tests.kafka.broker import PASSWORD, USER
from tests.kafka.client import Client
from tests.kafka.published import Outputs, stored_findings, stored_letters
from tests.kafka.running import annotation, follow, follow_on, impatient, now_at
from tests.waiting import wait_for

STORE = "labelwatch.duckdb"
PER_SUSPECT = 2
"""Findings: a label issue and a consensus issue."""


@pytest.fixture
def outputs(broker):
    """New output topics."""
    return Outputs(broker)


def suspects(first, count):
    """Records that raise a label issue for each of `count` annotations, given ordinary ones before."""
    probs = {"a": 0.05, "b": 0.9, "c": 0.05}
    return [annotation(i, "a", pred_probs=probs) for i in range(first, first + count)]


def ordinary(count=30):
    """Records about every class that raise nothing."""
    return [annotation(-1 - i, "abc"[i % 3]) for i in range(count)]


def test_the_topics_hold_what_the_views_show(broker, topic, tmp_path):
    """Each finding and dead letter is sent once, with the columns of its view and an id."""
    outputs, path = Outputs(broker, partitions=3), tmp_path / STORE
    broker.produce(topic, busy_stream(3, 1_500))
    settings = outputs.settings | {"BATCH_SIZE_MAX": 100}
    assert follow(broker, topic, cwd=tmp_path, classes=None, settings=settings).exit_code == 0
    findings = outputs.findings()
    assert len(findings) == query(path, "SELECT count(*) FROM findings")[0][0] > 1_000
    assert outputs.distinct_findings() == stored_findings(path)
    # Of an annotation that has moved since, the view shows where it is now.
    example_of = dict(query(path, "SELECT finding_id, example_id FROM findings"))
    assert all(
        each["example_id"] == example_of[each["finding_id"]]
        for *_, each in findings
        if "\x1f" in each["annotation_id"]
    )
    columns = [name for name, *_ in query(path, "DESCRIBE findings")]
    for key, headers, each in findings:
        assert list(each) == columns
        assert key == each["example_id"].encode()
        assert headers == {"labelwatch.finding_id": each["finding_id"].encode()}
    assert len(outputs.letters()) == query(path, "SELECT count(*) FROM dead_letters")[0][0] > 50
    assert outputs.distinct_letters() == stored_letters(path)


def test_findings_of_an_example_keep_their_order(broker, topic, tmp_path):
    """Whatever the partitions, the findings of one example come in the order of their commits."""
    outputs = Outputs(broker, partitions=3)
    broker.produce(topic, busy_stream(4, 1_000))
    settings = outputs.settings | {"BATCH_SIZE_MAX": 50}
    assert follow(broker, topic, cwd=tmp_path, classes=None, settings=settings).exit_code == 0
    by_example = {}
    for key, _, each in outputs.findings():
        by_example.setdefault(key, []).append(each["txn_id"])
    assert max(map(len, by_example.values())) > 10
    assert all(a <= b for ids in by_example.values() for a, b in pairwise(ids))


def test_letters_keep_their_bytes(broker, topic, outputs, tmp_path):
    """Key and value of a dead letter are what was sent; where it came from and why stands in headers."""
    long = b'{"example_id": "' + b"x" * 1_000_000 + b'"}'
    sent = [(b"k\xff", b"\x00\xff{"), (None, b"{"), (b"", None), (None, b""), (b"long", long)]
    broker.produce(topic, sent)
    settings = outputs.settings | {"VALUE_BYTES_MAX": 2_000_000}
    ended = follow(broker, topic, cwd=tmp_path, flags=("--keep-going",), settings=settings)
    assert ended.exit_code == 0, ended
    letters = outputs.letters()
    assert [(key, value) for key, _, value in letters] == [*sent[:4], (b"long", long[:900_000])]
    for offset, (_, said, _) in enumerate(letters):
        assert (said["topic"], said["partition"], said["offset"]) == (topic, "0", str(offset))
        assert int(said["timestamp_ms"]) > 0
    whole = query(tmp_path / STORE, "SELECT reason, error FROM dead_letters ORDER BY kafka_offset")
    assert [(said["reason"], said["error"]) for _, said, _ in letters] == whole
    assert letters[4][1]["value_size"] == str(len(long))
    assert letters[4][1]["value_sha256"] == hashlib.sha256(long).hexdigest()
    assert "value_size" not in letters[0][1]


def test_a_letter_without_key_and_value_is_sent(broker, topic, outputs, tmp_path):
    """Kafka takes no record without key and value: such a letter is sent with an empty value."""
    path = write_jsonl(tmp_path / "e.jsonl", [annotation(1)])
    assert run_here("replay", path, "--classes", "a,b,c", cwd=tmp_path).exit_code == 0
    follow(broker, topic, cwd=tmp_path, settings=outputs.settings)
    broker.produce(topic, [b"{"])
    assert follow(broker, topic, cwd=tmp_path, flags=("--keep-going",)).exit_code == 0
    # Our own client cannot send such a record.
    tamper(tmp_path / STORE, "UPDATE store.dead_letter SET is_null = true, record_key = NULL")
    assert follow(broker, topic, cwd=tmp_path, settings=outputs.settings).exit_code == 0
    assert [(key, value) for key, _, value in outputs.letters()] == [(None, b"")]


def test_a_topic_that_is_switched_on_begins_then(broker, topic, outputs, tmp_path):
    """What a store found before its output topics were named is not sent; what comes then is."""
    broker.produce(topic, [*ordinary(), *suspects(0, 5), b"{"])
    assert follow(broker, topic, cwd=tmp_path).exit_code == 0
    broker.produce(topic, [*suspects(5, 3), b"["])
    assert follow(broker, topic, cwd=tmp_path, settings=outputs.settings).exit_code == 0
    assert len(outputs.findings()) == PER_SUSPECT * 3
    assert [value for *_, value in outputs.letters()] == [b"["]


def test_what_was_found_while_a_topic_was_off_is_sent_later(broker, topic, outputs, tmp_path):
    """Once begun, a stream has no gaps: what came while it was off is sent by the next run."""
    broker.produce(topic, ordinary())
    assert follow(broker, topic, cwd=tmp_path, settings=outputs.settings).exit_code == 0
    broker.produce(topic, [*suspects(0, 2), b"{"])
    assert follow(broker, topic, cwd=tmp_path).exit_code == 0
    file = write_jsonl(tmp_path / "e.jsonl", suspects(2, 2))
    assert run_here("replay", file, cwd=tmp_path, settings=outputs.settings).exit_code == 0
    assert outputs.findings() == []
    for _ in range(2):
        ended = follow(broker, topic, cwd=tmp_path, settings=outputs.settings)
        assert ended.exit_code == 0
        assert len(outputs.findings()) == PER_SUSPECT * 4
        assert outputs.distinct_findings() == stored_findings(tmp_path / STORE)
        assert outputs.distinct_letters() == stored_letters(tmp_path / STORE)


def test_letters_that_were_read_again_are_not_sent_again(broker, topic, outputs, tmp_path):
    """A redriven letter was sent when it came; what follows from its acceptance is sent."""
    probs = {"a": 0.05, "b": 0.9, "c": 0.05}
    large = annotation(1, pred_probs=probs, metadata={"pad": "x" * 300})
    broker.produce(topic, [*ordinary(), large, b"{"])
    tight = outputs.settings | {"VALUE_BYTES_MAX": 300}
    assert follow(broker, topic, cwd=tmp_path, settings=tight).exit_code == 0
    letters, findings = outputs.letters(), outputs.findings()
    assert {said["reason"] for _, said, _ in letters} == {"malformed_json", "too_large"}
    ended = run_here("dead-letters", "redrive", cwd=tmp_path)
    assert ended.err.endswith("1 still rejected (malformed_json 1)\n"), ended
    assert follow(broker, topic, cwd=tmp_path, settings=outputs.settings).exit_code == 0
    assert outputs.letters() == letters
    assert outputs.findings() != findings
    assert outputs.distinct_findings() == stored_findings(tmp_path / STORE)


def test_sigterm_publishes_what_was_found(broker, topic, outputs, tmp_path):
    """A run that is told to stop sends what it has committed, and ends with 0."""
    broker.produce(topic, [*ordinary(), *suspects(0, 20), b"{"])
    with follow_on(broker, topic, cwd=tmp_path, settings=outputs.settings) as process:
        wait_for(lambda: now_at(tmp_path) == [51])
        process.send_signal(signal.SIGTERM)
        assert finish(process).exit_code == 0
    assert outputs.distinct_findings() == stored_findings(tmp_path / STORE)
    assert outputs.distinct_letters() == stored_letters(tmp_path / STORE)


def test_findings_are_sent_while_the_run_goes_on(broker, topic, outputs, tmp_path):
    """A finding is in its topic soon after its commit, and the cursor is stored while nothing comes."""
    broker.produce(topic, [*ordinary(), *suspects(0, 4)])
    with follow_on(broker, topic, cwd=tmp_path, settings=outputs.settings) as process:
        wait_for(lambda: broker.end(outputs.findings_topic) == PER_SUSPECT * 4)
        broker.produce(topic, suspects(4, 3))
        wait_for(lambda: broker.end(outputs.findings_topic) == PER_SUSPECT * 7)
        process.send_signal(signal.SIGTERM)
        assert finish(process).exit_code == 0


def test_what_to_label_next_is_published(broker, topic, outputs, tmp_path):
    """A run that ends has sent the head of the ranking; without news it is repeated under its ids."""
    unsure = [unlabelled(i, 0.34 + i / 100) for i in range(8)]
    broker.produce(topic, [*ordinary(), *unsure])
    settings = {"KAFKA__NEXT_LABELS_TOPIC": outputs.next_topic, "KAFKA__NEXT_LABELS_MAX": 5}
    for _ in range(2):
        assert follow(broker, topic, cwd=tmp_path, settings=settings).exit_code == 0
        last = max(rankings := outputs.rankings())
        rows = query(tmp_path / STORE, "SELECT example_id FROM next_labels LIMIT 5")
        assert [(rankings[last][i]["example_id"],) for i in range(1, 6)] == rows
        assert rows[0] == ("u0",)
    assert len(rankings) == 1
    ids = {each["request_id"] for each in rankings[last].values()}
    assert len(ids) == 5
    assert broker.end(outputs.next_topic) == 10
    broker.produce(topic, [annotation_of("u0"), annotation_of("u0", annotator="bob")])
    assert follow(broker, topic, cwd=tmp_path, settings=settings).exit_code == 0
    rankings = outputs.rankings()
    assert rankings[max(rankings)][1]["example_id"] == "u1"
    assert not ids & {each["request_id"] for each in rankings[max(rankings)].values()}


def test_the_ranking_is_sent_while_the_run_goes_on(broker, topic, outputs, tmp_path):
    """What changes is in its topic when its time has come."""
    broker.produce(topic, [*ordinary(), unlabelled(0, 0.34)])
    settings = {
        "KAFKA__NEXT_LABELS_TOPIC": outputs.next_topic,
        "KAFKA__NEXT_LABELS_EVERY_S": 0.1,
        "KAFKA__NEXT_LABELS_MAX": 1,
    }
    with follow_on(broker, topic, cwd=tmp_path, settings=settings) as process:
        wait_for(lambda: first_of(outputs) == "u0")
        broker.produce(topic, [annotation_of("u0"), unlabelled(1, 0.4)])
        wait_for(lambda: first_of(outputs) == "u1")
        process.send_signal(signal.SIGTERM)
        assert finish(process).exit_code == 0


def first_of(outputs):
    """The most urgent example of the last ranking that was sent."""
    rankings = outputs.rankings()
    return rankings and rankings[max(rankings)][1]["example_id"]


def unlabelled(number, p):
    """What the model says of an example that nobody labelled."""
    rest = (1 - p) / 2
    probs = {"a": p, "b": rest, "c": rest}
    event = {"type": "prediction", "example_id": f"u{number}", "pred_probs": probs}
    return json.dumps(event).encode()


def annotation_of(example_id, annotator="ann"):
    """A label of it."""
    return json.dumps({"example_id": example_id, "label": "a", "annotator": annotator}).encode()


@pytest.mark.parametrize("name", ["findings", "dead_letters", "next_labels"])
def test_a_missing_output_topic(name, broker, topic, tmp_path, monkeypatch):
    """An output topic that does not exist ends a run with 4, and names the setting."""
    monkeypatch.setattr(publisher, "TOPIC_MS", 1_000)
    broker.produce(topic, [annotation(1)])
    settings = {f"KAFKA__{name.upper()}_TOPIC": "no-such-topic"}
    ended = follow(broker, topic, cwd=tmp_path, settings=settings)
    assert ended.exit_code == 4
    assert f"topic no-such-topic does not exist, but kafka.{name}_topic names it" in ended.fault
    assert query(tmp_path / STORE, "SELECT count(*) FROM offsets") == [(0,)]


def test_a_topic_that_refuses_a_message(broker, topic, tmp_path, caplog):
    """What a topic refuses waits in the store, told once; the other stream and the run go on."""
    outputs = Outputs(broker, max_message_bytes=2_000)
    broker.produce(topic, [*ordinary(), *suspects(0, 3), b"{" + b" " * 5_000])
    ended = follow(broker, topic, cwd=tmp_path, settings=outputs.settings)
    assert ended.exit_code == 0
    assert caplog.text.count(f"topic {outputs.letters_topic} takes nothing now") == 1
    assert caplog.text.count("not all dead_letters could be published") == 1
    assert (len(outputs.findings()), outputs.letters()) == (PER_SUSPECT * 3, [])
    broker.allow(outputs.letters_topic, 1_000_000)
    assert follow(broker, topic, cwd=tmp_path, settings=outputs.settings).exit_code == 0
    assert outputs.distinct_letters() == stored_letters(tmp_path / STORE)
    assert len(outputs.findings()) == PER_SUSPECT * 3


def test_publishing_with_a_login(own_broker, tmp_path):
    """The login is used for the output topics too; a wrong one is told once, as for reading."""
    topic, outputs = own_broker.create(), Outputs(own_broker)
    own_broker.produce(topic, [*ordinary(), *suspects(0, 3), b"{"])
    login = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_USERNAME": USER}
    at = Client(own_broker.sasl)

    def follow_with(password):
        given = {f"KAFKA__{name}": v for name, v in (login | {"SASL_PASSWORD": password}).items()}
        return follow(at, topic, cwd=tmp_path, settings=outputs.settings | given)

    with impatient():
        ended = follow_with("not it")
    assert (ended.exit_code, "the broker refused the login" in ended.fault) == (4, True)
    assert follow_with(PASSWORD).exit_code == 0
    assert outputs.distinct_findings() == stored_findings(tmp_path / STORE)
    assert outputs.distinct_letters() == stored_letters(tmp_path / STORE)


def test_a_killed_broker_is_waited_for_with_what_is_to_be_sent(own_broker, tmp_path):
    """A broker that goes away and comes back gets every finding, and the run never stops."""
    topic, outputs = own_broker.create(), Outputs(own_broker)
    own_broker.produce(topic, ordinary())
    with follow_on(own_broker, topic, cwd=tmp_path, settings=outputs.settings) as process:
        wait_for(lambda: now_at(tmp_path) == [30])
        for first in (0, 20):
            own_broker.produce(topic, [*suspects(first, 20), b"{"])
            own_broker.kill()
            own_broker.start()
        own_broker.produce(topic, suspects(40, 20))
        # What was not acknowledged comes again: records alone do not say how much is there.
        wait_for(lambda: len(outputs.distinct_findings()) >= PER_SUSPECT * 60)
        wait_for(lambda: len(outputs.distinct_letters()) == 2)
        process.send_signal(signal.SIGTERM)
        assert finish(process).exit_code == 0
    assert outputs.distinct_findings() == stored_findings(tmp_path / STORE)
    assert outputs.distinct_letters() == stored_letters(tmp_path / STORE)
