"""Promise 3 through Kafka: a run that was killed, against one that was not."""

from __future__ import annotations

import os
import signal
import time
from random import Random

import pytest

from consumers.crash import POINTS
from tests.consumers.stored import assert_findings_add_up, difference, tables, views
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import finish, start
from tests.kafka.published import Outputs, stored_findings, stored_letters
from tests.kafka.running import arguments

SETTINGS = {"BATCH_SIZE_MAX": 100, "CHECKPOINT_BYTES": 50_000}
LENGTH = 1_500
PARTITIONS = 3
TIMES = {
    "store.migrated": (1, 1),
    "loop.polled": (1, 2, 9),
    "store.checkpointed": (1, 2, 3),
    "publish.sent": (1, 2, 3),
    # A broker may answer only once all is read: then a run that goes on has one page of each stream left.
    "publish.acknowledged": (3, 2, 1),
    "publish.saved": (1, 1),  # once where a stream begins, and once at the end
}
RANDOM_KILLS = 6


class Follower:
    """A store being fed from a topic, and publishing, in processes that may be killed."""

    def __init__(self, broker, topic, folder, classes=None):
        self.folder = folder
        self.store = folder / "labelwatch.duckdb"
        self.outputs = Outputs(broker, partitions=2)
        self._arguments = [*arguments(broker, topic, classes=classes), "--until-end"]
        self._settings = SETTINGS | self.outputs.settings

    def start(self, **settings):
        """A new process that goes on."""
        return start(*self._arguments, cwd=self.folder, settings=self._settings | settings)

    def run(self, **settings):
        """A new process, and its end."""
        return finish(self.start(**settings))

    def finish(self, look=tables):
        """Go on undisturbed; what the store holds then."""
        ended = self.run()
        assert ended.exit_code == 0, ended.err
        assert_findings_add_up(self.store)
        assert self.outputs.distinct_findings() == stored_findings(self.store)
        assert self.outputs.distinct_letters() == stored_letters(self.store)
        return look(self.store)


@pytest.fixture(scope="module")
def stream(broker):
    """A topic with one partition, in which everything happens."""
    topic = broker.create()
    # One batch: every client has all of it at hand, so that every run cuts it at the same places.
    broker.produce(topic, busy_stream(3, LENGTH), batch_size=1 << 20)
    return topic


@pytest.fixture(scope="module")
def undisturbed(broker, stream, tmp_path_factory):
    """What a run that was never killed leaves."""
    return Follower(broker, stream, tmp_path_factory.mktemp("undisturbed")).finish()


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point(point, broker, stream, undisturbed, tmp_path):
    """Killed at any named point, the store ends as if it never had been, and all of it is published."""
    follower = Follower(broker, stream, tmp_path)
    times = TIMES.get(point, (1, 2, 6))
    for passage in times:
        ended = follower.run(CRASH_AT=f"{point}:{passage}")
        assert ended.exit_code == -signal.SIGKILL, f"{point}:{passage} was not hit: {ended.err}"
    assert difference(follower.finish(), undisturbed) is None


def test_killed_with_the_other_client(broker, stream, undisturbed, tmp_path):
    """Killed with confluent-kafka, and ended with kafka-python: it, too, is placed where the store is."""
    follower = Follower(broker, stream, tmp_path)
    for point in ("loop.polled:2", "loop.stepped:2", "source.committed:3"):
        ended = follower.run(CRASH_AT=point, SOURCE="confluent")
        assert ended.exit_code == -signal.SIGKILL, f"{point} was not hit: {ended.err}"
    assert difference(follower.finish(), undisturbed) is None


def test_killed_at_random_over_partitions(broker, tmp_path):
    """Killed at random moments over several partitions, what is asked of the store is the same."""
    seed = int(os.environ.get("LABELWATCH_SEED", time.time_ns() % 2**32))
    print(f"seed {seed}: set LABELWATCH_SEED to repeat")  # noqa: T201 - the seed is the point
    topic, lines = broker.create(partitions=PARTITIONS), busy_stream(4, LENGTH)
    for partition in range(PARTITIONS):
        broker.produce(topic, lines[partition::PARTITIONS], partition=partition)
    folders = [tmp_path / name for name in ("once", "killed")]
    for folder in folders:
        folder.mkdir()
    once, killed = (Follower(broker, topic, folder, "a,b,c,d,e,f") for folder in folders)
    started = time.monotonic()
    assert once.run().exit_code == 0
    # From importing modules to the end of the stream, in time of this machine as it is now.
    moments_s = time.monotonic() - started
    random, kills, runs = Random(seed), 0, 0
    while runs < RANDOM_KILLS or not kills:
        process = killed.start()
        time.sleep(random.uniform(0.2, 0.9) * moments_s)
        process.kill()
        kills += finish(process).exit_code == -signal.SIGKILL
        runs += 1
    assert difference(killed.finish(views), once.finish(views)) is None
