"""How many labels are wrong, by the confident joint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monitor.statistics.class_statistics import Counts
    from monitor.statistics.confident_joint import ConfidentJoint


def expected_errors(count: Counts, joint: ConfidentJoint) -> float:
    """How many annotations lie off the diagonal of the joint, each row scaled to its class's count.

    Source: Northcutt et al. 2021, eq. 3; cleanlab.count.estimate_joint, of which this is
    (1 − trace) · n. As there, a cell of the diagonal counts at least 1.
    """
    right = np.maximum(joint.count.diagonal(), 1)
    wrong = joint.count.sum(axis=1) - joint.count.diagonal()
    return float((count * wrong / (right + wrong)).sum())
