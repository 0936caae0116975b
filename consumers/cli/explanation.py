"""`labelwatch explain`: the numbers behind the flags and the consensus of one example, as text or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from consumers.explaining import facts_of, log_odds
from consumers.values import plain

if TYPE_CHECKING:
    from consumers.store.read import Asking

_CLASSES_SHOWN = 10
_VOTES_SHOWN = 20


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
    if facts["consensus"]:
        lines += ["", *_consensus_lines(facts["consensus"])]
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


def _consensus_lines(found: dict[str, Any]) -> list[str]:
    ranked = sorted(found["classes"], key=lambda row: -row["posterior"])
    return [
        f"consensus {found['consensus_label']} with probability {found['consensus_quality']:.6g}",
        *_lag_lines(found),
        f"  {'class':<24} {'p':>12} {'model':>9} {'labels':>9} {'posterior':>12}",
        *(
            f"  {row['label'][:24]:<24} {row['p']:>12.9f} {row['model_part']:>9.3f} "
            f"{row['labels_part']:>9.3f} {row['posterior']:>12.9f}"
            for row in ranked[:_CLASSES_SHOWN]
        ),
        *_more(len(ranked) - _CLASSES_SHOWN, "classes that are less probable"),
        *(_odds_lines(found, ranked[1]["label"]) if len(ranked) > 1 else ()),
    ]


def _lag_lines(found: dict[str, Any]) -> list[str]:
    """What was published, where it is something else: other labels have come since."""
    published = found["published_label"], found["published_quality"]
    if published == (found["consensus_label"], found["consensus_quality"]):
        return []
    if found["published_label"] is None:
        return ["  published: nothing yet"]
    return [
        f"  published: {published[0]} with {published[1]:.6g}; the next sweep brings it up to date"
    ]


def _odds_lines(found: dict[str, Any], other: str) -> list[str]:
    """How much each voter speaks for the consensus, against the next best class."""
    odds, model = log_odds(found, other), f"model (weight {found['model_weight']:g})"
    rows = [
        (f"{each['given_label'][:24]} by {each['annotator'][:24]}", part, each["label_quality"])
        for each, part in zip(found["votes"], odds.votes, strict=True)
    ]
    return [
        f"  log odds of {found['consensus_label'][:24]} against {other[:24]}, and the quality of each label",
        f"  {model:<52} {odds.model:>+9.3f}",
        *(
            f"  {who:<52} {part:>+9.3f} {quality:>12.6g}"
            for who, part, quality in rows[:_VOTES_SHOWN]
        ),
        *_more(len(rows) - _VOTES_SHOWN, "labels"),
        f"  {'all together':<52} {odds.total:>+9.3f}",
    ]


def _more(count: int, what: str) -> list[str]:
    return [f"  … and {count} {what}"] if count > 0 else []


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
    lines += _more(len(ranked) - _CLASSES_SHOWN, "classes with lower p")
    lines += [
        f"  {row['found_at']:%F %T} UTC: {row['kind'].replace('_', ' ')} {row['action']} by {row['cause']} "
        f"(transaction {row['txn_id']}, score {row['score']:.6g})"
        for row in each["history"]
    ]
    return lines


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in line)
