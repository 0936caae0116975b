"""What the label of each example is, and how good each given label: the posterior, as published.

An example's posterior depends on how its annotators label everywhere, so it moves a little with every
label that anybody gives. The examples of a batch are judged at once; all others keep what was last said of
them until a sweep comes by. After a sweep through all of them without a change in between, what is
published follows from the live annotations alone, whatever came in which order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.changes import Cause
from monitor.columns import Columns
from monitor.detectors.protocol import Action
from monitor.distinct import distinct, places_in, run_of
from monitor.opinions import ISSUE_BELOW, AnnotatorTotals, Judged, Opinions, issue_flags
from monitor.statistics.confusion_counts import ConfusionCounts
from monitor.statistics.model_weight import Hits
from monitor.statistics.posterior import MODEL_WEIGHT, add_labels, model_logs, posteriors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.changes import Changes
    from monitor.detectors.protocol import Flags
    from monitor.ledger import Ledger
    from monitor.opinions import Qualities
    from monitor.statistics.confusion_counts import Logs
    from monitor.statistics.model_weight import Weights
    from monitor.tables import Rows
    from monitor.units import Units

    Mask = NDArray[np.bool_]

_CHUNK_CELLS = 1 << 16


class _Annotations(Columns):
    layout = (("label_quality", np.float32, np.nan),)
    label_quality: Qualities


class _Examples(Columns):
    layout = (("label", np.int16, -1), ("quality", np.float32, np.nan))
    label: NDArray[np.int16]
    quality: Qualities


@dataclass(frozen=True, slots=True)
class _Last:
    """Whose annotations were when they were last judged, why they are judged again, if they are others."""

    annotator: Rows
    example: Rows
    cause: NDArray[np.int8]
    is_other: Mask


@dataclass(frozen=True, slots=True)
class _Labels:
    """Probabilities of examples (m, K); each of their labels: row, example's place, class, logs (n, K)."""

    units: Units
    annotations: Rows
    example: NDArray[np.intp]
    given: NDArray[np.int16]
    logs: Logs


class Consensus:
    """The posterior of every labelled example, from the model and everybody's labels. Mutable.

    `version` counts what has changed, and may change an opinion: labels, and the number of classes.
    `model_weights` are of the classes that the model favours, as of the last `weigh`. Shape: (K,).
    """

    def __init__(self, model_weight: float = MODEL_WEIGHT) -> None:
        self._default = model_weight
        self._hits = Hits(0, model_weight)
        self.model_weights: Weights = np.zeros(0)
        self.counts = ConfusionCounts()
        self.totals = AnnotatorTotals()
        self.version = 0
        self._annotations = _Annotations()
        self._examples = _Examples()

    def learn(self, ledger: Ledger, changes: Changes, annotator_count: int) -> None:
        """Count the changed annotations: how each annotator labels each class."""
        self._grow(ledger, annotator_count)
        before, after = changes.before, changes.after
        is_same = before.is_live & after.is_live
        for name in ("example", "annotator", "given"):
            is_same &= getattr(before, name) == getattr(after, name)
        is_same &= ~_places(changes.replaced, after.example)[1]
        leaves, joins = before.is_live & ~is_same, after.is_live & ~is_same
        if leaves.any():
            units = _units_before(ledger, changes, before.example[leaves])
            self.counts.revert(before.annotator[leaves], before.given[leaves], units)
        if joins.any():
            units = ledger.units.data[run_of(after.example[joins])]
            self.counts.update(after.annotator[joins], after.given[joins], units)
        self.version += int(leaves.sum() + joins.sum())

    def update(self, ledger: Ledger, changes: Changes, annotator_count: int) -> Opinions:
        """Learn from a batch, and judge the examples it touched anew."""
        self.learn(ledger, changes, annotator_count)
        before, after = changes.before, changes.after
        examples = distinct(before.example[before.is_live], after.example[after.is_live])
        judged = self._judge(ledger, examples)
        gone = changes.annotations[before.is_live & ~after.is_live]
        rows = np.concatenate((judged.annotations, gone))
        at, is_touched = _places(changes.annotations, rows)
        cause = np.full(rows.size, Cause.ANNOTATION, np.int8)
        cause[is_touched] = changes.cause[at[is_touched]]
        whose, whence = ledger.annotations.annotator[rows], ledger.annotations.example[rows]
        whose[is_touched] = before.annotator[at[is_touched]]
        whence[is_touched] = before.example[at[is_touched]]
        is_other = np.zeros(rows.size, np.bool_)
        for name in ("example", "given", "self_units"):
            is_other[is_touched] |= (getattr(before, name) != getattr(after, name))[at[is_touched]]
        return self._publish(ledger, judged, gone, _Last(whose, whence, cause, is_other))

    def sweep(self, ledger: Ledger, start: int, stop: int) -> Opinions:
        """Judge the examples in these rows anew."""
        rows = np.arange(start, min(stop, ledger.examples.size), dtype=np.int32)
        judged = self._judge(ledger, rows)
        rows = judged.annotations
        return self._publish(
            ledger,
            judged,
            rows[:0],
            _Last(
                ledger.annotations.annotator[rows],
                ledger.annotations.example[rows],
                np.full(rows.size, Cause.THRESHOLD, np.int8),
                np.zeros(rows.size, np.bool_),
            ),
        )

    def measure(self, ledger: Ledger, start: int, stop: int) -> None:
        """Count, for examples in these rows with several labels, which weights foretell people best."""
        rows = np.arange(start, min(stop, ledger.examples.size), dtype=np.int32)
        for examples in self._chunks(rows[ledger.examples.live_count[rows] > 1]):
            labels = self._labels_of(ledger, examples)
            self._hits.update(labels.units, labels.example, labels.given, labels.logs)

    def weigh(self) -> None:
        """Take the weights that follow from what was measured since the last time."""
        self.model_weights = self._hits.weights()
        self._hits = Hits(self.counts.class_count, self._default)

    def restore(self, ledger: Ledger, judged: Judged) -> Flags:
        """Go on from what was published, after `learn`; the flags that stand."""
        rows, quality = judged.annotations, judged.label_quality
        example = ledger.annotations.example[rows]
        self._annotations.label_quality[rows] = quality
        self._examples.label[example] = judged.consensus_label
        self._examples.quality[example] = judged.consensus_quality
        self.totals.add(ledger.annotations.annotator[rows], quality, 1)
        at = np.flatnonzero(quality < ISSUE_BELOW)
        nothing = np.zeros(at.size, np.int8)
        return issue_flags(rows[at], nothing, nothing, quality[at])

    def restore_weights(self, model_weights: Weights) -> None:
        """Go on with the weights of the last `weigh`; classes that are newer have the default."""
        self.model_weights[: model_weights.size] = model_weights

    def published(self, ledger: Ledger, examples: Rows) -> Judged:
        """What was last said of the annotations of these distinct examples."""
        rows = ledger.annotations_of(examples)
        quality = self._annotations.label_quality[rows]
        is_known = ~np.isnan(quality)
        rows = rows[is_known]
        example = ledger.annotations.example[rows]
        return Judged(
            rows, quality[is_known], self._examples.label[example], self._examples.quality[example]
        )

    def is_issue(self, annotations: Rows) -> Mask:
        """Which of these annotations are consensus issues, by what was last published."""
        found: Mask = self._annotations.label_quality[annotations] < ISSUE_BELOW
        return found

    def _grow(self, ledger: Ledger, annotator_count: int) -> None:
        width = ledger.units.data.shape[1]
        self.version += width != self.counts.class_count
        if width != self.counts.class_count:
            self._hits = Hits(width, self._default)
            more = np.full(width - self.model_weights.size, self._default)
            self.model_weights = np.append(self.model_weights, more)
        self.counts.grow_to(annotator_count, width)
        self.totals.grow_to(annotator_count)
        self._annotations.grow_to(ledger.annotations.size)
        self._examples.grow_to(ledger.examples.size)

    def _judge(self, ledger: Ledger, examples: Rows) -> Judged:
        """The live annotations of these distinct ascending examples, judged."""
        examples = examples[ledger.examples.live_count[examples] > 0]
        parts = [self._judge_chunk(ledger, chunk) for chunk in self._chunks(examples)]
        return Judged.joined(parts)

    def _judge_chunk(self, ledger: Ledger, examples: Rows) -> Judged:
        labels = self._labels_of(ledger, examples)
        logs = model_logs(labels.units, self.model_weights)
        posterior = posteriors(add_labels(logs, labels.example, labels.logs))
        label = posterior.argmax(axis=1)
        best = posterior[np.arange(examples.size), label].astype(np.float32)
        return Judged(
            labels.annotations,
            posterior[labels.example, labels.given].astype(np.float32),
            label.astype(np.int16)[labels.example],
            best[labels.example],
        )

    def _chunks(self, examples: Rows) -> Iterator[Rows]:
        """Parts of many examples, so that what is made of each stays small."""
        step = max(1, _CHUNK_CELLS // max(self.counts.class_count, 1))
        return (examples[start : start + step] for start in range(0, examples.size, step))

    def _labels_of(self, ledger: Ledger, examples: Rows) -> _Labels:
        """What is known of the live labels of these distinct ascending examples."""
        table = ledger.annotations
        rows = ledger.annotations_of(examples)
        rows = np.sort(rows[(table.given[rows] >= 0) & ~table.is_retracted[rows]])
        given = table.given[rows]
        return _Labels(
            ledger.units.data[run_of(examples)],
            rows,
            places_in(examples, table.example[rows]),
            given,
            self.counts.log_likelihoods(table.annotator[rows], given),
        )

    def _publish(self, ledger: Ledger, judged: Judged, gone: Rows, last: _Last) -> Opinions:
        """Say what was judged, and forget those gone; `last` is about the former, then the latter."""
        rows = np.concatenate((judged.annotations, gone))
        before = self._annotations.label_quality[rows]
        after = np.concatenate((judged.label_quality, np.full(gone.size, np.nan, np.float32)))
        example = ledger.annotations.example[judged.annotations]
        differs = (before != after) | last.is_other
        differs[: example.size] |= self._examples.label[example] != judged.consensus_label
        differs[: example.size] |= self._examples.quality[example] != judged.consensus_quality
        self.totals.add(last.annotator, before, -1)
        self.totals.add(ledger.annotations.annotator[rows], after, 1)
        self._annotations.label_quality[rows] = after
        self._examples.label[example] = judged.consensus_label
        self._examples.quality[example] = judged.consensus_quality
        comes, goes = np.flatnonzero(differs[: example.size]), differs & ~np.isnan(before)
        was, now = before < ISSUE_BELOW, after < ISSUE_BELOW
        at = np.flatnonzero((was != now) | (was & now & last.is_other))
        action = np.where(~was, Action.RAISED, np.where(now, Action.CHANGED, Action.CLEARED))
        return Opinions(
            judged.annotations[comes],
            judged.label_quality[comes],
            judged.consensus_label[comes],
            judged.consensus_quality[comes],
            rows[goes],
            distinct(example[comes], last.example[goes]),
            issue_flags(rows[at], action[at], last.cause[at], np.where(now, after, before)[at]),
        )


def _units_before(ledger: Ledger, changes: Changes, examples: Rows) -> Units:
    """The probabilities of examples before the batch. Shape: (n, K)."""
    units = ledger.units.data[examples]
    at, is_replaced = _places(changes.replaced, examples)
    units[is_replaced] = changes.units_before[at[is_replaced]]
    return units


def _places(ascending: Rows, rows: Rows) -> tuple[NDArray[np.intp], Mask]:
    """Where rows are in an ascending list, and which are there at all."""
    at = places_in(ascending, rows)
    is_there = at < ascending.size
    is_there[is_there] = ascending[at[is_there]] == rows[is_there]
    return at, is_there
