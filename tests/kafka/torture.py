"""`make torture`: kills through Kafka, until enough have left no trace, or one has.

Each round has a seed: it makes a stream, and a plan of what happens to the runs that read it. In
the end the store must hold what an undisturbed run leaves. A seed repeats stream and plan; at
which instruction a kill meets a run is exact for named points, and up to the machine for others.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from consumers.crash import POINTS
from tests.consumers.stored import difference, tables, views
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import finish
from tests.kafka.broker import Broker
from tests.kafka.running import committed
from tests.kafka.test_kill import TIMES, Follower
from tests.waiting import wait_for

LENGTH = 9_000
CLASSES = "a,b,c,d,e,f"
GROUP = "labelwatch"
RANDOM_KILLS = 14
BROKER_KILLS = 1
REGROUPINGS = 3
"""The points that a run passes; the others are of a copy."""
IN_THE_STREAM = 0.7
"""The share of random kills that wait for the first commit."""
AWAY = 4
"""How a run up to the end exits when its broker goes away."""


class Small(Follower):
    """Reads in small batches, so that there are more places to die at than in one go.

    Every run does, for rows of markers depend on where batches end. The stream is a multiple of it.
    """

    batch_size = 50

    def start(self, **settings):
        """A new process that goes on."""
        return super().start(BATCH_SIZE_MAX=self.batch_size, **settings)


class Round:
    """One stream, and one store that is killed on its way through it."""

    def __init__(self, broker, seed, folder):
        self.broker, self.random, self.folder = broker, Random(seed), folder
        self.kills = Counter()
        # One partition: the same order, so that every table must be the same. Several: the views.
        self.partitions = self.random.choice((1, 2, 3, 4))
        self.look = tables if self.partitions == 1 else views
        self.topic = broker.create(partitions=self.partitions)
        self._lines = busy_stream(seed, LENGTH)
        self._follower = self._follower_in("killed")

    def plan(self):
        """What happens, one after the other: a point to die at, or a method that disturbs."""
        steps = [*POINTS, *[self._kill_at_random] * RANDOM_KILLS]
        steps += [self._kill_the_broker] * BROKER_KILLS + [self._regroup] * REGROUPINGS
        self.random.shuffle(steps)
        return steps

    def run(self, kills_max):
        """What differs in the end, None where nothing does."""
        self._produce(self._lines[: LENGTH // 2])
        for i, step in enumerate(steps := self.plan()):
            if self.kills.total() >= kills_max:
                break
            if i == len(steps) // 2:
                self._produce(self._lines[LENGTH // 2 :])
                self._lines = []
            step() if callable(step) else self._kill_at(step)
        if self._lines:
            self._produce(self._lines[LENGTH // 2 :])
        killed = self._follower.finish(self.look)
        return difference(killed, self._follower_in("once").finish(self.look))

    def _follower_in(self, name):
        (folder := self.folder / name).mkdir()
        return Small(self.broker, self.topic, folder, CLASSES)

    def _produce(self, lines):
        for partition in range(self.partitions):
            self.broker.produce(
                self.topic, lines[partition :: self.partitions], partition=partition
            )

    def _kill_at(self, point):
        passage = self.random.choice(TIMES.get(point, (1, 2, 6)))
        ended = self._follower.run(CRASH_AT=f"{point}:{passage}")
        self._count(point, ended)

    def _kill_at_random(self):
        folder, process = self._follower.folder, self._follower.start()
        before = committed(folder)
        try:
            if self.random.random() < IN_THE_STREAM:
                wait_for(lambda: committed(folder) > before or process.poll() is not None)
                time.sleep(self.random.uniform(0, 0.25))
            else:
                # From importing modules to the first records, in time of this machine.
                time.sleep(self.random.uniform(0.3, 1.8))
        finally:
            process.kill()
        ended = finish(process)
        self._count("at random", ended)
        assert committed(folder) >= before, "a commit was lost"

    def _kill_the_broker(self):
        process = self._follower.start()
        time.sleep(self.random.uniform(0.8, 1.6))
        self.broker.kill()
        time.sleep(self.random.uniform(0, 0.5))
        process.kill()
        self._count("with the broker", finish(process), AWAY)
        self.broker.start()

    def _regroup(self):
        """The group's offsets are taken back, or away: nobody may care."""
        if self.random.random() < 0.5:
            places = [TopicPartition(self.topic, number) for number in range(self.partitions)]
            offsets = {place: OffsetAndMetadata(0, "", -1) for place in places}
            self.broker.admin.alter_group_offsets(GROUP, offsets)
        else:
            self.broker.admin.delete_groups([GROUP])

    def _count(self, where, ended, *expected):
        assert ended.exit_code in (-signal.SIGKILL, 0, *expected), ended.err
        self.kills[where] += ended.exit_code == -signal.SIGKILL


def torture(broker, folder, seed, kills_min):
    """Round after round; how often a process was killed where. Raises: AssertionError, with a seed."""
    kills = Counter()
    while kills.total() < kills_min:
        (here := folder / str(seed)).mkdir()
        started_at, this = time.monotonic(), Round(broker, seed, here)
        say(f"seed {seed}: {this.partitions} partitions …")
        try:
            found = this.run(kills_min - kills.total())
        except AssertionError as error:
            found = f"a run failed: {error}"
        kills += this.kills
        took_s = time.monotonic() - started_at
        say(f"  {this.kills.total()} kills in {took_s:.0f} s; {kills.total()} so far")
        assert found is None, f"seed {seed}: {found}\nrepeat it with: make torture SEED={seed}"
        broker.delete(this.topic)
        seed += 1
    return kills


def say(text):
    """A line of progress."""
    print(text, flush=True)  # noqa: T201 - it is what a person watches


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31)
    parser.add_argument("--kills", type=int, default=200)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="labelwatch-torture-"))
    broker = Broker(folder / "broker")
    broker.start()
    try:
        kills = torture(broker, folder, given.seed, given.kills)
    except AssertionError as error:
        say(f"{error}\nstores and the broker's log: {folder}")
        return 1
    finally:
        broker.stop()
    shutil.rmtree(folder)
    say(f"{kills.total()} kills left no trace:")
    for where in (*POINTS, *sorted(kills.keys() - set(POINTS))):
        say(f"  {where}: {kills[where]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
