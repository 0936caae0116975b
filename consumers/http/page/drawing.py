"""Places and sizes of what is drawn; the templates make SVG of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STEPS_S = (5, 30, 60)
BARS_MIN, BARS_MAX = 24, 60
SHADES = 6
"""Shades of a cell beside 0, which is no count at all."""
CELL = 40
"""Width and height of a cell, in the units of the drawing."""
LABEL_MAX = 10
"""Characters of a label beside the cells."""
WIDTH, HEIGHT = 360, 56


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the heat map, and its place. `shade`: 0 to SHADES."""

    given: str
    suggested: str
    count: int
    x: int
    y: int
    shade: int
    is_diagonal: bool


@dataclass(frozen=True, slots=True)
class Heat:
    """The confident joint of some classes: rows are given labels, columns suggested ones."""

    labels: list[str]
    cells: list[list[Cell]]
    side: int
    head: int

    @property
    def width(self) -> int:
        """All of it."""
        return self.side + CELL * len(self.labels) + self.head // 2

    @property
    def height(self) -> int:
        """All of it."""
        return self.head + CELL * len(self.labels)


def heat(classes: Sequence[Mapping[str, Any]], counts: Mapping[tuple[int, int], int]) -> Heat:
    """A heat map. On and off the diagonal shades have scales of their own: errors are rare."""
    same = max((n for (i, j), n in counts.items() if i == j), default=0)
    other = max((n for (i, j), n in counts.items() if i != j), default=0)
    longest = min(LABEL_MAX + 1, max((len(each["label"]) for each in classes), default=0))
    side, head = 18 + 8 * longest, 20 + 6 * longest
    cells = []
    for i, given in enumerate(classes):
        row = []
        for j, suggested in enumerate(classes):
            count = counts.get((given["class"], suggested["class"]), 0)
            row.append(
                Cell(
                    given["label"],
                    suggested["label"],
                    count,
                    side + j * CELL,
                    head + i * CELL,
                    shade(count, same if i == j else other),
                    i == j,
                )
            )
        cells.append(row)
    return Heat([each["label"] for each in classes], cells, side, head)


def shade(count: int, largest: int) -> int:
    """The shade of a count.

    >>> [shade(n, 100) for n in (0, 1, 50, 100)]
    [0, 1, 3, 6]
    """
    return min(SHADES, -(-count * SHADES // max(1, largest))) if count else 0


@dataclass(frozen=True, slots=True)
class Bar:
    """What happened in one step of time, as rates a minute. Heights go down from `HEIGHT`."""

    at: int
    labels: int
    flags: int
    x: float
    labels_height: float
    flags_height: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Labels and flags a minute, up to the last commit. `starts_at`: seconds since the epoch, at the left."""

    bars: list[Bar]
    step_s: int
    starts_at: int
    bar_width: float
    labels_max: int
    flags_max: int


def step_s(seconds: int) -> int:
    """The step that shows so many seconds as bars, minutes at the most.

    >>> step_s(90), step_s(3_000)
    (5, 60)
    """
    return next((step for step in STEPS_S if seconds < step * BARS_MAX), STEPS_S[-1])


def rates(found: Sequence[tuple[int, int, int]], step: int) -> Rates:
    """Bars of (step, labels, flags), the last at the right; steps without a commit are empty.

    >>> rates([], 60).bars
    []
    """
    if not found:
        return Rates([], step, 0, 0.0, 0, 0)
    known = {at: (labels * 60 // step, flags * 60 // step) for at, labels, flags in found}
    last = max(known)
    places = range(max(min(known), last - BARS_MAX + 1), last + 1)
    shown = [known.get(at, (0, 0)) for at in places]
    labels_max, flags_max = (max(column) for column in zip(*shown, strict=True))
    slot_count = max(BARS_MIN, len(shown))
    width = WIDTH / slot_count
    bars = [
        Bar(
            at * step,
            labels,
            flags,
            round(WIDTH - (last - at + 1) * width, 2),
            _height(labels, labels_max),
            _height(flags, flags_max),
        )
        for at, (labels, flags) in zip(places, shown, strict=True)
    ]
    starts_at = (last - slot_count + 1) * step
    return Rates(bars, step, starts_at, round(width * 0.8, 2), labels_max, flags_max)


def _height(value: int, largest: int) -> float:
    return round(HEIGHT * value / max(1, largest), 2)
