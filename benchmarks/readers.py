"""What a reader costs: event → visible at a steady rate, and the speed of a run, with one and without."""

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
    "the same without the reader, in turn. The reader is a process that asks POST /sql for the issues of "
    "each class, again and again without a pause. Latency: from the time the producer gave the record to the "
    "end of the commit that made it visible, checkpoints included, the first tenth of a run left out"
)
RATE = 5_000
_TICK_S, _LATE_S = 0.01, 120.0
_P99 = Bar("measured", 150, 75, is_floor=False)
_SLOWDOWN = Bar("ratio", 0.5, 0.75, is_floor=True)


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
    runs: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for i in range(sizes.follow_count):
        for with_reader in (False, True):
            store = directory / f"{i}-{with_reader}.duckdb"
            found = _follow(broker, path, store, with_reader=with_reader)
            for name in ("p50", "p99", "max"):
                runs[name, with_reader].append(getattr(found, f"{name}_ms"))
    for name in ("p50", "p99", "max"):
        what = f"event → visible at {RATE:,} events/s, {name}"
        bar = _P99 if name == "p99" else None
        report.rows.append(compared(what, "ms", runs[name, True], runs[name, False], bar))
    for (name, with_reader), each in runs.items():
        report.runs[f"{name}, ms, {'with' if with_reader else 'without'} a reader"] = each


def _follow(broker: Broker, path: Path, store: Path, *, with_reader: bool) -> Followed:
    topic = broker.create(partitions=4)
    command = run_arguments(
        broker, topic, store, "list", "--start", "earliest", "--listen", "127.0.0.1:0"
    )
    following = _process("follow", *command[1:])
    try:
        with _reading(store) if with_reader else contextlib.nullcontext():
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
    runs: dict[bool, list[float]] = {False: [], True: []}
    for i in range(sizes.follow_count):
        for with_reader, speeds in runs.items():
            store = directory / f"speed-{i}-{with_reader}.duckdb"
            options = ("--start", "earliest", "--until-end", "--listen", "127.0.0.1:0")
            command = run_arguments(broker, topic, store, plan.form, *options)
            with _reading(store) if with_reader else contextlib.nullcontext():
                measured, _ = child(directory, *command)
            speeds.append(count / measured.wall_s)
    what = f"run to the end of {count:,} events, wall"
    report.rows.append(compared(what, "events/s", runs[True], runs[False], _SLOWDOWN))
    for with_reader, speeds in runs.items():
        report.runs[f"wall, events/s, {'with' if with_reader else 'without'} a reader"] = speeds


@contextlib.contextmanager
def _reading(store: Path) -> Iterator[None]:
    """A process that asks the monitor of this store all the time."""
    reader = _process("read", str(store))
    try:
        yield
    finally:
        reader.kill()
        reader.communicate()


def _process(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", *command],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
