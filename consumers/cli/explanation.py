"""`labelwatch explain`: the numbers behind the flags of one example, as text or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from consumers.errors import UsageError
from consumers.values import plain
from monitor.explain import explain
from monitor.statistics.confident_joint import Collision

if TYPE_CHECKING:
    from consumers.store.read import Reader

_CLASSES_SHOWN = 10

_ANNOTATIONS = """
SELECT annotation_id, annotator, given_label, suggested_label, is_label_issue, label_score,
self_confidence,
    normalized_margin, pred_probs, model_version, revision, annotated_at, text, uri
FROM annotations WHERE example_id = ? ORDER BY annotation_id
"""
_THRESHOLDS = """
SELECT c.label, coalesce(t.class_threshold, 2.0) AS class_threshold
FROM store.class c
LEFT JOIN (FROM classes WHERE model_version IS NOT DISTINCT FROM ?) t ON t.label = c.label
ORDER BY c.class
"""
_HISTORY = """
SELECT found_at, kind, action, cause, score, txn_id FROM findings WHERE annotation_id = ? ORDER BY
txn_id, kind
"""
_DUPLICATES = """
SELECT d.kind, d.set_id, list(o.example_id ORDER BY o.example_id) FILTER (o.example_id <>
d.example_id) AS others FROM duplicates d JOIN duplicates o USING (set_id, kind) WHERE d.example_id
= ? GROUP BY ALL ORDER BY d.kind
"""


def explain_example(reader: Reader, example_id: str, style: str) -> str:
    """Everything known about an example. Raises: UsageError for one that the store does not have."""
    facts = _facts(reader, example_id)
    if style == "json":
        return json.dumps(plain(facts), ensure_ascii=False, indent=1)
    return "\n".join(_lines(facts))


def _facts(reader: Reader, example_id: str) -> dict[str, Any]:
    annotations = _dicts(reader, _ANNOTATIONS, example_id)
    pending = _dicts(
        reader,
        "SELECT annotation_id, annotator, given_label, since FROM pending WHERE example_id = ?",
        example_id,
    )
    prediction = _dicts(reader, "FROM predictions WHERE example_id = ?", example_id)
    if not (annotations or pending or prediction):
        raise UsageError(f"example {example_id!r} is not in the store, or was deleted")
    shape = reader.query("SELECT value FROM store.setting WHERE name = 'shape'").rows[0][0]
    collision = Collision(json.loads(shape)["collision"])
    for each in annotations:
        each.update(_judgement(reader, each, collision))
        each["history"] = _dicts(reader, _HISTORY, each["annotation_id"])
    return {
        "example_id": example_id,
        "model_version": prediction[0]["model_version"] if prediction else None,
        "predicted_label": prediction[0]["predicted_label"] if prediction else None,
        "annotations": annotations,
        "pending": pending,
        "duplicates": _dicts(reader, _DUPLICATES, example_id),
    }


def _judgement(reader: Reader, annotation: dict[str, Any], collision: Collision) -> dict[str, Any]:
    """Judge anew from what the views show; it must agree with what the store says."""
    thresholds = reader.query(_THRESHOLDS, [annotation["model_version"]]).rows
    labels, cuts = [row[0] for row in thresholds], [row[1] for row in thresholds]
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


def _dicts(reader: Reader, sql: str, parameter: str) -> list[dict[str, Any]]:
    found = reader.query(sql, [parameter])
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def _lines(facts: dict[str, Any]) -> list[str]:
    version = (
        f", judged by model version {facts['model_version']}" if facts["model_version"] else ""
    )
    predicted = (
        f"predicted {facts['predicted_label']}{version}"
        if facts["predicted_label"]
        else "no prediction"
    )
    lines = [f"example {facts['example_id']}: {predicted}"]
    for each in facts["annotations"]:
        lines += ["", *_annotation_lines(each)]
    for each in facts["pending"]:
        lines += [
            "",
            f"{each['given_label']} by {each['annotator']}: waits since {each['since']:%F %T}",
        ]
    for each in facts["duplicates"]:
        others = ", ".join(each["others"][:10])
        lines += ["", f"{each['kind'].replace('_', ' ')} with {others} (set {each['set_id']})"]
    return [_printable(line) for line in lines]


def _annotation_lines(each: dict[str, Any]) -> list[str]:
    verdict = "LABEL ISSUE" if each["is_label_issue"] else "no label issue"
    lines = [
        f"{each['given_label']} by {each['annotator']} (annotation {each['annotation_id']}): {verdict}",
        f"  {each['rule']}",
        f"  label score {each['label_score']:.6g}, margin {each['normalized_margin']:.6g}",
        f"  {'class':<24} {'p':>12} {'threshold':>12}  confident (p ≥ threshold − 1e-6)",
    ]
    ranked = sorted(each["classes"], key=lambda row: (not row["is_confident"], -row["p"]))
    for row in ranked[:_CLASSES_SHOWN]:
        names = {each["given_label"]: "given", each["suggested_label"]: "suggested"}
        mark = names.get(row["label"], "")
        yes = "yes" if row["is_confident"] else "no"
        shown = f"{row['label'][:24]:<24} {row['p']:>12.9f} {row['class_threshold']:>12.9f}  {yes:<4} {mark}"
        lines.append(f"  {shown.rstrip()}")
    if len(ranked) > _CLASSES_SHOWN:
        lines.append(f"  … and {len(ranked) - _CLASSES_SHOWN} classes with lower p")
    lines += [
        f"  {row['found_at']:%F %T} UTC: {row['kind'].replace('_', ' ')} {row['action']} by {row['cause']} "
        f"(transaction {row['txn_id']}, score {row['score']:.6g})"
        for row in each["history"]
    ]
    return lines


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in line)
