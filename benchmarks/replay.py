"""The whole of `labelwatch replay`: a JSONL file in, a committed store out, and where the CPU goes."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.child import Measured
from benchmarks.generator import FILE_CLASSES, Final, write_file
from benchmarks.measure import cpu_s, this_machine
from benchmarks.report import Report, Table, compared
from benchmarks.stages import STAGES
from benchmarks.stream import label_issues
from consumers.store.read import Reader
from monitor.events import Event
from monitor.units import UNIT, quantise

if TYPE_CHECKING:
    from benchmarks.sizes import Plan, Sizes

ANCHOR = (
    "in the rows *of reading*, reading the same file and decoding each line with msgspec, and nothing "
    "else; in the rows *of cleanlab*, one `find_label_issues(filter_by='confident_learning', n_jobs=1)` "
    "on the final data as arrays; both in turn with the runs"
)
ROOT = Path(__file__).parents[1]


def measure(sizes: Sizes) -> Report:
    report = Report("replay", ANCHOR, this_machine(), [], [], {})
    columns: dict[str, dict[str, float]] = {}
    for plan in sizes.replays:
        with tempfile.TemporaryDirectory(prefix="labelwatch-bench-") as directory:
            columns[f"{plan.name}, {_short(plan.event_count)}"] = _replay(
                plan, Path(directory), report
            )
    report.tables.append(stage_table(columns))
    return report


def _replay(plan: Plan, directory: Path, report: Report) -> dict[str, float]:
    """Alternating runs of one plan; the median CPU per event of each stage, µs."""
    path, name = directory / "events.jsonl", f"{plan.name}, {plan.event_count:,} events"
    final = write_file(path, plan)
    reading, replaying, batch, stages = [], [], [], []
    for i in range(plan.run_count):
        reading.append(plan.event_count / cpu_s(lambda: _read_and_decode(path))[1])
        store = directory / f"{i}.duckdb"
        measured, whole_s = child(directory, "replay", *arguments(path, store, plan.form))
        replaying.append(plan.event_count / whole_s)
        stages.append(measured.cpu_s)
        batch.append(plan.event_count / check(final, store, is_last=i == plan.run_count - 1))
        store.unlink()
    report.rows += [
        compared(f"{name}: of reading", "events/s", replaying, reading),
        compared(f"{name}: of cleanlab", "events/s", replaying, batch),
    ]
    report.runs |= {
        f"{name}: {what}, events/s": figures
        for what, figures in (("replay", replaying), ("reading", reading), ("cleanlab", batch))
    }
    for stage in STAGES:
        report.runs[f"{name}: {stage}, CPU s"] = [each[stage] for each in stages]
    return median_stages(stages, plan.event_count)


def median_stages(runs: list[dict[str, float]], event_count: int) -> dict[str, float]:
    """The median CPU per event of each stage, µs."""
    return {stage: median(each[stage] for each in runs) / event_count * 1e6 for stage in STAGES}


def arguments(path: Path, store: Path, form: str) -> list[str]:
    """What a user would type: lists need to know their classes, maps name them."""
    classes = ["--classes", ",".join(FILE_CLASSES)] if form == "list" else []
    return [str(path), "--store", str(store), *classes]


def child(directory: Path, *command: str, **environment: str) -> tuple[Measured, float]:
    """A command of benchmarks/child.py, and the CPU seconds of its whole process, start and exit included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", *command],
        cwd=directory,  # where no labelwatch.toml lies
        env={"PYTHONPATH": str(ROOT), "PATH": "", **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = msgspec.json.decode(done.stdout.splitlines()[-1], type=Measured)
    return measured, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _read_and_decode(path: Path) -> None:
    # Nothing is kept, so that the collector has nothing to do.
    with path.open("rb") as file:
        deque(map(msgspec.json.Decoder(Event).decode, file), maxlen=0)


def check(final: Final, store: Path, *, is_last: bool) -> float:
    """CPU seconds of cleanlab on the final data; after the last run its issues must be the store's."""
    pred_probs = quantise(final.pred_probs, np.zeros(final.given.size, np.bool_)) / UNIT
    issues, seconds = cpu_s(lambda: label_issues(final.given, pred_probs))
    if is_last:
        with Reader(store) as reader:
            found = reader.query("SELECT example_id FROM label_issues").rows
        assert {name for (name,) in found} == {f"x{i}" for i in final.examples[issues]}
    return seconds


def stage_table(columns: dict[str, dict[str, float]]) -> Table:
    rows = [[stage, *(f"{column[stage]:.2f}" for column in columns.values())] for stage in STAGES]
    rows.append(["all", *(f"{sum(column.values()):.2f}" for column in columns.values())])
    return Table("Median CPU per event by stage, µs:", ["", *columns], rows)


def _short(count: int) -> str:
    return f"{count // 1_000_000} M" if count >= 1_000_000 else f"{count / 1_000:g} k"
