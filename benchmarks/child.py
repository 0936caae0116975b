"""One command in a process of its own, so that its CPU and memory are its own.

The last line on stdout is JSON: CPU seconds by stage since the process began, memory, sizes.
"""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.measure import resident_mb, resident_peak_mb
from benchmarks.stages import StageClock, watch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from consumers.store import Arrival, Store
    from monitor.pipeline import Step
    from monitor.state import State


class Measured(msgspec.Struct):
    """`resident_mb` is taken while the state is in memory; times are of the process since its start."""

    cpu_s: dict[str, float]
    wall_s: float
    resident_mb: float
    resident_peak_mb: float


def replay(arguments: list[str]) -> Measured:
    """`labelwatch replay`, as installed, with a clock between its stages."""
    return _feed(["replay", *arguments], "file")


def run(arguments: list[str]) -> Measured:
    """`labelwatch run`, likewise."""
    return _feed(["run", *arguments], "topic")


def _feed(arguments: list[str], source: str) -> Measured:
    from consumers.cli import labelwatch  # noqa: PLC0415 - importing it is part of what is measured
    from consumers.store import Store  # noqa: PLC0415 - as above

    clock, start = StageClock(), time.perf_counter()
    watch(clock, source)
    held: list[float] = []
    close = Store.close

    def weigh_and_close(store: Store) -> None:
        held.append(resident_mb())
        close(store)

    Store.close = weigh_and_close  # type: ignore[method-assign] # the state is still held here
    labelwatch(arguments, standalone_mode=False)
    spent = clock.stop()
    return Measured(spent, time.perf_counter() - start, held[-1], resident_peak_mb())


class Followed(msgspec.Struct):
    """From the time of a record to the end of the commit that made it visible; after the first tenth.

    `commit_ms`: how long a commit takes, the median.
    """

    p50_ms: float
    p99_ms: float
    max_ms: float
    commit_ms: float


def follow(arguments: list[str]) -> Followed:
    """`labelwatch run`, until SIGTERM."""
    from consumers.cli import labelwatch  # noqa: PLC0415 - as above
    from consumers.store import Store  # noqa: PLC0415 - as above

    waits: list[NDArray[np.float64]] = []
    commits: list[float] = []
    commit = Store.commit

    def commit_and_look(store: Store, step: Step, state: State, arrival: Arrival) -> None:
        start = time.perf_counter()
        commit(store, step, state, arrival)
        commits.append((time.perf_counter() - start) * 1e3)
        waits.append(time.time() * 1e3 - arrival.records.timestamps_us / 1e3)

    Store.commit = commit_and_look  # type: ignore[method-assign] # the moment that is asked for
    labelwatch(["run", *arguments], standalone_mode=False)
    found = np.concatenate(waits)
    found = found[found.size // 10 :]
    p50, p99 = np.percentile(found, (50, 99))
    return Followed(float(p50), float(p99), float(found.max()), float(np.median(commits)))


def read(arguments: list[str]) -> None:
    """Ask the monitor that holds a store, until this process is killed: many queries, or one long one."""
    from pathlib import Path  # noqa: PLC0415 - as above

    from consumers.store.lock import url_of  # noqa: PLC0415 - as above

    store, kind = arguments
    query = {
        "many": b"SELECT given_label, count(*) FROM label_issues GROUP BY ALL",
        "long": b"SELECT count(*) FROM annotations, range(1000000000000)",
    }[kind]
    while True:
        if (url := url_of(Path(store))) is None:
            time.sleep(0.01)
            continue
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/sql", query, timeout=600).read()


def poll(arguments: list[str]) -> Measured:
    """Poll a topic from its beginning, with the client's defaults, and count: servers, topic, records."""
    from kafka import KafkaConsumer, TopicPartition  # noqa: PLC0415 - so that only this child has it

    servers, topic, count = arguments
    start, seen = time.perf_counter(), 0
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    while seen < int(count):
        seen += sum(map(len, consumer.poll(1_000).values()))
    wall_s = time.perf_counter() - start
    consumer.close(autocommit=False)
    return Measured({"read": time.process_time()}, wall_s, resident_mb(), resident_peak_mb())


def restart(arguments: list[str]) -> Measured:
    """Open a store and load its state, as every command that writes does; then one parity query."""
    from consumers.config import read_settings  # noqa: PLC0415 - a child imports what it measures
    from consumers.wiring import open_line  # noqa: PLC0415 - as above

    settings = read_settings(None, {"store": arguments[0]})
    imported, start = time.process_time(), time.perf_counter()
    with open_line(settings, "benchmark") as line:
        loaded, wall_s = time.process_time(), time.perf_counter() - start
        held = resident_mb()
        peak = resident_peak_mb()
        assert line.store.parity(str(line.state.collision)) == 0
        asked = time.process_time()
    spent = {"import": imported, "load": loaded - imported, "parity": asked - loaded}
    return Measured(spent, wall_s, held, peak)


if __name__ == "__main__":
    commands = (replay, run, follow, read, poll, restart)
    command = {each.__name__: each for each in commands}[sys.argv[1]]
    measured = command(sys.argv[2:])
    sys.stdout.write("\n" + msgspec.json.encode(measured).decode() + "\n")
