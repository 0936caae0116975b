"""`labelwatch doctor` before a real broker: what is well, and each thing that is not."""

from __future__ import annotations

import json
import time

import pytest

from consumers.kafka import publisher
from tests.consumers.terminal import finish, run_here
from tests.kafka.broker import PASSWORD, USER
from tests.kafka.client import Client
from tests.kafka.published import Outputs
from tests.kafka.running import CLIENTS, annotation, follow, follow_on, impatient, now_at, offsets
from tests.kafka.test_faults import secured  # noqa: F401 - a fixture
from tests.waiting import wait_for

HOUR_MS = 3_600_000
LOGIN = {
    "KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA__SASL_USERNAME": USER,
    "KAFKA__SASL_PASSWORD": PASSWORD,
}


def examine(servers, cwd, *topics, settings=None, flags=()):
    """What doctor says, by name of the check, and its exit code."""
    named = [flag for topic in topics for flag in ("--topic", topic)]
    arguments = ["--bootstrap-servers", servers, *named, *flags, "--format", "json"]
    ended = run_here("doctor", *arguments, cwd=cwd, settings=settings)
    found = {each["check"]: (each["verdict"], each["text"]) for each in json.loads(ended.out)}
    return found, ended.exit_code


def fault(servers, cwd, *topics, **settings):
    """The one fault: name of the check and text."""
    settings = {f"KAFKA__{name.upper()}": value for name, value in settings.items()}
    found, exit_code = examine(servers, cwd, *topics, settings=settings)
    assert exit_code == 4
    ((name, text),) = [(name, t) for name, (verdict, t) in found.items() if verdict == "fault"]
    return name, text


def test_all_is_well(broker, tmp_path):
    """Partitions, readability, how far the store is behind, what lag tools see; nothing is changed."""
    topic = broker.create(partitions=2)
    group = f"group-{topic}"
    settings = {"KAFKA__GROUP_ID": group}
    broker.produce(topic, [annotation(i) for i in range(10)])
    follow(broker, topic, cwd=tmp_path, settings=settings)
    broker.produce(topic, [annotation(i) for i in range(10, 13)])
    broker.produce(topic, [annotation(i) for i in range(13, 15)], partition=1)
    before = broker.committed(group)
    found, exit_code = examine(broker.servers, tmp_path, topic, settings=settings)
    assert (exit_code, {verdict for verdict, _ in found.values()}) == (0, {"ok"})
    assert found["broker"][1] == f"{broker.servers} answers (PLAINTEXT)"
    assert found[f"topic {topic}"][1] == "2 partitions, 15 offsets; readable"
    assert found[f"offsets {topic}"][1] == (
        "the store is 5 behind the end (partition 0: 3, partition 1: 2)"
    )
    assert found["group"][1] == f"{group}: lag tools see 2 of 2 partitions"
    assert "the newest record is from" in found["clock"][1]
    assert broker.committed(group) == before
    assert offsets(tmp_path) == [(topic, 0, 10), (topic, 1, 0)]


def test_before_the_first_run(broker, topic, tmp_path):
    """Without a store there is only the start to be said, which is a warning; with it all is well."""
    found, exit_code = examine(broker.servers, tmp_path, topic)
    assert (exit_code, found[f"offsets {topic}"][0]) == (0, "warning")
    assert "--start earliest or --start latest" in found[f"offsets {topic}"][1]
    assert found[f"topic {topic}"] == ("ok", "1 partition, 0 offsets: no records yet")
    found, exit_code = examine(broker.servers, tmp_path, topic, flags=["--start", "earliest"])
    assert (exit_code, found[f"offsets {topic}"]) == (0, ("ok", "none are known yet"))
    assert not list(tmp_path.iterdir())


def test_while_a_monitor_runs(broker, topic, tmp_path):
    """A monitor is not disturbed; the lag is then what the group was told."""
    group = f"group-{topic}"
    settings = {"KAFKA__GROUP_ID": group}
    broker.produce(topic, [annotation(i) for i in range(10)])
    follow(broker, topic, cwd=tmp_path, settings=settings)
    with follow_on(broker, topic, cwd=tmp_path, settings=settings) as process:
        broker.produce(topic, [annotation(i) for i in range(10, 14)])
        wait_for(lambda: now_at(tmp_path) == [14])
        found, exit_code = examine(broker.servers, tmp_path, topic, settings=settings)
        assert exit_code == 0
        assert f"in use by pid {process.pid} (labelwatch run)" in found["store"][1]
        # Told every few seconds: by now, or not yet.
        assert found[f"offsets {topic}"][1] in (
            "as the group was told, the monitor is 4 behind the end (partition 0: 4)",
            "as the group was told, the monitor is at the end",
        )
        broker.produce(topic, [annotation(14)])
        wait_for(lambda: now_at(tmp_path) == [15])
        process.terminate()
        assert finish(process).exit_code == 0
    assert offsets(tmp_path) == [(topic, 0, 15)]


def test_each_topic_is_looked_at(broker, topic, tmp_path):
    """A topic that does not exist hides nothing of the others."""
    found, exit_code = examine(broker.servers, tmp_path, f"{topic}x", topic)
    assert exit_code == 4
    assert found[f"topic {topic}x"] == (
        "fault",
        f"topic {topic}x does not exist; did you mean {topic}?",
    )
    assert found[f"topic {topic}"][0] == "ok"


def test_offsets_out_of_range(broker, topic, tmp_path):
    """Where unread records were deleted, and where the topic is another one, it says what a run says."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    follow(broker, topic, cwd=tmp_path)
    broker.produce(topic, [annotation(i) for i in range(5, 20)])
    broker.delete_records(topic, 12)
    said = follow(broker, topic, cwd=tmp_path, start=None).fault
    assert fault(broker.servers, tmp_path, topic) == (f"offsets {topic}", said)
    assert "offsets 5 to 11 were deleted" in said
    broker.delete(topic)
    broker.create(topic)
    said = follow(broker, topic, cwd=tmp_path, start=None).fault
    assert fault(broker.servers, tmp_path, topic) == (f"offsets {topic}", said)
    assert "was deleted and created anew" in said


def test_a_topic_with_fewer_partitions(broker, tmp_path):
    """A topic never loses a partition, so it is another one."""
    topic = broker.create(partitions=2)
    follow(broker, topic, cwd=tmp_path)
    broker.delete(topic)
    broker.create(topic)
    name, text = fault(broker.servers, tmp_path, topic)
    assert (name, "created anew" in text) == (f"offsets {topic}", True)


@impatient()
def test_brokers_that_are_none(secured, topic, tmp_path):  # noqa: F811 - the fixture
    """Who cannot be spoken to, in the words of a run: nobody, TLS, plain text, a login."""
    assert "cannot be reached" in fault("127.0.0.1:1", tmp_path, topic)[1]
    assert "speaks TLS" in fault(secured.tls, tmp_path, topic)[1]
    assert "not TLS" in fault(secured.servers, tmp_path, topic, security_protocol="SSL")[1]
    name, text = fault(secured.sasl, tmp_path, topic)
    assert (name, "does it want a login?" in text) == ("broker", True)


def test_logging_in(secured, topic, tmp_path):  # noqa: F811 - the fixture
    """A wrong password is told without it; with the right one all is well."""
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": USER}
    with impatient():
        name, text = fault(secured.sasl, tmp_path, topic, **login, sasl_password="not it")
    assert (name, f"refused the login of {USER} (PLAIN)" in text) == ("broker", True)
    assert "not it" not in text
    settings = {f"KAFKA__{key.upper()}": value for key, value in login.items()}
    settings["KAFKA__SASL_PASSWORD"] = PASSWORD
    found, exit_code = examine(secured.sasl, tmp_path, topic, settings=settings)
    assert exit_code == 0
    assert found["broker"][1].endswith(f"answers (SASL_PLAINTEXT, PLAIN as {USER})")


@pytest.mark.parametrize(("ahead_ms", "verdict"), [(HOUR_MS, "warning"), (-HOUR_MS, "ok")])
def test_records_from_the_future(ahead_ms, verdict, broker, topic, tmp_path):
    """Records newer than this machine's clock mean that one of two clocks is wrong."""
    with broker.producer() as producer:
        when_ms = int(time.time() * 1_000) + ahead_ms
        producer.send(topic, annotation(1), timestamp_ms=when_ms).get(60)
    found, exit_code = examine(broker.servers, tmp_path, topic)
    assert (exit_code, found["clock"][0]) == (0, verdict)


def test_a_transaction_at_the_end(broker, topic, tmp_path):
    """The last offset of a partition may be no record: those before it tell the time."""
    with broker.producer(transactional_id=f"for {topic}") as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, annotation(1)).get(60)
        producer.commit_transaction()
    wait_for(lambda: broker.end(topic) == 2)  # the marker comes after the answer
    found, _ = examine(broker.servers, tmp_path, topic)
    assert found[f"topic {topic}"] == ("ok", "1 partition, 2 offsets; readable")
    assert "the newest record is from" in found["clock"][1]


def test_a_damaged_batch_at_the_end(secured, topic, tmp_path):  # noqa: F811 - the fixture
    """Last records that cannot be read are a warning that names their offsets."""
    secured.produce(topic, [annotation(i) for i in range(10)])
    path = secured.log_file(topic)
    at = path.read_bytes().index(b"x2")
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"X")
    found, exit_code = examine(secured.servers, tmp_path, topic)
    verdict, text = found[f"topic {topic}"]
    assert (exit_code, verdict) == (0, "warning")
    assert "the checksum of offsets 0 to" in text


@pytest.mark.parametrize("source", CLIENTS)
def test_output_topics(source, broker, topic, tmp_path):
    """Each output topic is looked at, and nothing is written to it."""
    outputs = Outputs(broker, partitions=3)
    settings = outputs.settings | {"SOURCE": source}
    found, exit_code = examine(broker.servers, tmp_path, topic, settings=settings)
    assert exit_code == 0
    said = {name: each for name, each in found.items() if name.startswith("output")}
    assert said == {
        f"output {outputs.findings_topic}": (
            "ok",
            "kafka.findings_topic: 3 partitions; may be written to",
        ),
        f"output {outputs.letters_topic}": (
            "ok",
            "kafka.dead_letters_topic: 1 partition; may be written to",
        ),
    }
    assert broker.end(outputs.letters_topic) == 0


def test_a_missing_output_topic(broker, topic, tmp_path, monkeypatch):
    """It says what a run ends with."""
    monkeypatch.setattr(publisher, "TOPIC_MS", 1_000)
    settings = {"KAFKA__FINDINGS_TOPIC": f"{topic}x"}
    said = follow(broker, topic, cwd=tmp_path, settings=settings).fault
    assert fault(broker.servers, tmp_path, topic, findings_topic=f"{topic}x") == (
        f"output {topic}x",
        said,
    )
    assert "does not exist, but kafka.findings_topic names it" in said


@pytest.mark.parametrize("rights", [["DESCRIBE"], ["READ"], []])
def test_an_output_topic_that_may_not_be_written(rights, secured, topic, tmp_path, caplog):  # noqa: F811 - the fixture
    """Seen or not, a topic that refuses us is a warning: a run goes on, and says the same."""
    secured.produce(topic, [b"{"])
    output = secured.create()
    secured.deny(USER, ("TOPIC", output), "WRITE")
    for each in rights:
        secured.permit(USER, ("TOPIC", output), each)
    settings = LOGIN | {"KAFKA__DEAD_LETTERS_TOPIC": output}
    found, exit_code = examine(secured.sasl, tmp_path, topic, settings=settings)
    verdict, text = found[f"output {output}"]
    assert (exit_code, verdict) == (0, "warning")
    assert "writing to it is not allowed, so what is to be published waits in the store" in text
    ended = follow(
        Client(secured.sasl), topic, cwd=tmp_path, flags=("--keep-going",), settings=settings
    )
    assert ended.exit_code == 0
    assert f"topic {output} takes nothing now" in caplog.text
    assert secured.end(output) == 0
