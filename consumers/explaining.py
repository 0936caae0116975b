"""Everything known about one example, and the numbers behind its flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumers.errors import UsageError
from monitor.explain import explain
from monitor.statistics.confident_joint import Collision

if TYPE_CHECKING:
    from collections.abc import Callable

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
    a.label_score, a.self_confidence, a.normalized_margin, a.pred_probs, a.model_version,
    a.revision, a.annotated_at, a.text, a.uri, t.labels, t.class_thresholds,
    (SELECT value ->> 'collision' FROM store.setting WHERE name = 'shape') AS collision
FROM annotations a
JOIN thresholds t ON t.model_version IS NOT DISTINCT FROM a.model_version
WHERE a.example_id = ? ORDER BY a.annotation_id
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
