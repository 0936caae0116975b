"""Bar: staying exact after every commit, against asking cleanlab once at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.generator import chunks
from benchmarks.measure import cpu_s, this_machine
from benchmarks.report import Bar, Report, compared
from benchmarks.stream import label_issues, run

if TYPE_CHECKING:
    from benchmarks.sizes import Sizes

ANCHOR = (
    "one cleanlab `find_label_issues(filter_by='confident_learning', n_jobs=1)` on the final data, in "
    "the same process, in turn with the runs"
)
_BAR = Bar("ratio", 1.5, 1.0, is_floor=False)


def measure(sizes: Sizes) -> Report:
    event_count = sizes.kernel[10]
    data = list(chunks(10, event_count, sizes.batch_size))
    run(data[:2])
    spent, cleanlab = [], []
    for _ in range(sizes.run_count):
        kernel = run(data)
        rows, given, pred_probs = kernel.live()
        issues, seconds = cpu_s(lambda given=given, probs=pred_probs: label_issues(given, probs))
        assert np.array_equal(kernel.detector.issues.is_raised[rows], issues)
        spent.append(kernel.spent_s.sum(axis=0))
        cleanlab.append(seconds)
    kernel.check()
    name = f"{event_count:,} events, {len(data)} commits"
    runs = {
        "float64 in": [float(each.sum()) for each in spent],
        "units in": [float(each[1:].sum()) for each in spent],
        "detector alone": [float(each[-1]) for each in spent],
    }
    rows = [
        compared(f"{name}: {what}", "s", measured, cleanlab, None if "alone" in what else _BAR)
        for what, measured in runs.items()
    ]
    named = {f"{what}, CPU s": measured for what, measured in runs.items()}
    return Report("exact", ANCHOR, this_machine(), rows, [], named | {"cleanlab, CPU s": cleanlab})
