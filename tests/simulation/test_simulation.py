"""A seeded world in which everything fails: whatever it does, the store ends as in a quiet one."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import pytest

from consumers import crash
from consumers.errors import SourceError
from monitor.events import Partition
from tests.consumers.logs import CLASSES, Log, LogSource, feed
from tests.consumers.stored import assert_findings_add_up, difference, query, views
from tests.consumers.streams import BAD
from tests.strategies import seeded_stream

LENGTH = 120
WORLDS = 4
FILES = ("", ".wal", ".mark")


class Killed(BaseException):
    """The process is gone."""


class ShakySource(LogSource):
    """Interleaves partitions, cuts polls anywhere, hands out records again, and breaks."""

    def __init__(self, log, random):
        super().__init__(log)
        self._random = random

    def seek(self, positions):
        super().seek(positions)
        for place in self.next:
            self._rewind(place)

    def poll(self, records_max):
        if self._random.random() < 0.03:
            raise SourceError("the broker left")
        if self._random.random() < 0.15:
            self._rewind(self._random.choice(list(self.next)))
        if self._random.random() < 0.1:
            return self.take([])
        left = self._left()
        # Order holds within a partition only.
        places = list(dict.fromkeys(place for place, _ in left))
        self._random.shuffle(places)
        left.sort(key=lambda found: places.index(found[0]))
        return self.take(left[: self._random.randrange(1, 25)])

    def _rewind(self, place):
        self.next[place] = max(0, self.next[place] - self._random.choice((0, 0, 1, 5, 40)))


class Disk:
    """The files of a store, as they are the moment that its process dies."""

    def __init__(self, path):
        self._paths = [Path(f"{path}{end}") for end in FILES]
        self._held = None

    def freeze(self):
        """Remember what stands on the disk now."""
        self._held = {each: each.read_bytes() for each in self._paths if each.exists()}

    def thaw(self):
        """Undo whatever was done since, such as the checkpoint of a closing database."""
        for each in self._paths:
            each.unlink(missing_ok=True)
        for each, content in self._held.items():
            each.write_bytes(content)


def _log(seed):
    """A stream by tests/strategies.py, with bad bytes and tombstones in between."""
    log, random = Log.of(seeded_stream(seed, LENGTH, classes=CLASSES)), Random(seed)
    noise = [(offset, None, random.choice(BAD), 0) for offset in range(12)]
    noise += [(offset, random.choice((b"x1", b"x2", None)), None, 0) for offset in range(12, 18)]
    random.shuffle(noise)
    records = [(offset, *record[1:]) for offset, record in enumerate(noise)]
    return Log({**log.parts, Partition("noise"): records})


@pytest.mark.parametrize("number", range(WORLDS))
def test_a_shaky_world_ends_like_a_quiet_one(number, tmp_path, monkeypatch):
    """Redelivery, cuts anywhere, lost brokers and kills at any point leave no trace in the store."""
    seed = int(os.environ.get("LABELWATCH_SEED", time.time_ns() % 2**32)) + number
    print(f"seed {seed}: set LABELWATCH_SEED to repeat")  # noqa: T201 - the seed is the point
    random, log = Random(seed), _log(seed)
    quiet, shaky = tmp_path / "quiet.duckdb", tmp_path / "shaky.duckdb"
    feed(quiet, LogSource(log), classes=CLASSES)
    disk, kills = Disk(shaky), []

    def point(name):
        if random.random() < 0.04:
            kills.append(name)
            disk.freeze()
            raise Killed

    monkeypatch.setattr(crash, "point", point)
    is_done = False
    while not is_done:
        try:
            source = ShakySource(log, random)
            feed(shaky, source, classes=CLASSES, checkpoint_bytes=20_000)
            is_done = True
        except SourceError:
            pass
        except Killed:
            disk.thaw()
    print(f"killed at {kills}")  # noqa: T201 - so is what happened
    assert difference(views(shaky), views(quiet)) is None
    assert_findings_add_up(shaky)
    counted = (
        "SELECT name, value FROM store.counter WHERE name IN ('accepted', 'rejected') ORDER BY 1"
    )
    assert query(shaky, counted) == query(quiet, counted)
