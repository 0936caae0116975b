"""What has happened in a stream, by name: so that a law can show that it was about something."""

from __future__ import annotations

import numpy as np

from monitor.changes import Cause
from monitor.detectors.protocol import Action, Kind
from tests.oracle import plain_cuts, plain_suggestion, plain_thresholds, plain_verdict


def of_findings(findings):
    """What the findings of one batch show."""
    names = {Action.RAISED: "raised", Action.CHANGED: "changed", Action.CLEARED: "cleared"}
    for flags in findings:
        for action, cause in zip(flags.action.tolist(), flags.cause.tolist(), strict=True):
            if flags.kind is Kind.LABEL_ISSUE:
                yield names[action]
                if cause == Cause.THRESHOLD:
                    yield f"{names[action]} on an older row by a threshold"
            elif action == Action.CHANGED:
                yield "duplicate changed"


def of_pictures(before, after, died):
    """What one batch did to annotations; `died` are those that were live at some time and ceased to be."""
    for name, row in after["live"].items():
        yield from _of_row(before, name, row, died)
        if row[5]:
            yield "truncated"
        if after["suggested"][name] is None:
            yield "no class confident"
    if after["pending"]:
        yield "waits for a prediction"
    was, now = (set(each["flags"].get(Kind.CONFLICTING_LABELS, ())) for each in (before, after))
    same = {name for name, row in after["live"].items() if before["live"].get(name) == row}
    if same & (now - was):
        yield "conflict raised on an older row"
    if same & (was - now):
        yield "conflict cleared on an older row"


def _of_row(before, name, row, died):
    former = before["live"].get(name)
    if former is None:
        if name in died:
            yield "resurrected"
        if name in before["pending"]:
            yield "prediction came later"
    elif former[0] != row[0]:
        yield "moved to another example"
    elif former[3] != row[3]:
        yield "moved to another stratum"


def of_rows(world):
    """Where the live rows lie."""
    K = len(world.classes)
    for rows in world.strata().values():
        cuts = np.array(plain_cuts(rows, K))
        verdict, thresholds = plain_verdict(rows, K, "cleanlab"), plain_thresholds(rows, K)
        for row in rows:
            gap = np.array(row.units) - cuts
            if (gap == 0).any():
                yield "at the cut"
            if (gap == -1).any():
                yield "one unit below the cut"
            if (gap >= 0).sum() > 1:
                yield "collision"
            suggested = plain_suggestion(row, thresholds, "cleanlab")
            if suggested not in (None, row.given) and row.annotation_id not in verdict.issues:
                yield "close and suggested otherwise"
