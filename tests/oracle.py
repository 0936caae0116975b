"""Confident learning as simply as it can be said: cleanlab 2.9 itself, and its rules in a few lines.

`cleanlab_verdict` asks cleanlab about the live rows of one stratum; `plain_verdict` repeats the two
collision rules. Which rows are live says tests/laws/world.py. Neither shares code with monitor/.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues

UNIT = 2**30


@dataclass(frozen=True)
class Live:
    """A live annotation. `units` are those of all classes, in the order of their numbers."""

    annotation_id: str
    example: str
    annotator: str
    given: int
    version: str
    units: tuple[int, ...]
    is_truncated: bool
    content: tuple | None


@dataclass(frozen=True)
class Verdict:
    """What confident learning says about the rows of one stratum. `issues` are annotation ids."""

    thresholds: tuple[float, ...]
    joint: tuple[tuple[int, ...], ...]
    issues: frozenset[str]


def cleanlab_verdict(rows):
    """What cleanlab 2.9 says of the canonical array. Its joint has a diagonal of at least 1."""
    thresholds, joint, issues = _cleanlab(
        tuple(row.given for row in rows), tuple(row.units for row in rows)
    )
    return Verdict(thresholds, joint, frozenset(rows[i].annotation_id for i in issues))


@lru_cache(maxsize=4_096)
def _cleanlab(given, units):
    labels, pred_probs = np.array(given), np.array(units) / UNIT
    # Of one class cleanlab finds no issues, or raises, depending on its number.
    issues = (
        np.flatnonzero(
            find_label_issues(labels, pred_probs, filter_by="confident_learning", n_jobs=1)
        ).tolist()
        if len(set(given)) > 1
        else ()
    )
    with warnings.catch_warnings():
        # scikit-learn's remark on the one-class joint that cleanlab asks it for.
        warnings.filterwarnings("ignore", "A single label was found", UserWarning)
        joint = compute_confident_joint(labels, pred_probs, calibrate=False)
    thresholds = get_confident_thresholds(labels, pred_probs)
    return tuple(thresholds.tolist()), tuple(map(tuple, joint.tolist())), tuple(issues)


def plain_thresholds(rows, class_count):
    """Mean self-confidence of each class."""
    thresholds = []
    for k in range(class_count):
        own = [row.units[k] for row in rows if row.given == k]
        thresholds.append(max(sum(own) / UNIT / len(own), 2e-6) if own else 2.0)
    return thresholds


def plain_cuts(rows, class_count):
    """The least number of units that is confident in each class."""
    return [ceil((t - 1e-6) * UNIT) for t in plain_thresholds(rows, class_count)]


def plain_suggestion(row, thresholds, collision):
    """The suggested label of a row, None where no class is confident."""
    p = [units / UNIT for units in row.units]
    confident = [k for k in range(len(p)) if p[k] >= thresholds[k] - 1e-6]
    if len(confident) < 2:
        return confident[0] if confident else None
    rivals = range(len(p)) if collision == "cleanlab" else confident
    return max(rivals, key=lambda k: (p[k], -k))


def is_close(row):
    """Whether the given label comes first once 1e-6 is added to its probability."""
    p = [units / UNIT for units in row.units]
    p[row.given] += 1e-6
    return p.index(max(p)) == row.given


def plain_verdict(rows, class_count, collision):
    """Northcutt et al. 2021, eq. 1 and 2, with either rule for collisions. Raw counts."""
    thresholds = plain_thresholds(rows, class_count)
    joint = [[0] * class_count for _ in range(class_count)]
    issues = set()
    for row in rows:
        suggested = plain_suggestion(row, thresholds, collision)
        if suggested is not None:
            joint[row.given][suggested] += 1
            if suggested != row.given and not is_close(row):
                issues.add(row.annotation_id)
    return Verdict(tuple(thresholds), tuple(map(tuple, joint)), frozenset(issues))


def duplicates(rows):
    """Ids of live annotations with the same content on different examples, each with its set."""
    sets = defaultdict(list)
    for row in rows:
        if row.content is not None:
            sets[row.content].append(row)
    return {
        row.annotation_id: frozenset(other.annotation_id for other in members)
        for members in sets.values()
        if len({row.example for row in members}) > 1
        for row in members
    }


def conflicting_labels(rows):
    """Those duplicates in whose set two given labels meet."""
    given = {row.annotation_id: row.given for row in rows}
    return {
        name: members
        for name, members in duplicates(rows).items()
        if len({given[member] for member in members}) > 1
    }
