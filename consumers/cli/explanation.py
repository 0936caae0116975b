"""`labelwatch explain`: the numbers behind the flags of one example, as text or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from consumers.explaining import facts_of
from consumers.values import plain

if TYPE_CHECKING:
    from consumers.store.read import Asking

_CLASSES_SHOWN = 10


def explain_example(reader: Asking, example_id: str, style: str) -> str:
    """Everything known about an example. Raises: UsageError for one that the store does not have."""

    def ask(sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
        found = reader.query(sql, parameters)
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    facts = facts_of(ask, example_id)
    if style == "json":
        return json.dumps(plain(facts), ensure_ascii=False, indent=1)
    return "\n".join(_lines(facts))


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
