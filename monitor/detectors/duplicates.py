"""Exact duplicates: live annotations of different examples with equal content, and those that disagree.

Equal content is an equal 128-bit id (monitor/content.py). A set in which two examples share a
content is a set of duplicates; where its given labels differ, every member is flagged with
`conflicting_labels` too. A set's members are looked at one by one only when the status of the
whole set changes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from monitor.changes import Cause
from monitor.columns import Columns
from monitor.detectors.protocol import Action, Flags, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.changes import Changes, Side
    from monitor.ledger import Ledger
    from monitor.tables import Rows

NOBODY, SEVERAL = -1, -2
_KINDS = (Kind.EXACT_DUPLICATE, Kind.CONFLICTING_LABELS)


class _Singles(Columns):
    """The one live annotation of a content, while there is no more than one."""

    layout = (("annotation", np.int32, NOBODY),)
    annotation: Rows


class _Set:
    """The live annotations of one content, when there were ever two at a time."""

    __slots__ = ("examples", "given", "members")

    def __init__(self) -> None:
        self.members: dict[int, tuple[int, int]] = {}
        self.examples: Counter[int] = Counter()
        self.given: Counter[int] = Counter()

    def add(self, annotation: int, example: int, given: int) -> None:
        self.members[annotation] = (example, given)
        self.examples[example] += 1
        self.given[given] += 1

    def remove(self, annotation: int) -> None:
        example, given = self.members.pop(annotation)
        for counter, key in ((self.examples, example), (self.given, given)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    @property
    def status(self) -> tuple[bool, ...]:
        """For each of _KINDS, whether it holds for the members."""
        is_duplicate = len(self.examples) > 1
        return is_duplicate, is_duplicate and len(self.given) > 1


_CALM = _Set().status


class Duplicates:
    """The detector of exact duplicates and of conflicting labels among them."""

    def __init__(self) -> None:
        self._singles = _Singles()
        self._sets: dict[int, _Set] = {}
        # Set and status of each flagged annotation.
        self._flagged: dict[int, tuple[int, tuple[bool, ...]]] = {}

    def update(self, ledger: Ledger, changes: Changes) -> tuple[Flags, ...]:
        """Duplicates and conflicts raised, changed and cleared by this batch, for old members too."""
        self._singles.grow_to(len(ledger.content_ids))
        before, after = _contents(changes.before), _contents(changes.after)
        has_changed = (
            (before != after)
            | (changes.before.given != changes.after.given)
            | (changes.before.example != changes.after.example)
        )
        at = np.flatnonzero(((before >= 0) | (after >= 0)) & has_changed)
        rows, contents = changes.annotations[at], after[at]
        former: dict[int, tuple[bool, ...]] = {}
        self._leave(rows, before[at], former)
        is_single = (contents < 0) | self._settle(rows, contents)
        self._enter(ledger, rows[~is_single], contents[~is_single], former)
        touched = {
            row: (content, self._status(content))
            for row, content in zip(rows.tolist(), contents.tolist(), strict=True)
            if row in self._flagged or content in former
        }
        for content, status in former.items():
            if self._status(content) != status and content in self._sets:
                members = self._sets[content].members
                touched |= dict.fromkeys(members, (content, self._status(content)))
        causes = dict(zip(rows.tolist(), changes.cause[at].tolist(), strict=True))
        return self._diff(touched, causes)

    def _status(self, content: int) -> tuple[bool, ...]:
        return self._sets[content].status if content in self._sets else _CALM

    def _leave(self, rows: Rows, contents: Rows, former: dict[int, tuple[bool, ...]]) -> None:
        """Take annotations out of the sets they were in; note what those sets were."""
        at = np.flatnonzero(contents >= 0)
        rows, contents = rows[at], contents[at]
        is_alone = self._singles.annotation[contents] != SEVERAL
        self._singles.annotation[contents[is_alone]] = NOBODY
        for row, content in zip(
            rows[~is_alone].tolist(), contents[~is_alone].tolist(), strict=True
        ):
            former.setdefault(content, self._status(content))
            self._sets[content].remove(row)
            if not self._sets[content].members:
                del self._sets[content]
                self._singles.annotation[content] = NOBODY

    def _settle(self, rows: Rows, contents: Rows) -> NDArray[np.bool_]:
        """Give contents that nobody else has to their annotation; which ones that settles."""
        ordered = np.sort(contents)
        shared = ordered[1:][ordered[1:] == ordered[:-1]]
        is_alone: NDArray[np.bool_] = (contents >= 0) & (
            self._singles.annotation[contents] == NOBODY
        )
        is_alone &= ~np.isin(contents, shared)
        self._singles.annotation[contents[is_alone]] = rows[is_alone]
        return is_alone

    def _enter(
        self, ledger: Ledger, rows: Rows, contents: Rows, former: dict[int, tuple[bool, ...]]
    ) -> None:
        """Put annotations into sets with the others of their content."""
        for row, content in zip(rows.tolist(), contents.tolist(), strict=True):
            former.setdefault(content, self._status(content))
            members = self._sets.setdefault(content, _Set())
            alone = int(self._singles.annotation[content])
            if alone >= 0:
                members.add(alone, *_place(ledger, alone))
            self._singles.annotation[content] = SEVERAL
            members.add(row, *_place(ledger, row))

    def _diff(
        self, touched: dict[int, tuple[int, tuple[bool, ...]]], causes: dict[int, int]
    ) -> tuple[Flags, ...]:
        """The flags of touched annotations that differ from those that stand."""
        found: dict[Kind, list[tuple[int, Action, int]]] = {kind: [] for kind in _KINDS}
        for row in sorted(touched):
            content, status = touched[row]
            known, was = self._flagged.get(row, (NOBODY, _CALM))
            for kind, had, has in zip(_KINDS, was, status, strict=True):
                if had != has:
                    found[kind].append(
                        (row, Action.RAISED if has else Action.CLEARED, content if has else known)
                    )
                elif has and known != content:
                    found[kind].append((row, Action.CHANGED, content))
            if any(status):
                self._flagged[row] = (content, status)
            else:
                self._flagged.pop(row, None)
        return tuple(_flags(kind, changes, causes) for kind, changes in found.items())


def _flags(kind: Kind, changes: list[tuple[int, Action, int]], causes: dict[int, int]) -> Flags:
    rows = [row for row, _, _ in changes]
    # A member that the batch did not touch is flagged because another annotation came or went.
    return Flags(
        kind,
        np.array(rows, np.int32),
        np.array([action for _, action, _ in changes], np.int8),
        np.array([causes.get(row, Cause.ANNOTATION) for row in rows], np.int8),
        np.zeros(len(rows)),
        np.array([content for _, _, content in changes], np.int32),
    )


def _contents(side: Side) -> Rows:
    return np.where(side.is_live, side.content, np.int32(NOBODY))


def _place(ledger: Ledger, row: int) -> tuple[int, int]:
    return int(ledger.annotations.example[row]), int(ledger.annotations.given[row])
