"""Bar: flags, label quality and consensus on real labels by real people, above CROWDLAB's and far cheaper."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from benchmarks.confusion import add_costs
from benchmarks.judges import (
    CROWDLAB,
    FIGURES,
    FILTERS,
    OURS,
    POOLED,
    as_table,
    below_half,
    crowdlab,
    filtered,
    majority,
    ours,
    scored,
)
from benchmarks.measure import cpu_s, this_machine
from benchmarks.people import MODELS, made_up, real, with_levels
from benchmarks.report import Bar, Report, Table, compared

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.judges import Verdict
    from benchmarks.people import Crowd
    from benchmarks.sizes import Sizes

    Found = dict[tuple[str, str, str], dict[str, list[float]]]
    Ranks = dict[tuple[str, int], list[float]]

ANCHOR = (
    "cleanlab's `get_label_quality_multiannotator` (CROWDLAB, with its defaults) on the same labels, its "
    "table of images × people made outside the clock; in the rows *of one matrix for all*, ours with "
    "everybody taken for one person. Cost and memory by themselves have none"
)
_ABOVE = Bar("ratio", 1, 1, is_floor=True)
_SPEED = Bar("ratio", 50, 100, is_floor=True)
_AS_LABELLED, _WITH_LEVELS = "as labelled", "with levels"
_CPU = "CPU s"
_LEAST_LABELS = (1, 100)
"""Of whom? With few labels, who is better is mostly luck."""
_REALITY = "share of labels that are right, which nobody knows"


def measure(sizes: Sizes) -> Report:
    report = Report("consensus", ANCHOR, this_machine(), [], [], {})
    crowd, shifts = real() if sizes.crowd_size is None else made_up(sizes.crowd_size)
    _speed(crowd, sizes.run_count, report)
    found: Found = _nothing()
    for share in sizes.crowd_shares:
        _judge(crowd.first(share), f"{share:.0%}", found)
    _add(_AS_LABELLED, found, report)
    found, ranks = _nothing(), defaultdict(list)
    for seed in range(sizes.level_count):
        resampled, levels = with_levels(crowd, shifts, seed)
        for share in sizes.crowd_shares:
            verdicts = _judge(resampled.first(share), f"{share:.0%}", found)
        _rank(resampled, -levels, verdicts, ranks)
    _add(_WITH_LEVELS, found, report)
    _add_ranks(ranks, report)
    add_costs(sizes, report)
    return report


def _nothing() -> Found:
    return defaultdict(lambda: defaultdict(list))


def _speed(crowd: Crowd, run_count: int, report: Report) -> None:
    """From probabilities and labels to the quality of all labels, in turn with CROWDLAB."""
    table, column = as_table(crowd)
    pred_probs = crowd.pred_probs[next(iter(MODELS))]
    speeds: dict[str, list[float]] = {OURS: [], CROWDLAB: []}
    for _ in range(run_count):
        _, seconds = cpu_s(lambda: ours(crowd, pred_probs))
        speeds[OURS].append(crowd.given.size / seconds)
        _, seconds = cpu_s(lambda: crowdlab(crowd, table, column, pred_probs))
        speeds[CROWDLAB].append(crowd.given.size / seconds)
    what = f"{crowd.given.size:,} labels judged"
    report.rows.append(compared(what, "labels/s", *speeds.values(), _SPEED))
    report.runs |= {f"{what}: {name}, labels/s": each for name, each in speeds.items()}


def _judge(crowd: Crowd, share: str, found: Found) -> dict[tuple[str, str], Verdict]:
    """All figures of all judges go to `found`; the verdicts that know people come back."""
    table, column = as_table(crowd)
    kept = {}
    for model in MODELS:
        probs = crowd.pred_probs[model]
        judges: dict[str, Callable[[], Verdict]] = {
            OURS: lambda probs=probs: ours(crowd, probs),
            POOLED: lambda probs=probs: ours(crowd, probs, is_pooled=True),
            CROWDLAB: lambda probs=probs: crowdlab(crowd, table, column, probs),
            "majority of labels": lambda probs=probs: majority(table, probs),
        }
        for name in FILTERS:
            judges[name] = lambda probs=probs, name=name: filtered(crowd, probs, name)
        for name, judge in judges.items():
            verdict, seconds = cpu_s(judge)
            figures = found[model, share, name]
            figures[_CPU].append(seconds)
            for figure, value in scored(crowd, verdict).items():
                figures[figure].append(value)
            if name in (OURS, CROWDLAB):
                kept[model, name] = verdict
        f1 = scored(crowd, below_half(kept[model, CROWDLAB]))["F1"]
        found[model, share, f"{CROWDLAB}, quality < 0.5"]["F1"].append(f1)
    return kept


def _add(stream: str, found: Found, report: Report) -> None:
    """Rows against CROWDLAB, and at the end of the stream against one matrix; a table of everything."""
    last = list(found)[-1][1]
    for (model, share, judge), figures in found.items():
        name = f"{stream}, {model}, {share}"
        report.runs |= {f"{name}: {judge}, {what}": runs for what, runs in figures.items()}
        if judge != OURS:
            continue
        for what in FIGURES:
            bar = _ABOVE if stream == _AS_LABELLED or what != "consensus" else None
            measured, of = figures[what], f"{name}: {what}"
            anchor = found[model, share, CROWDLAB][what]
            report.rows.append(compared(of, "", measured, anchor, bar))
            if stream == _WITH_LEVELS and share == last:
                anchor = found[model, share, POOLED][what]
                report.rows.append(compared(f"{of}, of {POOLED}", "", measured, anchor, bar))
    head = ["", *FIGURES, _CPU]
    rows = [[", ".join(key), *_cells(figures)] for key, figures in found.items()]
    title = f"Labels {stream}:"
    report.tables.append(Table(title, head, rows))


def _cells(figures: dict[str, list[float]]) -> list[str]:
    cells = [f"{median(figures[what]):.4f}" if what in figures else "–" for what in FIGURES]
    return [*cells, f"{median(figures[_CPU]):.2f}" if _CPU in figures else "–"]


def _rank(
    crowd: Crowd,
    levels: NDArray[np.float64],
    verdicts: dict[tuple[str, str], Verdict],
    ranks: Ranks,
) -> None:
    """How well the order of people by each estimate is that of their true levels: Spearman's correlation."""
    label_count = np.bincount(crowd.annotator, minlength=levels.size)
    right = np.bincount(crowd.annotator, ~crowd.is_wrong) / np.maximum(label_count, 1)
    estimates = {("", _REALITY): right}
    for (model, judge), verdict in verdicts.items():
        for what, estimate in (verdict.people or {}).items():
            estimates[f"{model}, ", f"{judge}: {what}"] = estimate
    for name, estimate in estimates.items():
        for least in _LEAST_LABELS:
            is_known = label_count >= least
            rank = spearmanr(estimate[is_known], levels[is_known]).statistic
            ranks["".join(name), least].append(float(rank))


def _add_ranks(ranks: Ranks, report: Report) -> None:
    names = list(dict.fromkeys(name for name, _ in ranks))
    rows = [
        [name, *(f"{median(ranks[name, least]):.3f}" for least in _LEAST_LABELS)] for name in names
    ]
    head = ["", *(f"≥ {least} labels" for least in _LEAST_LABELS)]
    title = "People ranked, Spearman's correlation with their true levels:"
    report.tables.append(Table(title, head, rows))
    for (name, least), runs in ranks.items():
        report.runs[f"rank of people, ≥ {least} labels: {name}"] = runs
