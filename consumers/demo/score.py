"""What was found against the truth: of the labels that stand now, which are wrong and which are flagged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Label:
    """A label that stands, as the store has it."""

    example_id: str
    annotator: str
    given_label: str
    suggested_label: str | None
    label_score: float
    is_label_issue: bool


@dataclass(frozen=True, slots=True)
class Score:
    """Labels that stand: how many there are, are wrong, are flagged, are both."""

    labels: int = 0
    wrong: int = 0
    flagged: int = 0
    hits: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.labels + other.labels,
            self.wrong + other.wrong,
            self.flagged + other.flagged,
            self.hits + other.hits,
        )

    def __str__(self) -> str:
        return (
            f"{self.labels:,} labels, {self.wrong:,} wrong, {self.flagged:,} flagged: "
            f"precision {_ratio(self.hits, self.flagged)}, recall {_ratio(self.hits, self.wrong)}"
        )


def score(labels: Iterable[Label], truth: Mapping[str, str]) -> dict[str, Score]:
    """The score of each annotator. Labels of examples whose truth is not known count nowhere."""
    found: dict[str, Score] = {}
    for each in labels:
        if (true_label := truth.get(each.example_id)) is not None:
            is_wrong = each.given_label != true_label
            is_hit = is_wrong and each.is_label_issue
            one = Score(1, int(is_wrong), int(each.is_label_issue), int(is_hit))
            found[each.annotator] = found.get(each.annotator, Score()) + one
    return found


def total(scores: Mapping[str, Score]) -> Score:
    """The score of all together."""
    return sum(scores.values(), Score())


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "–"
