"""Everything known about one example, and the numbers behind its flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.errors import UsageError
from monitor.explain import explain, explain_posterior
from monitor.statistics.confident_joint import Collision
from monitor.statistics.confusion_counts import DENSE_CLASSES_MAX, ConfusionCounts, Sums
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monitor.explain import Posterior

    Ask = Callable[[str, list[Any]], list[dict[str, Any]]]
    """The rows of a query, by the names of their columns."""


class UnknownExample(UsageError):  # noqa: N818 - the name says what happened
    """An example that the store does not have."""


# One statement, hence one commit: an annotation must be judged by the thresholds that flagged it.
_ANNOTATIONS = """
WITH thresholds AS (
    SELECT t.model_version, list(t.label ORDER BY c.class) AS labels,
        list(t.class_threshold ORDER BY c.class) AS class_thresholds
    FROM classes t JOIN store.class c USING (label)
    GROUP BY t.model_version
)
SELECT a.annotation_id, a.annotator, a.given_label, a.suggested_label, a.is_label_issue,
    a.label_quality, a.is_consensus_issue, a.label_score, a.self_confidence, a.normalized_margin,
    a.pred_probs, a.model_version,
    a.revision, a.annotated_at, a.text, a.uri, t.labels, t.class_thresholds,
    (SELECT value ->> 'collision' FROM store.setting WHERE name = 'shape') AS collision
FROM annotations a
JOIN thresholds t ON t.model_version IS NOT DISTINCT FROM a.model_version
WHERE a.example_id = ? ORDER BY a.annotation_id
"""
# Also one statement: the posterior follows from the labels, and from how their annotators label everywhere.
# Everybody else is summed up as annotator -1.
_CONSENSUS = """
WITH target AS MATERIALIZED (SELECT * FROM store.vote WHERE example_id = ?),
label AS (
    SELECT CASE WHEN annotator IN (SELECT annotator FROM target) THEN annotator ELSE -1 END AS annotator,
        given, units, self_units
    FROM store.live
),
tally AS (
    SELECT annotator, given, count(*) AS count, sum(self_units)::BIGINT AS agreement
    FROM label GROUP BY annotator, given
),
cell AS (
    SELECT annotator, given, k, sum(units)::BIGINT AS units
    FROM (
        SELECT annotator, given, unnest(units) AS units, generate_subscripts(units, 1) AS k
        FROM label WHERE (SELECT count(*) FROM store.class) <= ?
    )
    GROUP BY annotator, given, k
),
summed AS (
    SELECT annotator, given, list(units ORDER BY k) AS units FROM cell GROUP BY annotator, given
)
SELECT
    (SELECT list(label ORDER BY class) FROM store.class) AS labels,
    coalesce(
        (
            SELECT model_weight FROM store.class_weight
            WHERE class = (SELECT any_value(list_position(units, list_max(units)) - 1) FROM target)
        ),
        (SELECT model_weight FROM store.weight)
    ) AS model_weight,
    (SELECT any_value(units) FROM target) AS units,
    (
        SELECT list({
            'annotation_id': t.annotation_id, 'annotator': t.name, 'number': t.annotator, 'given': t.given,
            'label_quality': t.label_quality, 'consensus': t.consensus,
            'consensus_quality': t.consensus_quality
        } ORDER BY t.annotation_id)
        FROM target t
    ) AS votes,
    (
        SELECT list({
            'annotator': y.annotator, 'given': y.given, 'count': y.count, 'agreement': y.agreement,
            'units': s.units
        })
        FROM tally y LEFT JOIN summed s USING (annotator, given)
    ) AS sums
WHERE EXISTS (FROM target)
"""
_HISTORY = """
SELECT found_at, kind, action, cause, score, txn_id FROM findings WHERE annotation_id = ? ORDER BY
txn_id, kind
"""
_PENDING = """
SELECT annotation_id, annotator, given_label, since FROM pending WHERE example_id = ?
ORDER BY annotation_id
"""
_PREDICTION = "SELECT model_version, predicted_label FROM predictions WHERE example_id = ?"
_DUPLICATES = """
SELECT d.kind, d.set_id, list(o.example_id ORDER BY o.example_id) FILTER (o.example_id <>
d.example_id) AS others FROM duplicates d JOIN duplicates o USING (set_id, kind) WHERE d.example_id
= ? GROUP BY ALL ORDER BY d.kind
"""


def facts_of(ask: Ask, example_id: str) -> dict[str, Any]:
    """Everything known about an example. Raises: UnknownExample."""
    annotations = ask(_ANNOTATIONS, [example_id])
    pending = ask(_PENDING, [example_id])
    prediction = ask(_PREDICTION, [example_id])
    if not (annotations or pending or prediction):
        raise UnknownExample(f"example {example_id!r} is not in the store, or was deleted")
    for each in annotations:
        each.update(_judgement(each))
        each["history"] = ask(_HISTORY, [each["annotation_id"]])
    return {
        "example_id": example_id,
        "model_version": prediction[0]["model_version"] if prediction else None,
        "predicted_label": prediction[0]["predicted_label"] if prediction else None,
        "consensus": _consensus(ask, example_id) if annotations else None,
        "annotations": annotations,
        "pending": pending,
        "duplicates": ask(_DUPLICATES, [example_id]),
    }


def _judgement(annotation: dict[str, Any]) -> dict[str, Any]:
    """Judge anew from what the views show; it must agree with what the store says."""
    collision = Collision(annotation.pop("collision"))
    labels, cuts = annotation.pop("labels"), annotation.pop("class_thresholds")
    pred_probs = annotation.pop("pred_probs")
    found = explain(labels, pred_probs, cuts, annotation["given_label"], collision)
    assert found.is_label_issue == annotation["is_label_issue"], "explanation and flag agree"
    assert found.suggested_label == annotation["suggested_label"], (
        "explanation and suggestion agree"
    )
    rows = zip(labels, pred_probs, cuts, found.is_confident, strict=True)
    return {
        "rule": found.rule,
        "classes": [
            {"label": label, "p": p, "class_threshold": t, "is_confident": is_confident}
            for label, p, t, is_confident in rows
        ],
    }


def _consensus(ask: Ask, example_id: str) -> dict[str, Any] | None:
    """The posterior of an example by the facts as they are, part by part, and what was published last."""
    found = ask(_CONSENSUS, [example_id, DENSE_CLASSES_MAX])
    if not found:
        return None
    labels, votes, sums = found[0]["labels"], found[0]["votes"], found[0]["sums"]
    # Those on the example are numbered anew, and everybody else comes behind them.
    numbers = {each["number"]: i for i, each in enumerate(votes)}
    annotator = np.array([numbers[each["number"]] for each in votes], np.int32)
    given = np.array([each["given"] for each in votes], np.int16)
    posterior = explain_posterior(
        _filled([found[0]["units"]], len(labels)).astype(np.uint32)[0],
        (annotator, given),
        ConfusionCounts.of_sums(_sums(sums, numbers | {-1: len(votes)}, len(labels)), len(labels)),
        found[0]["model_weight"],
    )
    best = int(posterior.probabilities.argmax())
    published = votes[0]["consensus"]
    return {
        "consensus_label": labels[best],
        "consensus_quality": _quality(posterior.probabilities[best]),
        "published_label": None if published is None else labels[published],
        "published_quality": votes[0]["consensus_quality"],
        "model_weight": found[0]["model_weight"],
        "classes": _classes(labels, found[0]["units"], posterior),
        "votes": _votes(labels, votes, posterior),
    }


def _sums(sums: list[dict[str, Any]], numbers: dict[int, int], width: int) -> Sums:
    return Sums(
        np.array([numbers[each["annotator"]] for each in sums], np.int32),
        np.array([each["given"] for each in sums], np.int16),
        np.array([each["count"] for each in sums], np.int64),
        np.array([each["agreement"] for each in sums], np.int64),
        _filled([each["units"] or [] for each in sums], width),
    )


def _filled(units: Sequence[Sequence[int]], width: int) -> NDArray[np.int64]:
    """Units of as many classes as there are: stored ones may be of fewer, and the rest is 0."""
    return np.array([[*each, *[0] * (width - len(each))] for each in units], np.int64)


def _quality(probability: float) -> float:
    """As it is published: in single precision."""
    return float(np.float32(probability))


def _classes(
    labels: list[str], units: list[int], posterior: Posterior
) -> list[dict[str, str | float]]:
    parts = posterior.labels.sum(axis=0)
    p = _filled([units], len(labels))[0] / UNIT
    return [
        {
            "label": label,
            "p": float(p[k]),
            "model_part": float(posterior.model[k]),
            "labels_part": float(parts[k]),
            "posterior": float(posterior.probabilities[k]),
        }
        for k, label in enumerate(labels)
    ]


def _votes(
    labels: list[str], votes: list[dict[str, Any]], posterior: Posterior
) -> list[dict[str, Any]]:
    return [
        {
            "annotation_id": each["annotation_id"],
            "annotator": each["annotator"],
            "given_label": labels[each["given"]],
            "label_quality": _quality(posterior.probabilities[each["given"]]),
            "published_quality": each["label_quality"],
            "parts": parts,
        }
        for each, parts in zip(votes, posterior.labels.tolist(), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class LogOdds:
    """How much the model and each label speak for the consensus against another class, and all together."""

    model: float
    votes: list[float]
    total: float


def log_odds(consensus: dict[str, Any], other: str) -> LogOdds:
    """The parts of an explained consensus as log odds. Unit: natural logarithms."""
    labels = [each["label"] for each in consensus["classes"]]
    best, against = labels.index(consensus["consensus_label"]), labels.index(other)
    model = [each["model_part"] for each in consensus["classes"]]
    votes = [each["parts"][best] - each["parts"][against] for each in consensus["votes"]]
    return LogOdds(model[best] - model[against], votes, model[best] - model[against] + sum(votes))
