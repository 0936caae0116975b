"""What knowing people costs: time per label in the loop, and memory once everybody has given every label."""

from __future__ import annotations

import gc
import time
import tracemalloc
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.generator import chunks
from benchmarks.report import Row
from monitor.statistics.confusion_counts import ConfusionCounts
from monitor.statistics.posterior import add_labels, model_logs, posteriors
from monitor.units import quantise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from benchmarks.report import Report
    from benchmarks.sizes import Sizes
    from monitor.units import Units

STAGES = ("counts", "likelihoods", "posteriors")


def add_costs(sizes: Sizes, report: Report) -> None:
    """A row for each stage, and one for memory, of each number of classes."""
    for class_count, (people, label_count) in sizes.confusions.items():
        name = f"K={class_count:,}, {people:,} people"
        counts_mb = _memory_mb(class_count, people, label_count, sizes.batch_size)
        report.rows.append(Row(f"{name}: memory of the counts", "MB", counts_mb))
        report.runs[f"{name}: memory of the counts, MB"] = [counts_mb]
        runs = [
            _costs_us(class_count, people, label_count, sizes.batch_size)
            for _ in range(sizes.run_count)
        ]
        for stage, *costs in zip(STAGES, *runs, strict=True):
            report.rows.append(Row(f"{name}: {stage}, CPU per label", "µs", median(costs)))
            report.runs[f"{name}: {stage}, µs"] = costs


def _batches(
    class_count: int, people: int, label_count: int, size: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int16], Units]]:
    """One label of anybody for each new example."""
    rng = np.random.default_rng(0)
    for chunk in chunks(class_count, label_count, size):
        annotator = rng.integers(people, size=chunk.given.size).astype(np.int32)
        units = quantise(chunk.pred_probs, np.zeros(chunk.given.size, np.bool_))
        yield annotator, chunk.given, units


def _costs_us(class_count: int, people: int, label_count: int, size: int) -> list[float]:
    """µs per label of each stage: the batch is counted, and its examples are judged."""
    counts = ConfusionCounts()
    counts.grow_to(people, class_count)
    spent, done = np.zeros(len(STAGES)), 0
    for annotator, given, units in _batches(class_count, people, label_count, size):
        clock = [time.process_time()]
        counts.update(annotator, given, units)
        clock.append(time.process_time())
        logs = counts.log_likelihoods(annotator, given)
        clock.append(time.process_time())
        posteriors(add_labels(model_logs(units), np.arange(given.size), logs))
        clock.append(time.process_time())
        spent += np.diff(clock)
        done += given.size
    return (spent / done * 1e6).tolist()


def _memory_mb(class_count: int, people: int, label_count: int, size: int) -> float:
    """What the counts hold after all labels."""
    batches = list(_batches(class_count, people, label_count, size))
    gc.collect()
    tracemalloc.start()
    counts = ConfusionCounts()
    counts.grow_to(people, class_count)
    for annotator, given, units in batches:
        counts.update(annotator, given, units)
    del annotator, given, units
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / 1e6
