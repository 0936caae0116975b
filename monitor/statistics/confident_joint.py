"""The confident joint: how often each given label meets each suggested one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.statistics.class_statistics import Counts
    from monitor.units import Units

    Labels = NDArray[np.int16]

NONE = -1
"""Suggested label of an example in which no class is confident."""

CLOSE_UNITS = 1_073
"""1e-6 in units, rounded down. It is no multiple of the unit, so a tie cannot arise."""


class Collision(StrEnum):
    """The suggested label where two or more classes are confident."""

    CLEANLAB = "cleanlab"
    """The most probable of all classes, as cleanlab 2.9 does (it may not be confident itself)."""
    PAPER = "paper"
    """The most probable of the confident classes, as in Northcutt et al. 2021, eq. 1."""


def suggest(units: Units, cuts: Counts, collision: Collision) -> Labels:
    """The suggested label of each example, NONE where no class is confident. Ties go to the lower class.

    Shape: units (n, K), cuts (K,) → (n,).
    Source: cleanlab.count.compute_confident_joint, Northcutt et al. 2021, eq. 1.
    """
    if not units.size:
        return np.full(len(units), NONE, np.int16)
    is_confident = units >= cuts.astype(np.uint32)
    first = is_confident.argmax(axis=1)
    count = is_confident.sum(axis=1, dtype=np.int16)
    suggested = np.where(count > 0, first, NONE).astype(np.int16)
    several = np.flatnonzero(count > 1)
    if several.size:
        rivals = units[several]
        if collision is Collision.PAPER:
            rivals = rivals * is_confident[several]
        suggested[several] = rivals.argmax(axis=1)
    return suggested


def is_label_issue(
    given: NDArray[np.integer],
    suggested: Labels,
    self_units: NDArray[np.integer],
    top_units: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Whether annotations are label issues: suggested otherwise, and not close to the top.

    *Close*: the given label has the highest probability once 1e-6 is added to it. Shape: (n,) each.
    Source: cleanlab.filter.find_label_issues(filter_by="confident_learning") and its
    _reduce_issues.
    """
    is_issue: NDArray[np.bool_] = (suggested != NONE) & (suggested != given)
    is_issue &= top_units - self_units > CLOSE_UNITS
    return is_issue


@dataclass(frozen=True, slots=True)
class ConfidentJoint:
    """Counts of (given, suggested) over live annotations whose example has a suggested label.

    Shape: (K, K), rows given, columns suggested. Raw counts: cleanlab also raises its diagonal to
    1.

    >>> one = ConfidentJoint.empty(2).update(np.array([0, 1]), np.array([1, NONE]))
    >>> one.count.tolist(), one.revert(np.array([0]), np.array([1])) == ConfidentJoint.empty(2)
    ([[0, 1], [0, 0]], True)
    """

    count: Counts

    @staticmethod
    def empty(class_count: int) -> ConfidentJoint:
        """The joint of nothing: the identity of `merge`."""
        return ConfidentJoint(np.zeros((class_count, class_count), np.int64))

    def update(self, given: NDArray[np.integer], suggested: NDArray[np.integer]) -> ConfidentJoint:
        """With these annotations added; those without a suggested label are not counted."""
        return ConfidentJoint(self.count + self._of(given, suggested))

    def revert(self, given: NDArray[np.integer], suggested: NDArray[np.integer]) -> ConfidentJoint:
        """With annotations that were added before taken back."""
        return ConfidentJoint(self.count - self._of(given, suggested))

    def merge(self, other: ConfidentJoint) -> ConfidentJoint:
        """The joint of both, if both were counted against the same cuts."""
        return ConfidentJoint(self.count + other.count)

    def widen(self, class_count: int) -> ConfidentJoint:
        """The same with room for more classes."""
        more = (0, class_count - len(self.count))
        return ConfidentJoint(np.pad(self.count, (more, more)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfidentJoint) and np.array_equal(self.count, other.count)

    __hash__ = None  # type: ignore[assignment] # arrays cannot be hashed

    def _of(self, given: NDArray[np.integer], suggested: NDArray[np.integer]) -> Counts:
        width = len(self.count)
        is_counted = suggested != NONE
        cells = given[is_counted].astype(np.int64) * width + suggested[is_counted]
        return np.bincount(cells, minlength=width * width).reshape(width, width)
