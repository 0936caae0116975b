"""`labelwatch demo --to-kafka`: a producer of demo events."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal

from tests.consumers.terminal import finish, killed_at_last, run_here, start
from tests.kafka.broker import PASSWORD, USER
from tests.kafka.running import count, follow, impatient, rejections
from tests.kafka.test_faults import secured  # noqa: F401 - a fixture
from tests.waiting import wait_for


@contextlib.contextmanager
def sending(servers, topic, *flags, cwd, settings=None):
    """A process that sends; killed where a test fails."""
    process = start(
        "demo", "--to-kafka", servers, "--topic", topic, *flags, cwd=cwd, settings=settings
    )
    with killed_at_last(process):
        yield process


def sent(ended):
    """How many records it says it has sent."""
    found = re.search(r"^([\d,]+) records sent to topic", ended.err, re.MULTILINE)
    return int(found[1].replace(",", ""))


def end(broker, topic):
    """The end of a topic; 0 while it is missing."""
    return broker.end(topic) if topic in broker.admin.list_topics() else 0


def test_a_topic_is_created_and_filled(broker, tmp_path):
    """A missing topic is created; what is sent is read by run as the demo's own records are."""
    topic = f"demo-{os.getpid()}"
    with sending(broker.servers, topic, "--rate", "200", cwd=tmp_path) as process:
        wait_for(lambda: end(broker, topic) >= 200)
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert (ended.exit_code, ended.out) == (0, "")
    assert end(broker, topic) <= sent(ended)
    assert follow(broker, topic, cwd=tmp_path, classes=None).exit_code == 0
    assert count(tmp_path, "label_issues") > 0
    assert count(tmp_path, "duplicates") > 0
    assert rejections(tmp_path)
    first = broker.read(topic)[0]
    assert first.key.decode() == json.loads(first.value)["example_id"]


def test_rounds_go_on(broker, tmp_path):
    """After the digits another round begins, with other labels of the same examples."""
    topic = broker.create()
    with sending(broker.servers, topic, "--rate", "5000", cwd=tmp_path) as process:
        wait_for(lambda: end(broker, topic) > 6_000)
        process.send_signal(signal.SIGINT)
        assert finish(process).exit_code == 0
    values = [record.value for record in broker.read(topic)]
    said = [each for each in values if each.startswith(b'{"example_id":"digit-9",')]
    labels = [json.loads(each) for each in said if b'"label"' in each]
    assert len(labels) >= 2
    assert len({(each["annotator"], each["label"]) for each in labels}) >= 2


def test_a_broker_that_is_away(own_broker, tmp_path):
    """It waits for a broker at its start and later, says each once, and goes on when it is there."""
    topic = own_broker.create()
    own_broker.kill()
    with sending(own_broker.servers, topic, "--rate", "50", cwd=tmp_path) as process:
        assert b"waiting for a broker" in process.stderr.readline()
        own_broker.start()
        wait_for(lambda: end(own_broker, topic) >= 50)
        own_broker.kill()
        own_broker.start()
        before = end(own_broker, topic)
        wait_for(lambda: end(own_broker, topic) >= before + 50)
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert ended.exit_code == 0
    assert "Traceback" not in ended.err
    offsets = [record.value for record in own_broker.read(topic)]
    # Nothing is lost on the way, and what comes twice is what a broker had not answered.
    examples = {
        json.loads(v)["example_id"] for v in offsets if v.startswith(b'{"example_id":"digit-')
    }
    assert {f"digit-{i}" for i in range(50)} <= examples


def test_it_may_be_stopped_while_it_waits(tmp_path):
    """Without any broker SIGTERM ends it with 0."""
    with sending("127.0.0.1:1", "t", cwd=tmp_path) as process:
        assert b"waiting for a broker" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert (ended.exit_code, sent(ended)) == (0, 0)


def test_a_topic_that_cannot_be(broker, tmp_path):
    """A name that no topic can have ends it with 4 and one line."""
    ended = run_here("demo", "--to-kafka", broker.servers, "--topic", "a b", cwd=tmp_path)
    assert ended.exit_code == 4
    assert "no topic can have this name" in ended.fault


def login(password):
    """Settings of a user who has to log in."""
    return {
        "KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA__SASL_USERNAME": USER,
        "KAFKA__SASL_PASSWORD": password,
    }


@impatient()
def test_a_wrong_password(secured, tmp_path):  # noqa: F811 - the fixture
    """A login that the broker refuses ends it with 4 and one line without the password."""
    flags = ("--to-kafka", secured.sasl, "--topic", "t")
    ended = run_here("demo", *flags, cwd=tmp_path, settings=login("not it"))
    assert ended.exit_code == 4
    assert f"refused the login of {USER}" in ended.fault
    assert "not it" not in ended.fault


def test_a_topic_that_may_not_be_created(secured, topic, tmp_path):  # noqa: F811 - the fixture
    """Who may not create topics is told that it is missing, and sends to one that is there."""
    denied = (("CLUSTER", "kafka-cluster"), ("TOPIC", "forbidden"))
    for resource in denied:
        secured.deny(USER, resource, "CREATE")
    try:
        flags = ("--to-kafka", secured.sasl, "--topic", "forbidden")
        ended = run_here("demo", *flags, cwd=tmp_path, settings=login(PASSWORD))
        assert ended.exit_code == 4
        assert "topic forbidden does not exist" in ended.fault
        assert "forbidden" not in secured.admin.list_topics()
        with sending(secured.sasl, topic, cwd=tmp_path, settings=login(PASSWORD)) as process:
            wait_for(lambda: secured.end(topic) > 0)
            process.send_signal(signal.SIGTERM)
            assert finish(process).exit_code == 0
    finally:
        for resource in denied:
            secured.allow_again(USER, resource, "CREATE")
