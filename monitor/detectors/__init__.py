"""The detectors: adding one is one file here and one line in `detectors`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.detectors.duplicates import Duplicates
from monitor.detectors.label_issues import LabelIssues

if TYPE_CHECKING:
    from monitor.detectors.protocol import Detector
    from monitor.statistics.confident_joint import Collision


def detectors(collision: Collision) -> tuple[LabelIssues, *tuple[Detector, ...]]:
    """All detectors, fresh, in the order in which they see a batch. Label issues come first."""
    return LabelIssues(collision), Duplicates()
