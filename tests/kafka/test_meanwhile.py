"""What happens to topics while a run goes on."""

from __future__ import annotations

import re
import signal
import time

import pytest

from consumers.config import KafkaSettings
from consumers.errors import SourceError
from consumers.kafka import KafkaSource, connector
from consumers.kafka.verifier import EVERY_S
from tests.consumers.terminal import finish
from tests.kafka.running import (
    annotation,
    count,
    follow,
    follow_on,
    now_at,
    offsets,
    rejections,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("client")

POLLS_MAX = 1_000
# A request for records that waits at the broker is answered within this time.
FETCH_WAIT_S = 0.7


def test_a_topic_recreated_meanwhile(broker, topic, tmp_path):
    """Deleted and created anew during a run, a topic ends it with 4, and none of its new records is read."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    with follow_on(broker, topic, cwd=tmp_path, settings={"KAFKA__REFRESH_S": 0.2}) as process:
        wait_for(lambda: now_at(tmp_path) == [5])
        time.sleep(
            EVERY_S
        )  # the topic was looked at before that commit: the next records are a reason to
        process.send_signal(signal.SIGSTOP)
        broker.delete(topic)
        broker.create(topic)
        broker.produce(topic, [annotation(i) for i in range(20, 40)])
        process.send_signal(signal.SIGCONT)
        ended = finish(process)
    assert ended.exit_code == 4
    assert "was deleted and created anew" in ended.err
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, 5)], 5)


def test_a_client_that_goes_on_in_the_new_topic(client, broker, topic):
    """Where the client itself takes the new topic for the old one, its records are not handed out."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    settings = KafkaSettings(
        bootstrap_servers=broker.servers, topics=[topic], start="earliest", refresh_s=300
    )
    source, found = KafkaSource(settings, connector(client)), []
    polls = (found.extend(source.poll(100).records.values) for _ in range(POLLS_MAX))
    try:
        source.seek({})
        while len(found) < 5:
            next(polls)
        broker.delete(topic)
        broker.create(topic)
        broker.produce(topic, [annotation(i) for i in range(20, 40)])
        time.sleep(EVERY_S)
        source._client.topics([topic])
        with pytest.raises(SourceError, match="was deleted and created anew"):
            list(polls)
    finally:
        source.close()
    assert len(found) == 5


def overtake(broker, topic, process, cwd):
    """Delete records before a run that stands still has read them."""
    wait_for(lambda: now_at(cwd) == [5])
    process.send_signal(signal.SIGSTOP)
    time.sleep(FETCH_WAIT_S)
    # A request that waits all the same is answered with this record, and gets no more.
    broker.produce(topic, [annotation(5)])
    broker.produce(topic, [annotation(i) for i in range(6, 20)])
    broker.delete_records(topic, 12)
    process.send_signal(signal.SIGCONT)


def read_before(said):
    """How many records were read before the gap of which this is said."""
    found = re.search("offsets ([56]) to 11 were deleted", said)
    assert found, said
    return int(found[1])


def test_retention_overtakes_a_slow_reader(broker, topic, tmp_path):
    """Records deleted before a run came to them end it with 4; what it had read is there."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    with follow_on(broker, topic, cwd=tmp_path) as process:
        overtake(broker, topic, process, tmp_path)
        ended = finish(process)
    assert ended.exit_code == 4
    first = read_before(ended.fault)
    assert "--skip-lost" in ended.fault
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, first)], first)


def test_retention_overtakes_and_may(broker, topic, tmp_path):
    """With --skip-lost the run goes on behind the gap, a dead letter stands for it, and a line says so."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    with follow_on(broker, topic, cwd=tmp_path, flags=["--skip-lost"]) as process:
        overtake(broker, topic, process, tmp_path)
        said = process.stderr.readline().decode()
        process.terminate()
        ended = finish(process)
    assert ended.exit_code == 0, ended.err
    first = read_before(said)
    # How far it came before it was told to stop is not promised.
    again = follow(broker, topic, cwd=tmp_path, start=None, flags=["--skip-lost"])
    assert again.exit_code == 0, again.err
    assert rejections(tmp_path) == [(first, "unreadable")]
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, 20)], first + 8)


def test_two_monitors_of_one_group(broker, topic, tmp_path):
    """Each store has its own positions: two monitors under one group take nothing from each other."""
    broker.produce(topic, [annotation(i) for i in range(10)])
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with (
        follow_on(broker, topic, cwd=folders[0]) as one,
        follow_on(broker, topic, cwd=folders[1]) as two,
    ):
        wait_for(lambda: all(now_at(folder) == [10] for folder in folders))
        broker.produce(topic, [annotation(i) for i in range(10, 20)])
        wait_for(lambda: all(now_at(folder) == [20] for folder in folders))
        for process in (one, two):
            process.terminate()
        assert [finish(process).exit_code for process in (one, two)] == [0, 0]
    for folder in folders:
        assert follow(broker, topic, cwd=folder, start=None).exit_code == 0
        assert (offsets(folder), count(folder)) == ([(topic, 0, 20)], 20)
