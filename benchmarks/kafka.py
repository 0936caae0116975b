"""The whole of `labelwatch run`: a topic in, a committed store out, against a loop that only polls."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.generator import write_file
from benchmarks.measure import this_machine
from benchmarks.replay import arguments, check, child, median_stages, stage_table
from benchmarks.report import Bar, Report, compared
from tests.kafka.broker import Broker

if TYPE_CHECKING:
    from benchmarks.sizes import Plan, Sizes

ANCHOR = (
    "a process that polls the same topic with kafka-python, client and garbage collector at their defaults, "
    "and counts the records, in turn with the runs. CPU: of the whole process, start and exit included; the "
    "broker's is nobody's. Wall: after imports, on cores that the broker shares"
)
CLIENTS = {
    "kafka": Bar("ratio", 0.60, 0.75, is_floor=True),
    "confluent": Bar("ratio", 0.60, 1.50, is_floor=True),
}
_PARTITIONS, _BLOCK = 4, 500


def measure(sizes: Sizes) -> Report:
    report = Report("kafka", ANCHOR, this_machine(), [], [], {})
    columns: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="labelwatch-bench-") as directory:
        broker = Broker(Path(directory) / "broker")
        broker.start()
        try:
            for plan in sizes.topics:
                columns |= _measure(plan, broker, Path(directory), report)
        finally:
            broker.stop()
    report.tables.append(stage_table(columns))
    return report


def _measure(
    plan: Plan, broker: Broker, directory: Path, report: Report
) -> dict[str, dict[str, float]]:
    """Alternating runs over one topic; the median CPU per event of each stage, µs."""
    path = directory / "events.jsonl"
    final = write_file(path, plan)
    topic = preload(path, broker)
    count = final.event_count
    speeds: dict[str, list[float]] = defaultdict(list)
    stages: dict[str, list[dict[str, float]]] = defaultdict(list)
    for i in range(plan.run_count):
        measured, seconds = child(directory, "poll", broker.servers, topic, str(count))
        speeds["poll"].append(count / seconds)
        speeds["poll, wall"].append(count / measured.wall_s)
        for client in CLIENTS:
            store = directory / f"{i}-{client}.duckdb"
            options = ("--start", "earliest", "--until-end", "--listen", "127.0.0.1:0")
            command = run_arguments(broker, topic, store, plan.form, *options)
            measured, seconds = child(directory, *command, LABELWATCH_SOURCE=client)
            speeds[client].append(count / seconds)
            speeds[f"{client}, wall"].append(count / measured.wall_s)
            stages[client].append(measured.cpu_s)
            if i == plan.run_count - 1:
                check(final, store, is_last=True)
            store.unlink()
    name = f"{plan.name}, {count:,} events"
    for client, bar in CLIENTS.items():
        bar_of_plan = None if plan.with_corrections else bar
        for what, anchor, limit in (
            (client, "poll", bar_of_plan),
            (f"{client}, wall", "poll, wall", None),
        ):
            row = compared(f"{name}: {what}", "events/s", speeds[what], speeds[anchor], limit)
            report.rows.append(row)
    report.runs |= {f"{name}: {what}, events/s": runs for what, runs in speeds.items()}
    return {
        f"{client}, {plan.name}": median_stages(runs, count) for client, runs in stages.items()
    }


def preload(path: Path, broker: Broker) -> str:
    """A topic of these lines, which are spread over its partitions block by block."""
    topic: str = broker.create(partitions=_PARTITIONS)
    with path.open("rb") as file, broker.producer(linger_ms=20, batch_size=200_000) as producer:
        number = 0
        while block := list(islice(file, _BLOCK)):
            for line in block:
                producer.send(topic, line.rstrip(b"\n"), partition=number % _PARTITIONS)
            number += 1
        producer.flush()
    return topic


def run_arguments(broker: Broker, topic: str, store: Path, form: str, *options: str) -> list[str]:
    """What a user would type to follow a topic."""
    _, *flags = arguments(Path(), store, form)
    source = ["--bootstrap-servers", broker.servers, "--topic", topic]
    return ["run", *source, *options, *flags]
