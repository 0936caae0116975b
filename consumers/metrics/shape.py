"""What a metric is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ALONE: tuple[tuple[str, ...], ...] = ((),)
"""The label values of a metric without labels."""


class Shape(StrEnum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric. `known` are label values that are there from the start, at 0; `bounds` are a histogram's."""

    name: str
    shape: Shape
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    known: tuple[tuple[str, ...], ...] = ()
    bounds: tuple[float, ...] = ()
