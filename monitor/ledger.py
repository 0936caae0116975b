"""What is alive: the newest write of every annotation and prediction, and how one batch changes it.

Three kinds of write, each judged by its own key (monitor/order.py), so any order of the same
events ends in the same place:
- to an *annotation*: a given label for an example, or its deletion by annotation_id;
- to an example's *prediction*: probabilities of a model version, or nothing (deletion of the
  example);
- to a *marker*: "everything of this example, or of this annotator on it, older than this key is
  dead".

An annotation is live when its newest write is a label that no newer marker covers and its example
has a current prediction. Rows are numbered by first arrival and never reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.changes import Cause, Changes, Outcome, Side
from monitor.columns import Matrix
from monitor.distinct import distinct, run_of
from monitor.identity import IdTable
from monitor.markers import Markers
from monitor.order import BEFORE_ALL, Judgement, judge
from monitor.tables import Annotations, Examples, keys_of, set_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.changes import AnnotationWrites, MarkerWrites, PredictionWrites
    from monitor.columns import Grow
    from monitor.order import OrderKeys
    from monitor.tables import Flags, Rows


class Ledger:
    """Every annotation, prediction and marker of one store. Mutable; a failed commit ends the process."""

    def __init__(self, grow: Grow | None = None) -> None:
        self.annotation_ids = IdTable()
        self.example_ids = IdTable()
        self.content_ids = IdTable()
        self.annotations = Annotations()
        self.examples = Examples()
        self.units = Matrix(grow)
        self.markers = Markers()
        self.ranks: NDArray[np.int64] = np.zeros(0, np.int64)
        # Annotations that were there before this batch.
        self._known_count = 0
        self.pending_count = 0
        """Annotations that wait for a prediction."""
        self.predicted_count = 0
        """Examples with a current prediction."""
        self.labelled_count = 0
        """Examples with a live annotation."""

    def grow(self, width: int) -> None:
        """Make rows for every id named so far, and columns for every class."""
        self.annotations.grow_to(len(self.annotation_ids))
        self.examples.grow_to(len(self.example_ids))
        self.units.grow_to(len(self.example_ids), width)

    def side(self, annotations: Rows) -> Side:
        """These annotations as they stand now."""
        table = self.annotations
        example = table.example[annotations]
        stratum = self.examples.stratum[example]
        given = table.given[annotations]
        stands = (given >= 0) & ~table.is_retracted[annotations]
        is_live = stands & (stratum >= 0)
        units = np.zeros(len(annotations), np.int64)
        units[is_live] = self.units.data[example[is_live], given[is_live]]
        return Side(
            is_live,
            stands & (stratum < 0),
            example,
            table.annotator[annotations],
            np.where(is_live, given, np.int16(-1)),
            np.where(is_live, stratum, np.int32(-1)),
            units,
            table.content[annotations],
        )

    def annotations_of(self, examples: Rows) -> Rows:
        """All annotations of these distinct examples, live or not."""
        found = []
        row = self.examples.first[examples]
        row = row[row >= 0]
        while row.size:
            found.append(row)
            row = self.annotations.next[row]
            row = row[row >= 0]
        return np.concatenate(found) if found else np.empty(0, np.int32)

    def pending(self) -> Rows:
        """Annotations whose label stands but whose example has no current prediction."""
        table = self.annotations
        size = table.size
        stands = (table.given[:size] >= 0) & ~table.is_retracted[:size]
        without = self.examples.stratum[table.example[:size]] < 0
        return np.flatnonzero(stands & without).astype(np.int32)

    def apply(
        self, annotations: AnnotationWrites, predictions: PredictionWrites, markers: MarkerWrites
    ) -> Outcome:
        """Judge all writes of a batch, keep what is newest, and tell what changed."""
        by_annotation = self._judge(self.annotations, annotations.annotation, annotations.keys)
        by_example = self._judge(self.examples, predictions.example, predictions.keys)
        wins = np.flatnonzero(by_annotation.is_newest)
        predicted = np.flatnonzero(by_example.is_newest)
        is_news = self._is_news(predictions, predicted)
        rescored = predictions.example[predicted[is_news]]
        marked, repeated, late = self.markers.judge(markers, self.ranks)
        self.examples.has_marker[markers.example[marked]] = True
        written = annotations.annotation[wins]
        others = distinct(rescored, markers.example[marked])
        touched = distinct(written, self.annotations_of(others))
        before = self._side_before(touched)
        was_written = self.annotations.given[touched] >= 0
        replaced = distinct(rescored[self.examples.stratum[rescored] >= 0])
        units_before = self.units.data[replaced]
        self._write_annotations(annotations, wins)
        self._write_predictions(predictions, predicted)
        self._mark(touched)
        after = self.side(touched)
        arrived = self._count_live(before, after)
        self._known_count = self.annotations.size
        self.pending_count += int(after.is_pending.sum()) - int(before.is_pending.sum())
        cause = _causes(self.annotations, touched, written, was_written)
        return Outcome(
            Changes(touched, before, after, cause, rescored, arrived, replaced, units_before),
            wins,
            predicted,
            is_news,
            marked,
            int(by_annotation.is_redelivery.sum() + by_example.is_redelivery.sum()) + repeated,
            int(by_annotation.is_stale.sum() + by_example.is_stale.sum()) + late,
        )

    def _side_before(self, touched: Rows) -> Side:
        """These annotations before the batch; those that are new, the last ones, were nothing."""
        known = int(np.searchsorted(touched, self._known_count))
        side, new_count = self.side(touched[:known]), touched.size - known
        nothing = Side.nothing(new_count)
        return Side(
            *(
                np.concatenate((getattr(side, name), getattr(nothing, name)))
                for name in Side.__slots__
            )
        )

    def _judge(self, table: Annotations | Examples, rows: Rows, keys: OrderKeys) -> Judgement:
        at = run_of(rows)
        if isinstance(at, slice) and (table.revision[at] == BEFORE_ALL).all():
            # Rows that are new, each named once: the common case of a growing stream.
            nobody = np.zeros(rows.size, np.bool_)
            return Judgement(~nobody, nobody, nobody)
        return judge(rows, keys, keys_of(table, rows), self.ranks)

    def settle(self, start: int, stop: int) -> Changes:
        """After the columns were filled from a store: chains and markers of these rows, all as new.

        Rows are settled in ascending order; those not settled yet are in no chain, as if they had not come.
        """
        rows = np.arange(start, stop, dtype=np.int32)
        example = self.annotations.example[rows]
        self._link(rows[example >= 0], example[example >= 0])
        self._mark(rows)
        before = Side.nothing(rows.size)
        after = self.side(rows)
        arrived = self._count_live(before, after)
        self._known_count = stop
        self.pending_count += int(after.is_pending.sum())
        cause = np.full(rows.size, Cause.ANNOTATION, np.int8)
        none = np.empty(0, np.int32)
        return Changes(rows, before, after, cause, none, arrived, none, self.units.data[none])

    def _is_news(self, predictions: PredictionWrites, predicted: NDArray[np.int64]) -> Flags:
        """Whether each winning prediction differs from the current one in more than its key."""
        example = predictions.example[predicted]
        table = self.examples
        is_news: Flags = table.stratum[example] != predictions.stratum[predicted]
        is_news |= table.is_truncated[example] != predictions.is_truncated[predicted]
        alike = np.flatnonzero(~is_news)
        is_other = self.units.data[example[alike]] != predictions.units[predicted[alike]]
        is_news[alike] = is_other.any(axis=1)
        return is_news

    def _write_annotations(self, writes: AnnotationWrites, wins: NDArray[np.int64]) -> None:
        at = run_of(wins)
        table, rows = self.annotations, writes.annotation[at]
        set_keys(table, rows, writes.keys.take(at))
        table.given[rows] = writes.given[at]
        table.content[rows] = writes.content[at]
        is_label = writes.given[at] >= 0
        rows, example = rows[is_label], writes.example[at][is_label]
        table.annotator[rows] = writes.annotator[at][is_label]
        has_moved = table.example[rows] != example
        rows, example = rows[has_moved], example[has_moved]
        for row in rows[table.example[rows] >= 0].tolist():
            self._unlink(row)
        table.example[rows] = example
        self._link(rows, example)

    def _unlink(self, row: int) -> None:
        """Take an annotation that moves to another example out of its chain."""
        following, first = self.annotations.next, self.examples.first
        example = self.annotations.example[row]
        at = first[example]
        if at == row:
            first[example] = following[row]
            return
        while following[at] != row:
            at = following[at]
        following[at] = following[row]

    def _link(self, rows: Rows, examples: Rows) -> None:
        """Put annotations at the head of their examples' chains."""
        order = np.argsort(examples, kind="stable")
        rows, examples = rows[order], examples[order]
        is_last = np.ones(rows.size, np.bool_)
        is_last[:-1] = examples[1:] != examples[:-1]
        is_first = np.ones(rows.size, np.bool_)
        is_first[1:] = is_last[:-1]
        following = np.empty_like(rows)
        following[:-1] = rows[1:]
        following[is_last] = self.examples.first[examples[is_last]]
        self.annotations.next[rows] = following
        self.examples.first[examples[is_first]] = rows[is_first]

    def _write_predictions(self, writes: PredictionWrites, wins: NDArray[np.int64]) -> None:
        at = run_of(wins)
        rows = run_of(writes.example[at])
        had, has = self.examples.stratum[rows] >= 0, writes.stratum[at] >= 0
        self.predicted_count += int(has.sum()) - int(had.sum())
        set_keys(self.examples, rows, writes.keys.take(at))
        self.examples.stratum[rows] = writes.stratum[at]
        self.examples.is_truncated[rows] = writes.is_truncated[at]
        self.units.data[rows] = writes.units[at]

    def _count_live(self, before: Side, after: Side) -> Rows:
        """Keep count of live annotations; the examples that have one now and had none before."""
        live_count = self.examples.live_count
        now = distinct(after.example[after.is_live])
        had_none: Flags = live_count[now] == 0
        leaves, joins = before.example[before.is_live], after.example[after.is_live]
        was = distinct(leaves)
        _add_at(live_count, leaves, was, -1)
        _add_at(live_count, joins, now, 1)
        self.labelled_count += int(had_none.sum()) - int((live_count[was] == 0).sum())
        arrived: Rows = now[had_none]
        return arrived

    def _mark(self, annotations: Rows) -> None:
        """Decide anew whether a marker covers each of these annotations."""
        table = self.annotations
        table.is_retracted[annotations] = False
        example = table.example[annotations]
        marked = annotations[self.examples.has_marker[example] & (example >= 0)]
        table.is_retracted[marked] = self.markers.cover(table, marked, self.ranks)


def _add_at(counts: Rows, rows: Rows, distinct_rows: Rows, one: int) -> None:
    """Count rows, which may repeat."""
    if rows.size == distinct_rows.size:
        counts[distinct_rows] += one
    else:
        np.add.at(counts, rows, one)


def _causes(
    table: Annotations, touched: Rows, written: Rows, was_written: Flags
) -> NDArray[np.int8]:
    """Why each touched annotation was touched; `was_written` had a label before. All rows ascend."""
    is_written = np.zeros(touched.size, np.bool_)
    is_written[np.searchsorted(touched, written)] = True
    is_gone = (table.given[touched] < 0) | table.is_retracted[touched]
    cause = np.where(
        is_gone, Cause.DELETION, np.where(was_written, Cause.RELABEL, Cause.ANNOTATION)
    )
    return np.where(is_written | is_gone, cause, Cause.PREDICTION).astype(np.int8)
