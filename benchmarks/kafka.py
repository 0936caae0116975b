"""The whole of `labelwatch run`: a topic in, a committed store out, against a loop that only polls."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.generator import write_file
from benchmarks.measure import this_machine
from benchmarks.replay import arguments, check, child, median_stages, short, stage_table
from benchmarks.report import Bar, Report, compared
from tests.kafka.broker import Broker

if TYPE_CHECKING:
    from benchmarks.sizes import Plan, Sizes

ANCHOR = (
    "a process that polls the same topic with kafka-python, client and garbage collector at their defaults, "
    "and counts the records. Both with start, imports and exit, in turn; the broker's CPU is nobody's"
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
    topic = _preload(path, broker)
    speeds: dict[str, list[float]] = {name: [] for name in ("poll", *CLIENTS)}
    stages: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    for i in range(plan.run_count):
        _, seconds = child(directory, "poll", broker.servers, topic, str(final.event_count))
        speeds["poll"].append(final.event_count / seconds)
        for client in CLIENTS:
            store = directory / f"{i}-{client}.duckdb"
            command = _run(broker, topic, store, plan.form)
            measured, seconds = child(directory, *command, LABELWATCH_SOURCE=client)
            speeds[client].append(final.event_count / seconds)
            stages[client].append(measured.cpu_s)
            if i == plan.run_count - 1:
                check(final, store, is_last=True)
            store.unlink()
    name = f"{plan.name}, {final.event_count:,} events"
    for client, bar in CLIENTS.items():
        bar_of_plan = None if plan.with_corrections else bar
        what = f"{name}: {client}"
        report.rows.append(compared(what, "events/s", speeds[client], speeds["poll"], bar_of_plan))
    report.runs |= {f"{name}: {what}, events/s": runs for what, runs in speeds.items()}
    return {
        f"{client}, {plan.name}, {short(final.event_count)}": median_stages(
            runs, final.event_count
        )
        for client, runs in stages.items()
    }


def _preload(path: Path, broker: Broker) -> str:
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


def _run(broker: Broker, topic: str, store: Path, form: str) -> list[str]:
    _, *flags = arguments(Path(), store, form)
    source = ["--bootstrap-servers", broker.servers, "--topic", topic]
    return ["run", *source, "--start", "earliest", "--until-end", *flags]
