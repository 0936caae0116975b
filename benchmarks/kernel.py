"""Bar: events per second and core through the statistics, and what an event costs after ten million."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.generator import chunks
from benchmarks.measure import cpu_s, this_machine
from benchmarks.report import Bar, Report, Row, Table, compared
from benchmarks.stream import STAGES, label_issues, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.generator import Chunk
    from benchmarks.sizes import Sizes

ANCHOR = (
    "rows per CPU second of one cleanlab `find_label_issues(filter_by='confident_learning', n_jobs=1)` "
    "on the final data, in turn with the runs; for the cost per event, the cost over the first "
    "million, or over its second half, of the same run"
)
_BARS = {10: (1.0e6, 1.5e6), 100: (100e3, 150e3), 1_000: (10e3, 15e3)}
_GROWTH = Bar("ratio", 1.3, 1.3, is_floor=False)


def measure(sizes: Sizes) -> Report:
    report = Report("kernel", ANCHOR, this_machine(), [], [], {})
    stages: list[list[str]] = []
    for class_count, event_count in sizes.kernel.items():
        data = list(chunks(class_count, event_count, sizes.batch_size))
        spent, cleanlab = _alternate(data, sizes.run_count)
        name = f"K={class_count:,}, {event_count:,} events"
        bar = Bar("measured", *_BARS[class_count], is_floor=True)
        costs = [each / event_count for each in spent]
        report.rows += _throughput(name, costs, cleanlab, bar)
        report.runs[f"{name}: cleanlab, rows/s"] = cleanlab
        for i, stage in enumerate(STAGES):
            report.runs[f"{name}: {stage}, CPU s"] = [float(each[:, i].sum()) for each in spent]
        stages.append([name, *_per_event(spent, event_count)])
    stages.append([f"K=10, {sizes.long_count:,} events", *_measure_growth(sizes, report)])
    report.tables.append(Table("Median CPU per event, µs:", ["", *STAGES, "all"], stages))
    return report


def _alternate(data: list[Chunk], run_count: int) -> tuple[list[NDArray[np.float64]], list[float]]:
    """CPU seconds of each batch and stage, and cleanlab's rows per second; checked after the last run."""
    run(data[:2])
    spent, cleanlab = [], []
    for i in range(run_count):
        kernel = run(data)
        _, given, pred_probs = kernel.live()
        _, seconds = cpu_s(
            lambda given=given, pred_probs=pred_probs: label_issues(given, pred_probs)
        )
        spent.append(kernel.spent_s)
        cleanlab.append(given.size / seconds)
        if i == run_count - 1:
            kernel.check()
    return spent, cleanlab


def _throughput(
    name: str, spent: list[NDArray[np.float64]], cleanlab: list[float], bar: Bar
) -> list[Row]:
    """Events per second. `spent`: CPU seconds per event of each batch and stage, for each run."""

    def rate(first_stage: int) -> list[float]:
        return [float(1 / each[:, first_stage:].sum()) for each in spent]

    return [
        compared(f"{name}: float64 in", "events/s", rate(0), cleanlab, bar),
        compared(f"{name}: units in", "events/s", rate(1), cleanlab, bar),
        compared(f"{name}: detector alone", "events/s", rate(len(STAGES) - 1), cleanlab),
    ]


def _per_event(spent: list[NDArray[np.float64]], event_count: int) -> list[str]:
    by_stage = np.median([each.sum(axis=0) for each in spent], axis=0) / event_count * 1e6
    return [f"{cost:.2f}" for cost in (*by_stage, by_stage.sum())]


def _measure_growth(sizes: Sizes, report: Report) -> list[str]:
    """How the cost of an event grows from K=10's first number of events to ten times as many."""
    long, short = sizes.long_count, sizes.kernel[10]
    data = list(chunks(10, long, sizes.batch_size))
    spent = []
    for i in range(sizes.run_count):
        kernel = run(data)
        spent.append(kernel.spent_s)
        if i == sizes.run_count - 1:
            kernel.check()
        del kernel
    costs = [each.sum(axis=1) / sizes.batch_size * 1e6 for each in spent]

    def mean(start: int, end: int) -> list[float]:
        at = slice(start // sizes.batch_size, end // sizes.batch_size)
        return [float(each[at].mean()) for each in costs]

    pairs = {
        f"K=10, cost per event over {long:,} events": (mean(0, long), mean(0, short)),
        "K=10, … over the second half of them": (mean(long // 2, long), mean(short // 2, short)),
    }
    for what, (measured, anchor) in pairs.items():
        report.rows.append(compared(what, "µs", measured, anchor, _GROWTH))
        report.runs |= {f"{what}, µs": measured, f"{what}: anchor, µs": anchor}
    slowest = [float(each.max() * sizes.batch_size / 1e3) for each in costs]
    report.rows.append(Row("K=10, slowest batch of them", "ms", float(np.median(slowest))))
    report.runs["K=10, slowest batch, ms"] = slowest
    return _per_event(spent, long)
