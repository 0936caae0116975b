"""Memory, disk, restart and the parity query after many annotations."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.generator import write_file
from benchmarks.measure import this_machine
from benchmarks.replay import arguments, child
from benchmarks.report import Bar, Report, Row
from benchmarks.sizes import Plan

if TYPE_CHECKING:
    from benchmarks.sizes import Sizes

ANCHOR = "none, but for the store's bytes per live annotation: the bytes of the JSONL file"
_RESTARTS = 3
_PEAK, _RESTART = "memory at its highest during replay", "restart, wall, imports apart"
_BARS = {
    (1_000_000, _PEAK): Bar("measured", 500, 450, is_floor=False),
    (10_000_000, _PEAK): Bar("measured", 2_500, 1_800, is_floor=False),
    (10_000_000, _RESTART): Bar("measured", 15, 8, is_floor=False),
}
"""By number of annotations. That of memory is held against its highest."""


def measure(sizes: Sizes) -> Report:
    report = Report("footprint", ANCHOR, this_machine(), [], [], {})
    for count in sizes.footprint_counts:
        with tempfile.TemporaryDirectory(prefix="labelwatch-bench-") as directory:
            _measure(count, Path(directory), report)
    return report


def _measure(event_count: int, directory: Path, report: Report) -> None:
    path, store = directory / "events.jsonl", directory / "bench.duckdb"
    plan = Plan("list", with_text=False, event_count=event_count, run_count=1)
    live_count = write_file(path, plan).given.size
    fed, _ = child(directory, "replay", *arguments(path, store, plan.form))
    again = [child(directory, "restart", str(store))[0] for _ in range(_RESTARTS)]
    name = f"{event_count:,} events"
    figures: dict[str, tuple[str, list[float]]] = {
        "memory after replay": ("MB", [fed.resident_mb]),
        _PEAK: ("MB", [fed.resident_peak_mb]),
        "memory after restart": ("MB", [each.resident_mb for each in again]),
        "memory at its highest during restart": ("MB", [each.resident_peak_mb for each in again]),
        "restart, CPU, imports apart": ("s", [each.cpu_s["load"] for each in again]),
        _RESTART: ("s", [each.wall_s for each in again]),
        "parity query, CPU": ("s", [each.cpu_s["parity"] for each in again]),
    }
    for what, (unit, runs) in figures.items():
        bar = _BARS.get((event_count, what))
        report.rows.append(Row(f"{name}: {what}", unit, sorted(runs)[len(runs) // 2], bar=bar))
        report.runs[f"{name}: {what}, {unit}"] = runs
    bytes_per_row, anchor = (each.stat().st_size / live_count for each in (store, path))
    row = Row(
        f"{name}: store per live annotation",
        "bytes",
        bytes_per_row,
        anchor,
        bytes_per_row / anchor,
    )
    report.rows.append(row)
    report.runs[f"{name}: live annotations"] = [live_count]
