"""What is said of annotations: how good each label is, what its example's is; and of annotators, in sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.columns import Columns
from monitor.detectors.protocol import Flags, Kind
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.statistics.class_statistics import Counts
    from monitor.tables import Rows

    Qualities = NDArray[np.float32]

ISSUE_BELOW = 0.5
"""A label that is wrong rather than right is an issue."""


class AnnotatorTotals(Columns):
    """One row per annotator: live labels, those that are issues, and the sum of their quality in units."""

    layout = (("count", np.int64, 0), ("issue_count", np.int64, 0), ("quality_sum", np.int64, 0))
    count: Counts
    issue_count: Counts
    quality_sum: Counts

    def add(self, annotator: Rows, label_quality: Qualities, sign: int) -> None:
        """Count labels, or take them back (sign −1); those without a quality are none."""
        is_known = ~np.isnan(label_quality)
        annotator, label_quality = annotator[is_known], label_quality[is_known]
        np.add.at(self.count, annotator, sign)
        np.add.at(self.issue_count, annotator[label_quality < ISSUE_BELOW], sign)
        units = np.rint(label_quality.astype(np.float64) * UNIT).astype(np.int64)
        np.add.at(self.quality_sum, annotator, sign * units)


@dataclass(frozen=True, slots=True)
class Opinions:
    """What is said of annotations, and was not before. Shape: (n,) each; `goes` (g,).

    `goes` are annotations of which the last word no longer holds: another one comes, or they are gone.
    `examples`, distinct and ascending, are those that all of them belong to, or did.
    """

    annotations: Rows
    label_quality: Qualities
    consensus_label: NDArray[np.int16]
    consensus_quality: Qualities
    goes: Rows
    examples: Rows
    flags: Flags

    def __len__(self) -> int:
        return self.annotations.size + self.goes.size


@dataclass(frozen=True, slots=True)
class Judged:
    """Annotations: the probability of their given label, and of their example's best one. Shape: (n,)."""

    annotations: Rows
    label_quality: Qualities
    consensus_label: NDArray[np.int16]
    consensus_quality: Qualities

    @staticmethod
    def joined(parts: Sequence[Judged]) -> Judged:
        """Parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        columns = [
            [getattr(part, name) for part in (_NOBODY, *parts)] for name in Judged.__slots__
        ]
        return Judged(*map(np.concatenate, columns))


_NOBODY = Judged(
    np.empty(0, np.int32),
    np.empty(0, np.float32),
    np.empty(0, np.int16),
    np.empty(0, np.float32),
)


def issue_flags(
    rows: Rows, action: NDArray[np.integer], cause: NDArray[np.int8], quality: Qualities
) -> Flags:
    """Changes of the flags of consensus issues."""
    return Flags(
        Kind.CONSENSUS_ISSUE,
        rows,
        action.astype(np.int8),
        cause,
        quality.astype(np.float64),
        np.full(rows.size, -1, np.int32),
    )
