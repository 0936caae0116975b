"""How many annotations each class has and how confident the model is in them: the class thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.units import UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Thresholds = NDArray[np.float64]

FLOOR = 2e-6
"""Lowest class threshold: above SLACK, so that p = 0 is never confident."""
SLACK = 1e-6
UNSEEN = 2.0


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """Count and sum of self-confidence of each given label. Adds, takes back and merges without rounding.

    Shape: (K,) each. Unit of `self_confidence_sum`: 2⁻³⁰; exact as a float64 below 2⁵³.

    >>> one = ClassStatistics.empty(2).update(np.array([1]), np.array([UNIT // 4]))
    >>> one.class_thresholds().tolist()
    [2.0, 0.25]
    >>> one.merge(one).revert(np.array([1]), np.array([UNIT // 4])) == one
    True
    """

    count: Counts
    self_confidence_sum: Counts

    @staticmethod
    def empty(class_count: int) -> ClassStatistics:
        """The statistics of nothing: the identity of `merge`."""
        return ClassStatistics(np.zeros(class_count, np.int64), np.zeros(class_count, np.int64))

    def update(
        self, given: NDArray[np.integer], self_units: NDArray[np.integer]
    ) -> ClassStatistics:
        """With annotations of these given labels and self-confidences added. Shape: (n,) each."""
        count, total = self._of(given, self_units)
        return ClassStatistics(self.count + count, self.self_confidence_sum + total)

    def revert(
        self, given: NDArray[np.integer], self_units: NDArray[np.integer]
    ) -> ClassStatistics:
        """With annotations that were added before taken back, to the last bit."""
        count, total = self._of(given, self_units)
        assert (self.count >= count).all(), "took back more annotations than were added"
        return ClassStatistics(self.count - count, self.self_confidence_sum - total)

    def merge(self, other: ClassStatistics) -> ClassStatistics:
        """The statistics of both."""
        return ClassStatistics(
            self.count + other.count, self.self_confidence_sum + other.self_confidence_sum
        )

    def widen(self, class_count: int) -> ClassStatistics:
        """The same with room for more classes."""
        more = (0, class_count - self.count.size)
        return ClassStatistics(np.pad(self.count, more), np.pad(self.self_confidence_sum, more))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ClassStatistics)
            and np.array_equal(self.count, other.count)
            and np.array_equal(self.self_confidence_sum, other.self_confidence_sum)
        )

    __hash__ = None  # type: ignore[assignment] # arrays cannot be hashed

    def class_thresholds(self) -> Thresholds:
        """Mean self-confidence of each class; 2.0 for a class without annotations.

        Shape: (K,). Unit: probability; 2.0 is unreachable, so an unseen class is never suggested.
        Source: Northcutt et al. 2021, eq. 2; cleanlab.count.get_confident_thresholds, bit for bit
        while a class's expected count stays below 2²³.
        """
        means = np.full(self.count.size, UNSEEN)
        np.divide(self.self_confidence_sum / UNIT, self.count, out=means, where=self.count > 0)
        thresholds: Thresholds = np.maximum(means, FLOOR)
        return thresholds

    def cuts(self) -> Counts:
        """The least number of units that is confident in each class: p ≥ t − 1e-6 ⇔ units ≥ cut.

        Shape: (K,). Unit: 2⁻³⁰. The one global step: everything else looks at one row.
        """
        return np.ceil((self.class_thresholds() - SLACK) * UNIT).astype(np.int64)

    def _of(
        self, given: NDArray[np.integer], self_units: NDArray[np.integer]
    ) -> tuple[Counts, Counts]:
        size = self.count.size
        # bincount adds float64: exact for a batch, whose sum stays far below 2⁵³.
        total = np.bincount(given, weights=self_units, minlength=size)
        return np.bincount(given, minlength=size), total.astype(np.int64)
