"""How good each annotator is: error rate with an interval, drawn towards what is usual here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv  # type: ignore[import-untyped] # it has no stubs

from monitor.units import UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.opinions import AnnotatorTotals
    from monitor.statistics.class_statistics import Counts
    from monitor.tables import Rows

    Rates = NDArray[np.float64]

STRENGTH_MIN, STRENGTH_MAX = 2.0, 1_000.0
"""Least and most labels that what is usual may count as; and not more than there are."""
_PRIOR_MIN = 0.5
"""Wrong and right labels that are taken for seen at the least. Without them, who has no issue yet would
surely make none: of 300 right labels by one person the interval would end at a millionth."""
_LOW, _HIGH = 0.025, 0.975


@dataclass(frozen=True, slots=True)
class Ratings:
    """Annotators with live labels. Shape: (n,) each. Rates are between 0 and 1.

    `error_rate` is the share of issues (label_quality below a half), `low` and `high` its 95 % interval,
    `annotator_quality` the mean probability that a label is right; each drawn towards everybody's.
    """

    annotator: Rows
    annotation_count: Counts
    issue_count: Counts
    error_rate: Rates
    error_rate_low: Rates
    error_rate_high: Rates
    annotator_quality: Rates


def rate(totals: AnnotatorTotals) -> Ratings:
    """Judge every annotator who has live labels.

    The number of issues is taken as beta-binomial: annotators' rates are spread around a common mean, as
    far as the data say. Source: the beta posterior; its prior's strength is (1 − r) / r with the
    intra-class correlation r by analysis of variance (Ridout, Demétrio & Firth 1999, eq. 1).
    """
    rows = np.flatnonzero(totals.count[: totals.size]).astype(np.int32)
    count, issues = totals.count[rows], totals.issue_count[rows]
    quality = totals.quality_sum[rows] / UNIT
    all_labels = max(int(count.sum()), 1)
    mean = (int(issues.sum()) + 0.5) / (all_labels + 1)
    strength = prior_strength(count, issues)
    wrong = issues + max(strength * mean, _PRIOR_MIN)
    right = count - issues + max(strength * (1 - mean), _PRIOR_MIN)
    common_quality = int(totals.quality_sum[rows].sum()) / UNIT / all_labels
    return Ratings(
        rows,
        count,
        issues,
        wrong / (wrong + right),
        betaincinv(wrong, right, _LOW),
        betaincinv(wrong, right, _HIGH),
        (quality + strength * common_quality) / (count + strength),
    )


def prior_strength(count: Counts, issues: Counts) -> float:
    """How many labels what is usual counts as: few where annotators differ, many where they are alike."""
    labels, people = int(count.sum()), count.size
    most = float(np.clip(labels, STRENGTH_MIN, STRENGTH_MAX))
    if people <= 1 or labels == people:
        return STRENGTH_MIN if people <= 1 else most
    # Sorted, so that the sum is the same in whatever order annotators came.
    squares = float(np.sort(issues * (issues / count)).sum())
    between = (squares - float(issues.sum()) ** 2 / labels) / (people - 1)
    within = (float(issues.sum()) - squares) / (labels - people)
    size = (labels - int((count * count).sum()) / labels) / (people - 1)
    if between <= within:
        return most
    correlation = (between - within) / (between + (size - 1) * within)
    return float(np.clip((1 - correlation) / correlation, STRENGTH_MIN, most))
