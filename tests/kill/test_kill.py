"""Promise 3: exactly once in effect. The real command, killed, against one that was not."""

from __future__ import annotations

import os
import signal
import time
from random import Random

import pytest

from consumers.crash import POINTS
from tests.consumers.stored import (
    assert_findings_add_up,
    difference,
    query,
    tables,
    views,
    write_jsonl,
)
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import finish, run_apart, start

SETTINGS = {"BATCH_SIZE_MAX": 100, "CHECKPOINT_BYTES": 200_000}
LENGTH = 3_000
TIMES = {"store.migrated": (1, 1), "loop.polled": (1, 2, 9)}
"""At which passage of a point the process is killed, one run after the other; else 1, 2, 6."""
RANDOM_KILLS = 20
LATE = 60.0


class Replay:
    """A store being fed from the stream, in processes that may be killed."""

    def __init__(self, folder, file, *args):
        self.folder, self.file, self.args = folder, file, args or ("replay", file)
        self.store = folder / "s.duckdb"

    def start(self, **settings):
        """A new process that goes on."""
        return start(
            *self.args, "--store", self.store, cwd=self.folder, settings=SETTINGS | settings
        )

    def run(self, **settings):
        """A new process, and its end."""
        return finish(self.start(**settings))

    def finish(self):
        """Go on undisturbed; what the store holds then."""
        ended = self.run()
        assert ended.exit_code == 0, ended.err
        assert_findings_add_up(self.store)
        return tables(self.store)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The stream."""
    return write_jsonl(tmp_path_factory.mktemp("stream") / "e.jsonl", busy_stream(3, LENGTH))


@pytest.fixture(scope="module")
def undisturbed(file, tmp_path_factory):
    """The store of a run that was never killed."""
    replay = Replay(tmp_path_factory.mktemp("undisturbed"), file)
    replay.finish()
    return replay.store


def test_the_stream_has_everything(undisturbed):
    """What the kills are compared on holds flags, findings, markers, dead letters and several versions."""
    held = tables(undisturbed)
    assert len(held["class"]) == 6
    assert len(held["model_version"]) == 3
    assert all(held.values()), [name for name, rows in held.items() if not rows]
    assert query(undisturbed, "SELECT count(DISTINCT cause) FROM findings") == [(5,)]
    assert query(undisturbed, "SELECT count(*) > 25 FROM store.txn") == [(True,)]
    assert query(undisturbed, "SELECT count(DISTINCT kind) FROM findings") == [(3,)]
    assert all(views(undisturbed).values())


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point(point, file, undisturbed, tmp_path, record_property):
    """Killed at any named point, at several passages, the store ends as if it never had been."""
    replay = Replay(tmp_path, file)
    times = TIMES.get(point, (1, 2, 6))
    for passage in times:
        ended = replay.run(CRASH_AT=f"{point}:{passage}")
        assert ended.exit_code == -signal.SIGKILL, f"{point}:{passage} was not hit: {ended.err}"
    record_property(f"hits of {point}", len(times))
    assert difference(replay.finish(), tables(undisturbed)) is None


def test_killed_at_random(file, undisturbed, tmp_path):
    """Killed at random moments, the store ends as if it never had been, and no commit is lost."""
    seed = int(os.environ.get("LABELWATCH_SEED", time.time_ns() % 2**32))
    print(f"seed {seed}: set LABELWATCH_SEED to repeat")  # noqa: T201 - the seed is the point
    random, replay, kills, stores = Random(seed), Replay(tmp_path, file), 0, 0
    while kills < RANDOM_KILLS:
        process = replay.start()
        # From importing modules to the middle of the stream, in time of this machine.
        time.sleep(random.uniform(0.3, 1.6))
        process.kill()
        ended = finish(process)
        kills += ended.exit_code == -signal.SIGKILL
        if ended.exit_code == 0:
            assert difference(replay.finish(), tables(undisturbed)) is None
            stores += 1
            (tmp_path / f"{stores}").mkdir()
            replay = Replay(tmp_path / f"{stores}", file)
        else:
            assert ended.exit_code == -signal.SIGKILL, ended.err
    assert difference(replay.finish(), tables(undisturbed)) is None


def test_stopped_at_random(file, undisturbed, tmp_path):
    """SIGTERM ends a run with exit code 0 after the batch at hand; the next run goes on there."""
    seed = int(os.environ.get("LABELWATCH_SEED", time.time_ns() % 2**32))
    print(f"seed {seed}: set LABELWATCH_SEED to repeat")  # noqa: T201 - the seed is the point
    random, replay, stops = Random(seed), Replay(tmp_path, file), 0
    for _ in range(5):
        process = replay.start()
        mark, before = tmp_path / "s.duckdb.mark", _marked(tmp_path / "s.duckdb.mark")
        deadline = time.monotonic() + LATE
        # Once a batch is committed, the handler is there.
        while _marked(mark) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.3))
        process.terminate()
        ended = finish(process)
        assert ended.exit_code == 0, ended.err
        assert not (tmp_path / "s.duckdb.wal").exists()
        stops += 1
    assert stops == 5
    assert difference(replay.finish(), tables(undisturbed)) is None


def _marked(mark):
    return mark.read_bytes() if mark.exists() else b""


REBUILD_POINTS = (
    "store.migrated",
    "store.committed",
    "store.marked",
    "loop.stepped",
    "store.inserted",
)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A stream of which a part can be read only after the mapping changes, and stores built from it."""
    folder = tmp_path_factory.mktemp("mapped")
    lines = [line for line in busy_stream(5, 600) if b'"n' not in line]
    lines += [line.replace(b'"label"', b'"y"') for line in busy_stream(6, 300)]
    return write_jsonl(folder / "e.jsonl", lines)


@pytest.mark.parametrize("point", [*REBUILD_POINTS, "store.checkpointed"])
def test_killed_while_rebuilding(point, mapped, tmp_path):
    """A rebuild that was killed, and is run again, ends as if it never had been."""
    settings = {"COLLISION": "paper", "FIELDS__LABEL": "y"}
    found = []
    for name, crashes in (("once", ()), ("killed", (1, 2, 3))):
        (tmp_path / name).mkdir()
        replay = Replay(tmp_path / name, mapped)
        assert replay.run().exit_code == 0
        rebuild = Replay(tmp_path / name, mapped, "rebuild")
        hits = 0
        for passage in crashes:
            ended = rebuild.run(CRASH_AT=f"{point}:{passage}", **settings)
            hits += ended.exit_code == -signal.SIGKILL
            assert ended.exit_code in (-signal.SIGKILL, 0), ended.err
        assert hits or not crashes, f"{point} was not hit"
        assert rebuild.run(**settings).exit_code == 0
        assert_findings_add_up(rebuild.store)
        found.append(tables(rebuild.store))
    for each in found:
        each.pop("counter")
    assert difference(*found) is None


def test_a_killed_process_leaves_no_lock(file, tmp_path):
    """After kill -9 the store can be read and written at once."""
    replay = Replay(tmp_path, file)
    assert replay.run(CRASH_AT="store.committed:3").exit_code == -signal.SIGKILL
    read = run_apart("sql", "SELECT count(*) FROM offsets", "--store", replay.store, cwd=tmp_path)
    assert (read.exit_code, read.out) == (0, "count_star()\n1\n")
