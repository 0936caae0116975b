"""The broker goes away and comes back."""

from __future__ import annotations

import signal

import pytest

from tests.consumers.terminal import finish
from tests.kafka.running import annotation, count, follow, follow_on, now_at, offsets
from tests.waiting import wait_for

LARGE = "x" * 200_000


@pytest.mark.usefixtures("client")
def test_a_killed_broker_is_waited_for(own_broker, tmp_path):
    """Killed and started again, the broker is missed once and met once, and no record is lost or doubled."""
    topic = own_broker.create()
    own_broker.produce(topic, [annotation(i) for i in range(10)])
    with follow_on(own_broker, topic, cwd=tmp_path) as process:
        wait_for(lambda: now_at(tmp_path) == [10])
        own_broker.kill()
        missed = process.stderr.readline().decode()
        own_broker.start()
        own_broker.produce(topic, [annotation(i) for i in range(10, 25)])
        wait_for(lambda: now_at(tmp_path) == [25])
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert ended.exit_code == 0
    assert "cannot be reached" in missed
    assert (ended.err.count("cannot be reached"), ended.err.count("answers again")) == (0, 1)
    assert follow(own_broker, topic, cwd=tmp_path, start=None).exit_code == 0
    assert offsets(tmp_path) == [(topic, 0, 25)]
    assert count(tmp_path) == 25


def test_a_broker_that_is_away_at_the_start_is_waited_for(own_broker, tmp_path):
    """`run` started before its broker waits, says so once, and ends with 0 on SIGTERM meanwhile."""
    topic = own_broker.create()
    own_broker.produce(topic, [annotation(1)])
    own_broker.kill()
    with follow_on(own_broker, topic, cwd=tmp_path) as process:
        assert b"cannot be reached" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert finish(process).exit_code == 0
    with follow_on(own_broker, topic, cwd=tmp_path) as process:
        assert b"cannot be reached" in process.stderr.readline()
        own_broker.start()
        wait_for(lambda: now_at(tmp_path) == [1])
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert (ended.exit_code, ended.err.count("answers again")) == (0, 1)
    assert follow(own_broker, topic, cwd=tmp_path, start=None).exit_code == 0
    assert count(tmp_path) == 1


@pytest.mark.usefixtures("client")
def test_a_run_that_is_to_end_does_not_wait_for_ever(own_broker, tmp_path):
    """A broker that dies under --until-end ends it with 4 after away_s; what was read is committed."""
    topic = own_broker.create()
    # More than any client fetches ahead.
    own_broker.produce(topic, [annotation(i, text=LARGE) for i in range(300)])
    # One by one: whoever looks sees it long before the end.
    settings = {"BATCH_SIZE_MAX": 1, "KAFKA__AWAY_S": 0.5}
    with follow_on(
        own_broker, topic, cwd=tmp_path, flags=["--until-end"], settings=settings
    ) as process:
        wait_for(lambda: any(now_at(tmp_path)))
        own_broker.kill()
        ended = finish(process)
    assert ended.exit_code == 4
    # Offsets are not told to a broker that is known to be away.
    assert "lag tools" not in ended.err
    last = ended.err.splitlines()[-1]
    assert "Waited 0.5 s (kafka.away_s)" in last
    assert "what was read is committed: run again to go on" in last
    assert 0 < count(tmp_path) < 300
    own_broker.start()
    assert follow(own_broker, topic, cwd=tmp_path, start=None).exit_code == 0
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, 300)], 300)


def test_a_truncated_topic_is_no_place_to_go_on(own_broker, tmp_path):
    """Where the broker has lost records that the store counts, the run ends with 4 and changes nothing."""
    topic = own_broker.create()
    own_broker.produce(topic, [annotation(i) for i in range(9)])
    follow(own_broker, topic, cwd=tmp_path)
    own_broker.stop()
    own_broker.truncate(topic)
    own_broker.start()
    own_broker.produce(topic, [annotation(i) for i in range(5)])
    ended = follow(own_broker, topic, cwd=tmp_path, start=None)
    assert ended.exit_code == 4
    assert "ends at offset 5, but the store has read up to 9" in ended.fault
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, 9)], 9)
