"""Promise 3 with confluent-kafka: it, too, is placed where the store is."""

from __future__ import annotations

import signal

import pytest

from tests.consumers.stored import difference
from tests.consumers.streams import busy_stream
from tests.kafka.test_kill import Follower

LENGTH = 1_000
CONFLUENT = {"SOURCE": "confluent"}


@pytest.fixture(scope="module")
def stream(broker):
    """A topic with one partition, in which everything happens."""
    topic = broker.create()
    broker.produce(topic, busy_stream(3, LENGTH))
    return topic


@pytest.fixture(scope="module")
def undisturbed(broker, stream, tmp_path_factory):
    """What a run of the default client leaves that was never killed."""
    return Follower(broker, stream, tmp_path_factory.mktemp("undisturbed")).finish()


def test_killed_at_named_points(broker, stream, undisturbed, tmp_path):
    """Killed before, within and after a commit, and ended by the other client, the store is the same."""
    follower = Follower(broker, stream, tmp_path)
    for point in ("loop.polled:2", "loop.stepped:2", "source.committed:3"):
        ended = follower.run(CRASH_AT=point, **CONFLUENT)
        assert ended.exit_code == -signal.SIGKILL, f"{point} was not hit: {ended.err}"
    assert difference(follower.finish(), undisturbed) is None
