"""The health of a store as documents and rows, from one query over its views: as of one commit.

Each model version is judged on its own, as its thresholds are. What is added up over all of them are
counts of annotations and of label issues, and the score that follows from these; estimates are not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.health import Health, assess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

QUERY = """
WITH class AS (SELECT *, row_number() OVER () AS place FROM classes),
stratum AS (
    SELECT model_version, min(place) AS place, list(label ORDER BY place) AS labels,
        list(annotation_count ORDER BY place) AS annotation_counts,
        list(label_issue_count ORDER BY place) AS label_issue_counts
    FROM class GROUP BY model_version HAVING sum(annotation_count) > 0
),
joint AS (
    SELECT model_version,
        list({'given': given_label, 'suggested': suggested_label, 'count': annotation_count}) AS cells
    FROM confident_joint GROUP BY model_version
)
SELECT s.model_version, s.labels, s.annotation_counts, s.label_issue_counts, j.cells
FROM stratum s LEFT JOIN joint j ON j.model_version IS NOT DISTINCT FROM s.model_version
ORDER BY s.place
"""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class of one model version. The worst label quality comes first."""

    label: str
    annotation_count: int
    label_issue_count: int
    wrongly_given_count: int
    wrongly_missed_count: int
    label_noise: float
    inverse_label_noise: float
    label_quality: float
    class_prior: float
    model_version: str | None


@dataclass(frozen=True, slots=True)
class CellRow:
    """A given and a true label of one model version that meet, as counted and as estimated."""

    given_label: str
    true_label: str
    annotation_count: int
    calibrated_count: int
    joint: float
    noise: float
    inverse_noise: float
    model_version: str | None


@dataclass(frozen=True, slots=True)
class Stratum:
    """What one model version says of the labels it judges. Shape of the counts: (K,) and (K, K)."""

    model_version: str | None
    labels: Sequence[str]
    annotation_counts: Sequence[int]
    label_issue_counts: Sequence[int]
    confident_joint: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    health: Health

    @property
    def is_comparable(self) -> bool:
        """Whether two classes have annotations: one alone cannot be told from another."""
        return sum(count > 0 for count in self.annotation_counts) > 1

    def classes(self) -> list[ClassRow]:
        """Each class, the worst label quality first."""
        of = self.health.classes
        return [
            ClassRow(
                self.labels[k],
                self.annotation_counts[k],
                self.label_issue_counts[k],
                int(of.wrongly_given_count[k]),
                int(of.wrongly_missed_count[k]),
                float(of.label_noise[k]),
                float(of.inverse_label_noise[k]),
                float(of.label_quality[k]),
                float(self.health.latent.class_prior[k]),
                self.model_version,
            )
            for k in of.ranking.tolist()
        ]

    def cells(self) -> list[CellRow]:
        """Each pair of labels that meets, in the order of the class list."""
        health, latent = self.health, self.health.latent
        given, true = np.nonzero(self.confident_joint + health.calibrated_joint)
        return [
            CellRow(
                self.labels[i],
                self.labels[j],
                int(self.confident_joint[i, j]),
                int(health.calibrated_joint[i, j]),
                float(health.joint[i, j]),
                float(latent.noise_matrix[i, j]),
                float(latent.inverse_noise_matrix[j, i]),
                self.model_version,
            )
            for i, j in zip(given.tolist(), true.tolist(), strict=True)
        ]


def strata_of(rows: Iterable[Sequence[Any]]) -> list[Stratum]:
    """The rows of `QUERY`, judged. Model versions without annotations are left out."""
    return [_stratum(*row) for row in rows]


def _stratum(
    model_version: str | None,
    labels: list[str],
    annotation_counts: list[int],
    label_issue_counts: list[int],
    cells: list[Mapping[str, Any]] | None,
) -> Stratum:
    place = {label: k for k, label in enumerate(labels)}
    joint = np.zeros((len(labels), len(labels)), np.int64)
    for cell in cells or ():
        joint[place[cell["given"]], place[cell["suggested"]]] = cell["count"]
    health = assess(joint, np.array(annotation_counts), np.array(label_issue_counts))
    return Stratum(model_version, labels, annotation_counts, label_issue_counts, joint, health)


def document(strata: Sequence[Stratum]) -> dict[str, object]:
    """The whole answer, for programs. The score is None where there is no annotation to judge."""
    annotation_count = sum(each.health.annotation_count for each in strata)
    label_issue_count = sum(each.health.label_issue_count for each in strata)
    return {
        "annotation_count": annotation_count,
        "label_issue_count": label_issue_count,
        "label_health_score": (
            1 - label_issue_count / annotation_count if annotation_count else None
        ),
        "model_versions": [
            {
                "model_version": each.model_version,
                "annotation_count": each.health.annotation_count,
                "label_issue_count": each.health.label_issue_count,
                "label_health_score": each.health.label_health_score,
                "estimated_error_count": each.health.estimated_error_count,
                "classes": [asdict(row) for row in each.classes()],
            }
            for each in strata
        ],
    }
