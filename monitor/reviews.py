"""Which labels a review is about, and which flags it confirms or refutes.

A review names an annotation, an annotator's part of an example, or an example. A correction often comes
with it and takes the flag away, so a flag counts that stood before the batch or stands after it, and the
label is that of before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.detectors.protocol import Action, Kind
from monitor.events import EventType
from monitor.identity import identify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from monitor.changes import Changes
    from monitor.detectors.protocol import Flags
    from monitor.events import Event
    from monitor.state import State
    from monitor.tables import Rows
    from monitor.validate import Batch

    Mask = NDArray[np.bool_]

METHODS: Final = ("confident_learning", "consensus", "any")
"""Whose flags reviews confirm or refute; `any` is at least one of the others."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Live annotations that reviews are about, one row per review and annotation. Shape: (n,) each.

    `event` is the review (index into `batch.events`), `is_confirmed` whether it says that the label is
    wrong; `given` is the label, and the last two are the flags, as they stood.
    """

    event: NDArray[np.int64]
    annotation: Rows
    given: NDArray[np.int16]
    is_confirmed: Mask
    is_label_issue: Mask
    is_consensus_issue: Mask

    def __len__(self) -> int:
        return self.event.size

    def by_method(self) -> dict[str, Mask]:
        """Which of them each of METHODS had flagged."""
        flags = self.is_label_issue, self.is_consensus_issue
        return dict(zip(METHODS, (*flags, flags[0] | flags[1]), strict=True))


_NO = np.zeros(0, np.bool_)
NONE_REVIEWED: Final = Reviewed(
    np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int16), _NO, _NO, _NO
)


def find_reviewed(
    state: State, batch: Batch, changes: Changes, flags: Iterable[Flags]
) -> Reviewed:
    """What the reviews of a batch are about. The state and its flags are up to date."""
    events = [i for i, each in enumerate(batch.events) if each.type is EventType.REVIEW]
    found = [_annotations_of(state, batch.events[i]) for i in events]
    event = np.repeat(np.array(events, np.int64), [rows.size for rows in found])
    rows = np.concatenate([np.empty(0, np.int32), *found])
    given = _given(state, changes, rows)
    is_live = given >= 0
    event, rows, given = event[is_live], rows[is_live], given[is_live]
    cleared = {
        each.kind: np.isin(rows, each.annotations[each.action == Action.CLEARED]) for each in flags
    }
    return Reviewed(
        event,
        rows,
        given,
        np.array([batch.events[i].outcome != "accepted" for i in event.tolist()], np.bool_),
        state.label_issues.is_raised(rows) | cleared[Kind.LABEL_ISSUE],
        state.consensus.is_issue(rows) | cleared[Kind.CONSENSUS_ISSUE],
    )


def _annotations_of(state: State, review: Event) -> Rows:
    ledger = state.ledger
    if review.annotation_id is not None:
        rows = ledger.annotation_ids.find(identify([review.annotation_id]))
        return rows[rows >= 0]
    example = ledger.example_ids.find(identify([review.example_id or ""]))
    rows = np.sort(ledger.annotations_of(example[example >= 0]))
    if review.annotator is None:
        return rows
    found: Rows = rows[
        ledger.annotations.annotator[rows] == state.annotators.find(review.annotator)
    ]
    return found


def _given(state: State, changes: Changes, rows: Rows) -> NDArray[np.int16]:
    """The labels of annotations before the batch, or those they have now; -1 where they never lived."""
    touched = changes.annotations
    given = state.ledger.side(rows).given
    at = np.searchsorted(touched, rows)
    is_touched = np.isin(rows, touched)
    before = np.full(rows.size, -1, np.int16)
    before[is_touched] = changes.before.given[at[is_touched]]
    return np.where(before >= 0, before, given)
