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

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from monitor.columns import Columns, Matrix
from monitor.distinct import distinct
from monitor.identity import IdTable
from monitor.order import BEFORE_ALL, OrderKeys, judge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.columns import Allocate
    from monitor.units import Units

    Rows = NDArray[np.int32]
    Flags = NDArray[np.bool_]
    Key = tuple[int, int, int, int]

ANYBODY = -1
"""Annotator of a marker that covers everybody's annotations of an example."""


class Cause(IntEnum):
    """Why an annotation was touched; the lowest that applies."""

    ANNOTATION = 0
    RELABEL = 1
    DELETION = 2
    PREDICTION = 3
    THRESHOLD = 4


class Annotations(Columns):
    """One row per annotation ever named: its newest write."""

    layout = (
        ("revision", np.int64, BEFORE_ALL),
        ("time_us", np.int64, 0),
        ("source", np.int32, 0),
        ("offset", np.int64, 0),
        ("example", np.int32, -1),
        ("annotator", np.int32, -1),
        ("given", np.int16, -1),
        ("content", np.int32, -1),
        ("next", np.int32, -1),
        ("is_retracted", np.bool_, False),
    )
    revision: NDArray[np.int64]
    time_us: NDArray[np.int64]
    source: NDArray[np.int32]
    offset: NDArray[np.int64]
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    content: Rows
    next: Rows
    is_retracted: Flags


class Examples(Columns):
    """One row per example ever named: the newest write of its prediction, and its annotations as a chain."""

    layout = (
        ("revision", np.int64, BEFORE_ALL),
        ("time_us", np.int64, 0),
        ("source", np.int32, 0),
        ("offset", np.int64, 0),
        ("stratum", np.int32, -1),
        ("is_truncated", np.bool_, False),
        ("first", np.int32, -1),
        ("live_count", np.int32, 0),
        ("has_marker", np.bool_, False),
    )
    revision: NDArray[np.int64]
    time_us: NDArray[np.int64]
    source: NDArray[np.int32]
    offset: NDArray[np.int64]
    stratum: Rows
    is_truncated: Flags
    first: Rows
    live_count: Rows
    has_marker: Flags


@dataclass(frozen=True, slots=True)
class Side:
    """Annotations as they stand at one moment. Shape: (t,) each.

    `given` is -1 and `stratum` -1 where the annotation is not live. `self_units` is the
    probability of the given label (unit 2⁻³⁰, 0 where not live). `content` is -1 where there is
    none. A pending annotation would be live if its example had a prediction.
    """

    is_live: Flags
    is_pending: Flags
    example: Rows
    given: NDArray[np.int16]
    stratum: Rows
    self_units: NDArray[np.int64]
    content: Rows


@dataclass(frozen=True, slots=True)
class Changes:
    """What one batch did to annotations: each touched one as it was and as it is.

    `annotations` are distinct rows; `cause` says why each was touched. `rescored` are the examples
    whose current prediction is another one than before, `arrived` those that have a live
    annotation now and had none before.
    """

    annotations: Rows
    before: Side
    after: Side
    cause: NDArray[np.int8]
    rescored: Rows
    arrived: Rows


@dataclass(frozen=True, slots=True)
class AnnotationWrites:
    """Writes to annotations in order of arrival. Shape: (n,). `example` is -1 in a deletion."""

    annotation: Rows
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    content: Rows
    keys: OrderKeys


@dataclass(frozen=True, slots=True)
class PredictionWrites:
    """Writes to examples' predictions in order of arrival. Shape: (n,); `units` (n, K).

    `stratum` numbers the model version; -1 with zero units says that nothing is left (a deletion).
    """

    example: Rows
    stratum: Rows
    units: Units
    is_truncated: Flags
    keys: OrderKeys


@dataclass(frozen=True, slots=True)
class MarkerWrites:
    """Deletions of an example (annotator ANYBODY) or of one annotator's part of it. Shape: (n,)."""

    example: Rows
    annotator: Rows
    keys: OrderKeys


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the writes: which stand, and how many were heard before or came too late.

    `annotation_wins`, `prediction_wins` index the writes that are now the newest of their row;
    `prediction_is_news` says which of the latter changed the prediction and not only its key.
    `markers` are the marker writes that stand.
    """

    changes: Changes
    annotation_wins: NDArray[np.int64]
    prediction_wins: NDArray[np.int64]
    prediction_is_news: Flags
    markers: NDArray[np.int64]
    redelivery_count: int
    stale_count: int


class Ledger:
    """Every annotation, prediction and marker of one store. Mutable; a failed commit ends the process."""

    def __init__(self, allocate: Allocate | None = None) -> None:
        self.annotation_ids = IdTable()
        self.example_ids = IdTable()
        self.content_ids = IdTable()
        self.annotations = Annotations()
        self.examples = Examples()
        self.units = Matrix(allocate)
        self.markers: dict[tuple[int, int], Key] = {}
        self.ranks: NDArray[np.int64] = np.zeros(0, np.int64)
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
        by_annotation = judge(
            annotations.annotation,
            annotations.keys,
            keys_of(self.annotations, annotations.annotation),
            self.ranks,
        )
        by_example = judge(
            predictions.example,
            predictions.keys,
            keys_of(self.examples, predictions.example),
            self.ranks,
        )
        wins = np.flatnonzero(by_annotation.is_newest)
        predicted = np.flatnonzero(by_example.is_newest)
        is_news = self._is_news(predictions, predicted)
        rescored = predictions.example[predicted[is_news]]
        marked, repeated, late = self._judge_markers(markers)
        written = annotations.annotation[wins]
        others = distinct(rescored, markers.example[marked])
        touched = distinct(written, self.annotations_of(others))
        before = self.side(touched)
        was_written = self.annotations.given[touched] >= 0
        self._write_annotations(annotations, wins)
        self._write_predictions(predictions, predicted)
        self._mark(touched)
        after = self.side(touched)
        arrived = self._count_live(before, after)
        is_written = np.zeros(touched.size, np.bool_)
        is_written[np.searchsorted(touched, written)] = True
        self.pending_count += int(after.is_pending.sum()) - int(before.is_pending.sum())
        cause = _causes(is_written, was_written, self.annotations, touched)
        return Outcome(
            Changes(touched, before, after, cause, rescored, arrived),
            wins,
            predicted,
            is_news,
            marked,
            int(by_annotation.is_redelivery.sum() + by_example.is_redelivery.sum()) + repeated,
            int(by_annotation.is_stale.sum() + by_example.is_stale.sum()) + late,
        )

    def settle(self) -> Changes:
        """After the columns were filled from a store: chains, markers, counts; everything as one change."""
        rows = np.arange(self.annotations.size, dtype=np.int32)
        example = self.annotations.example[: rows.size]
        self._link(rows[example >= 0], example[example >= 0])
        self._mark(rows)
        nothing = np.full(rows.size, -1, np.int32)
        no, zero = np.zeros(rows.size, np.bool_), np.zeros(rows.size, np.int64)
        before = Side(no, no, nothing, nothing.astype(np.int16), nothing, zero, nothing)
        after = self.side(rows)
        arrived = self._count_live(before, after)
        self.pending_count = int(after.is_pending.sum())
        self.predicted_count = int((self.examples.stratum[: self.examples.size] >= 0).sum())
        cause = np.full(rows.size, Cause.ANNOTATION, np.int8)
        return Changes(rows, before, after, cause, np.empty(0, np.int32), arrived)

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

    def _judge_markers(self, markers: MarkerWrites) -> tuple[NDArray[np.int64], int, int]:
        """Keep markers that are newer than the one at their place. Deletions of this kind are rare."""
        standing, repeated, late = {}, 0, 0
        for i in range(len(markers.example)):
            place = (int(markers.example[i]), int(markers.annotator[i]))
            key = _key(markers.keys, i)
            known = self.markers.get(place)
            if known is None or self._is_newer(key, known):
                self.markers[place] = key
                self.examples.has_marker[place[0]] = True
                standing[place] = i
            elif place[1] != ANYBODY:
                # A deletion of a whole example was counted already, as a write to its prediction.
                repeated += key == known
                late += key != known
        return np.array(sorted(standing.values()), np.int64), repeated, late

    def _is_newer(self, key: Key, other: Key) -> bool:
        ranked, other_ranked = (
            (revision, time_us, int(self.ranks[source]), offset)
            for revision, time_us, source, offset in (key, other)
        )
        return ranked > other_ranked

    def _write_annotations(self, writes: AnnotationWrites, wins: NDArray[np.int64]) -> None:
        table, rows = self.annotations, writes.annotation[wins]
        set_keys(table, rows, writes.keys.take(wins))
        table.given[rows] = writes.given[wins]
        table.content[rows] = writes.content[wins]
        is_label = writes.given[wins] >= 0
        rows, example = rows[is_label], writes.example[wins][is_label]
        table.annotator[rows] = writes.annotator[wins][is_label]
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
        rows = writes.example[wins]
        had, has = self.examples.stratum[rows] >= 0, writes.stratum[wins] >= 0
        self.predicted_count += int(has.sum()) - int(had.sum())
        set_keys(self.examples, rows, writes.keys.take(wins))
        self.examples.stratum[rows] = writes.stratum[wins]
        self.examples.is_truncated[rows] = writes.is_truncated[wins]
        self.units.data[rows] = writes.units[wins]

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
        for row in annotations[self.examples.has_marker[example] & (example >= 0)].tolist():
            key, place = _key(table, row), int(table.example[row])
            covers = (
                self.markers.get((place, ANYBODY)),
                self.markers.get((place, int(table.annotator[row]))),
            )
            table.is_retracted[row] = any(
                marker is not None and self._is_newer(marker, key) for marker in covers
            )


def _key(keys: OrderKeys | Annotations, i: int) -> Key:
    return int(keys.revision[i]), int(keys.time_us[i]), int(keys.source[i]), int(keys.offset[i])


def _add_at(counts: Rows, rows: Rows, distinct_rows: Rows, one: int) -> None:
    """Count rows, which may repeat."""
    if rows.size == distinct_rows.size:
        counts[distinct_rows] += one
    else:
        np.add.at(counts, rows, one)


def keys_of(table: Annotations | Examples, rows: Rows) -> OrderKeys:
    """The newest keys of these rows."""
    return OrderKeys(
        table.revision[rows], table.time_us[rows], table.source[rows], table.offset[rows]
    )


def set_keys(table: Annotations | Examples, rows: Rows, keys: OrderKeys) -> None:
    """Give these distinct rows their newest keys."""
    table.revision[rows] = keys.revision
    table.time_us[rows] = keys.time_us
    table.source[rows] = keys.source
    table.offset[rows] = keys.offset


def _causes(
    is_written: Flags, was_written: Flags, table: Annotations, rows: Rows
) -> NDArray[np.int8]:
    is_gone = (table.given[rows] < 0) | table.is_retracted[rows]
    cause = np.where(
        is_gone, Cause.DELETION, np.where(was_written, Cause.RELABEL, Cause.ANNOTATION)
    )
    return np.where(is_written | is_gone, cause, Cause.PREDICTION).astype(np.int8)
