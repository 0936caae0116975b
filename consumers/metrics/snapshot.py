"""Gauges of the line's state as of one commit, computed when somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.metrics.definitions import (
    ANNOTATIONS_LIVE,
    CLASS_THRESHOLD,
    CONSENSUS_ISSUES,
    ERROR_RATIO,
    LABEL_ISSUES,
    MODEL_VERSIONS,
    PENDING,
)
from consumers.metrics.names import folded
from consumers.metrics.series import Reading
from monitor.health import calibrate, count_wrong
from monitor.statistics.class_statistics import ClassStatistics
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.state import State
    from monitor.statistics.class_statistics import Counts
    from monitor.statistics.confident_joint import ConfidentJoint

    Stratum = tuple[ClassStatistics, ConfidentJoint, Counts]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The statistics as of a commit. The list of names may have grown since; its beginning stays."""

    classes: Sequence[str]
    class_count: int
    strata: tuple[Stratum, ...]
    consensus_issue_count: int
    pending_annotations: int
    pending_predictions: int

    @staticmethod
    def of(state: State) -> Snapshot:
        """Statistics are replaced, never changed; annotators' totals change, so they are summed now."""
        strata = state.label_issues.strata.values()
        ledger, totals = state.ledger, state.consensus.totals
        return Snapshot(
            state.classes.names,
            len(state.classes),
            tuple((each.statistics, each.joint, each.issue_count) for each in strata),
            int(totals.issue_count[: totals.size].sum()),
            ledger.pending_count,
            ledger.predicted_count - ledger.labelled_count,
        )

    def readings(self) -> Iterator[Reading]:
        """What is to be shown."""
        pooled = self._pooled()
        count = int(pooled.count.sum())
        yield Reading(PENDING, ("annotation",), float(self.pending_annotations))
        yield Reading(PENDING, ("prediction",), float(self.pending_predictions))
        yield Reading(ANNOTATIONS_LIVE, (), float(count))
        issues = sum(int(issue_count.sum()) for _, _, issue_count in self.strata)
        yield Reading(LABEL_ISSUES, (), float(issues))
        yield Reading(CONSENSUS_ISSUES, (), float(self.consensus_issue_count))
        active = sum(bool(statistics.count.any()) for statistics, _, _ in self.strata)
        yield Reading(MODEL_VERSIONS, (), float(active))
        yield Reading(ERROR_RATIO, (), self._wrong_count() / max(count, 1))
        totals = folded(self.classes, (pooled.self_confidence_sum / UNIT).tolist())
        for name, labels in folded(self.classes, pooled.count.tolist()).items():
            if labels:
                yield Reading(CLASS_THRESHOLD, (name,), totals[name] / labels)

    def _pooled(self) -> ClassStatistics:
        """The statistics of all model versions together."""
        pooled = ClassStatistics.empty(self.class_count)
        for statistics, _, _ in self.strata:
            pooled = pooled.merge(statistics.widen(self.class_count))
        return pooled

    def _wrong_count(self) -> int:
        """The estimates of all model versions together: each is what `labelwatch health` says of it."""
        width = self.class_count
        return sum(
            count_wrong(calibrate(joint.widen(width).count, statistics.widen(width).count))
            for statistics, joint, _ in self.strata
        )
