"""Values of metrics, and how Prometheus gets them.

Counters of prometheus_client take one observation a call. A batch is tens of thousands, so what
is counted here is added in bulk, under one lock of the caller: a scrape sees whole batches.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.utils import floatToGoString

from consumers.metrics.definitions import DEFINITIONS
from consumers.metrics.shape import ALONE, Definition, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from prometheus_client import Metric

    Labels = tuple[str, ...]
    Buckets = tuple[list[tuple[str, float]], float]


class Reading(NamedTuple):
    """One value of a metric that is no histogram."""

    definition: Definition
    labels: Labels
    value: float


class Histogram:
    """Counts by bucket, each with its upper bound, and the sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = np.array(bounds)
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._sum = 0.0

    def observe(self, values: NDArray[np.float64]) -> None:
        """Count these values."""
        at = np.searchsorted(self._bounds, values)
        self._counts += np.bincount(at, minlength=self._counts.size)
        self._sum += float(values.sum())

    def read(self) -> Buckets:
        """The cumulative buckets and the sum."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, np.cumsum(self._counts).tolist(), strict=True)), self._sum


class Series:
    """Values that are kept: counters, histograms, and gauges that nothing else remembers. Takes no lock."""

    def __init__(self) -> None:
        self._values: dict[Definition, dict[Labels, float]] = {}
        self._histograms: dict[Definition, dict[Labels, Histogram]] = {}
        for each in DEFINITIONS:
            if each.shape is Shape.HISTOGRAM:
                known = each.known or ALONE
                self._histograms[each] = {labels: Histogram(each.bounds) for labels in known}
            else:
                self._values[each] = dict.fromkeys(each.known, 0.0)

    def add(self, definition: Definition, amount: float, *labels: str) -> None:
        """Count so much more."""
        values = self._values[definition]
        values[labels] = values.get(labels, 0.0) + amount

    def put(self, definition: Definition, value: float, *labels: str) -> None:
        """Let the value be this one now."""
        self._values[definition][labels] = value

    def value(self, definition: Definition, *labels: str) -> float | None:
        """The value now, None where there is none."""
        return self._values[definition].get(labels)

    def at_least(self, definition: Definition, value: float) -> None:
        """The value is never less than this."""
        known = self._values[definition].get((), value)
        self.put(definition, max(known, value))

    def observe(
        self, definition: Definition, values: NDArray[np.float64] | float, *labels: str
    ) -> None:
        """Count values in a histogram, whose label values are known ones."""
        self._histograms[definition][labels].observe(np.atleast_1d(np.asarray(values)))

    def taken(self) -> Taken:
        """A copy of all values."""
        return Taken(
            {each: dict(values) for each, values in self._values.items()},
            {
                each: {labels: part.read() for labels, part in parts.items()}
                for each, parts in self._histograms.items()
            },
        )


class Taken(NamedTuple):
    """The values of a moment."""

    values: dict[Definition, dict[Labels, float]]
    histograms: dict[Definition, dict[Labels, Buckets]]

    def families(self, more: Iterable[Reading]) -> Iterator[Metric]:
        """All metrics, these readings among them; where two have the same labels they are added up."""
        found: dict[Definition, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        for definition, labels, value in more:
            found[definition][labels] += value
        for each in DEFINITIONS:
            if each.shape is Shape.HISTOGRAM:
                yield _histogram(each, self.histograms[each])
            else:
                yield _plain(each, self.values[each] | found[each])


def _histogram(each: Definition, parts: dict[Labels, Buckets]) -> Metric:
    family = HistogramMetricFamily(each.name, each.help, labels=each.labels, unit=each.unit)
    for labels, (buckets, total) in parts.items():
        family.add_metric(labels, buckets, total)
    return family


def _plain(each: Definition, values: dict[Labels, float]) -> Metric:
    made = CounterMetricFamily if each.shape is Shape.COUNTER else GaugeMetricFamily
    family = made(each.name, each.help, labels=each.labels, unit=each.unit)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family
