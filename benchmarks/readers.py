"""What readers cost: event → visible at a steady rate, and the speed of a run, with them and without."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.child import Followed
from benchmarks.generator import write_file
from benchmarks.kafka import preload, run_arguments
from benchmarks.measure import this_machine
from benchmarks.replay import ROOT, child
from benchmarks.report import Bar, Report, compared
from benchmarks.sizes import Plan
from consumers.store.lock import url_of
from tests.kafka.broker import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.sizes import Sizes

ANCHOR = (
    "the same without a reader, in turn. *Many queries*: a process that asks POST /sql for the issues of "
    "each class, again and again without a pause. *One long query*: over the annotations, from the first "
    "commit to the last. Latency: from the time the producer gave the record to the end of the commit that "
    "made it visible, the first tenth of a run left out; a checkpoint every 4 MiB, ten times as often as by "
    "default"
)
RATE = 5_000
_TICK_S, _LATE_S = 0.01, 120.0
_P99 = Bar("measured", 150, 75, is_floor=False)
_COMMIT = Bar("ratio", 2, 1.25, is_floor=False)
_SLOWDOWN = Bar("ratio", 0.5, 0.75, is_floor=True)
_NOBODY, _MANY, _LONG = None, "many", "long"
_READERS = {_MANY: "many queries", _LONG: "one long query"}
_SETTINGS = {"LABELWATCH_CHECKPOINT_BYTES": f"{4 << 20}", "LABELWATCH_HTTP__QUERY_S": "600"}


def measure(sizes: Sizes) -> Report:
    report = Report("readers", ANCHOR, this_machine(), [], [], {})
    with tempfile.TemporaryDirectory(prefix="labelwatch-bench-") as directory:
        broker = Broker(Path(directory) / "broker")
        broker.start()
        try:
            _latency(sizes, broker, Path(directory), report)
            _speed(sizes, broker, Path(directory), report)
        finally:
            broker.stop()
    return report


def _latency(sizes: Sizes, broker: Broker, directory: Path, report: Report) -> None:
    path = directory / "events.jsonl"
    count = round(RATE * sizes.follow_s)
    write_file(path, Plan("list", with_text=False, event_count=count, run_count=1))
    runs: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for i in range(sizes.follow_count):
        for reader in (_NOBODY, *_READERS):
            found = _follow(broker, path, directory / f"{i}-{reader}.duckdb", reader)
            for name, figure in msgspec.structs.asdict(found).items():
                runs[name, reader].append(figure)
    for reader, text in _READERS.items():
        for name, what, bar in (
            ("p50_ms", f"event → visible at {RATE:,} events/s, p50", None),
            ("p99_ms", "… p99", _P99),
            ("max_ms", "… max", None),
            ("commit_ms", "a commit, median", _COMMIT if reader is _LONG else None),
        ):
            row = compared(f"{text}: {what}", "ms", runs[name, reader], runs[name, _NOBODY], bar)
            report.rows.append(row)
    for (name, reader), each in runs.items():
        report.runs[f"{name}, {_READERS.get(reader, 'no reader')}"] = each


def _follow(broker: Broker, path: Path, store: Path, reader: str | None) -> Followed:
    topic = broker.create(partitions=4)
    command = run_arguments(
        broker, topic, store, "list", "--start", "earliest", "--listen", "127.0.0.1:0"
    )
    following = _process("follow", *command[1:])
    try:
        with _reading(store, reader):
            count = _produce(broker, topic, path)
            _wait_for_all(store, count)
            following.send_signal(signal.SIGTERM)
            out, err = following.communicate(timeout=120)
    finally:
        following.kill()
        following.wait()
    assert following.returncode == 0, err.decode()
    return msgspec.json.decode(out.splitlines()[-1], type=Followed)


def _produce(broker: Broker, topic: str, path: Path) -> int:
    """Send the lines of a file at the rate, over all partitions; how many."""
    partitions, count = cycle(range(4)), 0
    with path.open("rb") as file, broker.producer(linger_ms=1) as producer:
        due = time.monotonic()
        while block := list(islice(file, round(RATE * _TICK_S))):
            partition = next(partitions)
            for line in block:
                producer.send(topic, line.rstrip(b"\n"), partition=partition)
            count += len(block)
            due += _TICK_S
            time.sleep(max(0.0, due - time.monotonic()))
    return count


def _wait_for_all(store: Path, count: int) -> None:
    """Until the monitor has read so many records."""
    deadline, read = time.monotonic() + _LATE_S, 0
    while read < count:
        assert time.monotonic() < deadline, f"{read} of {count} records were read"
        time.sleep(0.2)
        if url := url_of(store):
            with urllib.request.urlopen(f"{url}/api/offsets.json", timeout=_LATE_S) as answer:
                rows = msgspec.json.decode(answer.read())["rows"]
            read = sum(row["next_offset"] for row in rows)


def _speed(sizes: Sizes, broker: Broker, directory: Path, report: Report) -> None:
    path = directory / "loaded.jsonl"
    plan = Plan("list", with_text=False, event_count=sizes.speed_count, run_count=1)
    count = write_file(path, plan).event_count
    topic = preload(path, broker)
    runs: dict[str | None, list[float]] = {_NOBODY: [], _MANY: []}
    for i in range(sizes.follow_count):
        for reader, speeds in runs.items():
            store = directory / f"speed-{i}-{reader}.duckdb"
            options = ("--start", "earliest", "--until-end", "--listen", "127.0.0.1:0")
            command = run_arguments(broker, topic, store, plan.form, *options)
            with _reading(store, reader):
                measured, _ = child(directory, *command)
            speeds.append(count / measured.wall_s)
    what = f"{_READERS[_MANY]}: run to the end of {count:,} events, wall"
    report.rows.append(compared(what, "events/s", runs[_MANY], runs[_NOBODY], _SLOWDOWN))
    for reader, speeds in runs.items():
        report.runs[f"wall, events/s, {_READERS.get(reader, 'no reader')}"] = speeds


@contextlib.contextmanager
def _reading(store: Path, reader: str | None) -> Iterator[None]:
    """Such a reader, as a process that asks the monitor of this store."""
    if reader is None:
        yield
        return
    asking = _process("read", str(store), reader)
    try:
        yield
    finally:
        asking.kill()
        asking.communicate()


def _process(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", *command],
        env={"PYTHONPATH": str(ROOT), "PATH": "", **_SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
