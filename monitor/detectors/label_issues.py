"""Confident learning, exact after every batch: which given labels the model's confident suggestions deny.

Thresholds, joint and issues are kept per model version (a *stratum*). A suggestion belongs to an
example (its probabilities against its stratum's cuts); a cell of the joint and a flag belong to an
annotation. One batch does this in each stratum it touches: take back what its annotations
contributed, add what they contribute now, move the cuts, judge afresh the examples that the cuts
may have crossed and those of the batch, and move the cells of annotations whose example got
another suggestion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.changes import Cause
from monitor.columns import Columns
from monitor.detectors.protocol import Action, Flags, Kind
from monitor.distinct import distinct, run_of
from monitor.statistics.class_statistics import ClassStatistics
from monitor.statistics.confident_joint import Collision, ConfidentJoint, is_label_issue, suggest
from monitor.statistics.windows import Windows
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.changes import Changes
    from monitor.ledger import Ledger
    from monitor.statistics.class_statistics import Counts
    from monitor.tables import Rows
    from monitor.units import Units

    Mask = NDArray[np.bool_]

INACTIVE = -2
"""Suggested label of an example without live annotations."""
_CHUNK = 16_384


class _Suggestions(Columns):
    layout = (("label", np.int16, INACTIVE),)
    label: NDArray[np.int16]


class _Issues(Columns):
    layout = (("is_raised", np.bool_, False),)
    is_raised: Mask


class _Members(Columns):
    layout = (("example", np.int32, -1),)
    example: Rows


class Stratum:
    """Thresholds, joint and windows of one model version."""

    def __init__(self, class_count: int) -> None:
        self.statistics = ClassStatistics.empty(class_count)
        self.joint = ConfidentJoint.empty(class_count)
        self.issue_count: Counts = np.zeros(class_count, np.int64)
        self.windows = Windows(self.statistics.cuts())
        self.members = _Members()

    def widen(self, class_count: int) -> None:
        """Room for more classes."""
        if class_count > self.issue_count.size:
            self.statistics = self.statistics.widen(class_count)
            self.joint = self.joint.widen(class_count)
            self.issue_count = np.pad(self.issue_count, (0, class_count - self.issue_count.size))
            self.windows.widen(self.statistics.cuts())

    def join(self, examples: Rows) -> None:
        """Examples that are scanned from now on; joining twice does no harm."""
        start = self.members.size
        self.members.grow_to(start + examples.size)
        self.members.example[start : self.members.size] = examples


@dataclass(frozen=True, slots=True)
class _Moved:
    """Annotations whose cell moved because their example's suggestion did."""

    annotations: Rows
    suggested_before: NDArray[np.int16]


class LabelIssues:
    """The detector of label issues. Source: cleanlab 2.9, `filter_by="confident_learning"`."""

    def __init__(self, collision: Collision) -> None:
        self.collision = collision
        self.strata: dict[int, Stratum] = {}
        self.suggestions = _Suggestions()
        self.issues = _Issues()
        self.strata_touched: tuple[int, ...] = ()
        """The strata that the last update was about: no other changed."""

    def is_raised(self, annotations: Rows) -> Mask:
        """Which of these annotations are label issues now."""
        return self.issues.is_raised[annotations]

    def update(self, ledger: Ledger, changes: Changes) -> tuple[Flags, ...]:
        """Label issues raised, changed and cleared by this batch, on old annotations too."""
        self.suggestions.grow_to(ledger.examples.size)
        self.issues.grow_to(ledger.annotations.size)
        before, after = changes.before, changes.after
        label = self.suggestions.label
        suggested_before = np.where(before.is_live, label[before.example], np.int16(INACTIVE))
        self._retire(ledger, before.example[before.is_live])
        self.strata_touched = tuple(
            n for n in distinct(before.stratum, after.stratum).tolist() if n >= 0
        )
        moved = [
            self._step(ledger, changes, number, suggested_before) for number in self.strata_touched
        ]
        touched = self._flags_of_touched(ledger, changes, suggested_before)
        others = [self._flags_of_moved(ledger, each) for each in moved]
        return (Flags.joined(Kind.LABEL_ISSUE, [touched, *filter(len, others)]),)

    def _retire(self, ledger: Ledger, examples: Rows) -> None:
        """Forget the suggestions of examples that have no live annotation left."""
        self.suggestions.label[examples[ledger.examples.live_count[examples] == 0]] = INACTIVE

    def _step(
        self, ledger: Ledger, changes: Changes, number: int, suggested_before: NDArray[np.int16]
    ) -> _Moved:
        """Bring one stratum up to date; the annotations outside the batch whose suggestion changed."""
        before, after, label = changes.before, changes.after, self.suggestions.label
        leaves, joins = before.stratum == number, after.stratum == number
        width = ledger.units.data.shape[1]
        stratum = self.strata.setdefault(number, Stratum(width))
        stratum.widen(width)
        stratum.statistics = stratum.statistics.revert(
            before.given[leaves], before.self_units[leaves]
        ).update(after.given[joins], after.self_units[joins])
        cuts = stratum.statistics.cuts()
        crossed = stratum.windows.crossed(
            cuts, stratum.statistics.count, lambda: self._scan(ledger, stratum, number)
        )
        is_member = (ledger.examples.stratum[crossed] == number) & (
            ledger.examples.live_count[crossed] > 0
        )
        judged = distinct(crossed[is_member], after.example[joins])
        known = label[judged]
        label[judged] = suggest(ledger.units.data[run_of(judged)], cuts, self.collision)
        is_moved = (known != label[judged]) & (known != INACTIVE)
        moved = self._others(ledger, changes, judged[is_moved], known[is_moved])
        given, suggested = self._cells(ledger, moved.annotations)
        stratum.joint = stratum.joint.revert(
            np.concatenate((before.given[leaves], given)),
            np.concatenate((suggested_before[leaves], moved.suggested_before)),
        ).update(
            np.concatenate((after.given[joins], given)),
            np.concatenate((label[after.example[joins]], suggested)),
        )
        fresh = distinct(changes.rescored, changes.arrived)
        fresh = fresh[
            (ledger.examples.stratum[fresh] == number) & (ledger.examples.live_count[fresh] > 0)
        ]
        stratum.windows.add(fresh, ledger.units.data[run_of(fresh)])
        stratum.join(fresh)
        return moved

    def _cells(
        self, ledger: Ledger, annotations: Rows
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Given and suggested label of live annotations."""
        table = ledger.annotations
        return table.given[annotations], self.suggestions.label[table.example[annotations]]

    def _others(
        self, ledger: Ledger, changes: Changes, examples: Rows, known: NDArray[np.int16]
    ) -> _Moved:
        """Live annotations of these examples that the batch did not touch, and their former suggestion."""
        rows = ledger.annotations_of(examples)
        rows = np.setdiff1d(rows, changes.annotations, assume_unique=True)
        rows = rows[ledger.side(rows).is_live]
        at = np.searchsorted(examples, ledger.annotations.example[rows])
        return _Moved(rows, known[at])

    def _scan(self, ledger: Ledger, stratum: Stratum, number: int) -> Iterator[tuple[Rows, Units]]:
        """The stratum's active examples in chunks; the list of members loses its ghosts on the way."""
        listed = np.zeros(ledger.examples.size, np.bool_)
        listed[stratum.members.example[: stratum.members.size]] = True
        listed &= ledger.examples.stratum[: listed.size] == number
        listed &= ledger.examples.live_count[: listed.size] > 0
        members = np.flatnonzero(listed).astype(np.int32)
        stratum.members.size = members.size
        stratum.members.example[: members.size] = members
        for start in range(0, members.size, _CHUNK):
            rows = members[start : start + _CHUNK]
            yield rows, ledger.units.data[run_of(rows)]

    def _judge(self, ledger: Ledger, annotations: Rows) -> Mask:
        """Which of these live annotations are label issues."""
        given, suggested = self._cells(ledger, annotations)
        units = ledger.units.data[ledger.annotations.example[annotations]]
        self_units = units[np.arange(given.size), given].astype(np.int64)
        return is_label_issue(given, suggested, self_units, units.max(axis=1, initial=0))

    def _flags_of_touched(
        self, ledger: Ledger, changes: Changes, suggested_before: NDArray[np.int16]
    ) -> Flags:
        rows, before, after = changes.annotations, changes.before, changes.after
        was = self.issues.is_raised[rows]
        suggested = self.suggestions.label[after.example]
        # Only a label that is not the suggested one can be an issue: most rows need no second
        # look.
        suspects = np.flatnonzero(after.is_live & (suggested != after.given) & (suggested >= 0))
        now = np.zeros(rows.size, np.bool_)
        now[suspects] = self._judge(ledger, rows[suspects])
        is_other = (
            (before.given != after.given)
            | (suggested_before != suggested)
            | (before.self_units != after.self_units)
        )
        self._count(before.stratum[was], before.given[was], -1)
        self._count(after.stratum[now], after.given[now], 1)
        self.issues.is_raised[rows] = now
        at = np.flatnonzero((was != now) | (was & now & is_other))
        return _flags(rows[at], was[at], now[at], changes.cause[at], after.self_units[at])

    def _flags_of_moved(self, ledger: Ledger, moved: _Moved) -> Flags:
        rows = moved.annotations
        was = self.issues.is_raised[rows]
        side = ledger.side(rows)
        now = self._judge(ledger, rows)
        self._count(side.stratum[was], side.given[was], -1)
        self._count(side.stratum[now], side.given[now], 1)
        self.issues.is_raised[rows] = now
        at = np.flatnonzero(was | now)
        cause = np.full(at.size, Cause.THRESHOLD, np.int8)
        return _flags(rows[at], was[at], now[at], cause, side.self_units[at])

    def _count(self, stratum: Rows, given: NDArray[np.int16], sign: int) -> None:
        for number in distinct(stratum).tolist():
            counts = self.strata[number].issue_count
            more = np.bincount(given[stratum == number], minlength=counts.size)
            self.strata[number].issue_count = counts + sign * more


def _flags(
    rows: Rows, was: Mask, now: Mask, cause: NDArray[np.int8], self_units: NDArray[np.int64]
) -> Flags:
    """Changes of the flags of these rows."""
    action = np.where(~was, Action.RAISED, np.where(now, Action.CHANGED, Action.CLEARED))
    return Flags(
        Kind.LABEL_ISSUE,
        rows,
        action.astype(np.int8),
        cause,
        self_units / UNIT,
        np.full(rows.size, -1, np.int32),
    )
