"""How each annotator labels each class: soft confusion counts, and the likelihood of a label.

A label i of an annotator on an example with probabilities p adds p to row i of the annotator's counts:
`counts[i, j]` is how many examples of class j the annotator is expected to have called i. The counts
add, take back and merge without rounding. An annotator's rates are drawn towards everybody's, so that
one with few labels is judged like everybody.

With more than DENSE_CLASSES_MAX classes a matrix a person would be large and nearly empty: there each
annotator has one rate, that of being right, and all errors are equally likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from monitor.columns import Columns
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.statistics.class_statistics import Counts
    from monitor.tables import Rows
    from monitor.units import Units

    Logs = NDArray[np.int64]

IntT = TypeVar("IntT", bound=np.integer)

DENSE_CLASSES_MAX = 50
LOG_UNIT = float(1 << 36)
"""Logarithms are integers too, of this many parts: then their sums do not depend on the order."""
OWN_PRIOR = 5.0
"""Labels like everybody's that each annotator begins with, for each class."""
_CHUNK_CELLS = 1 << 18
_DIAGONAL_PRIOR, _SPREAD_PRIOR = 20.0, 10.0


class _Coins(Columns):
    """One row per annotator: how many labels, and the probability of all of them together."""

    layout = (("count", np.int64, 0), ("agreement", np.int64, 0))
    count: Counts
    agreement: Counts


@dataclass(frozen=True, slots=True)
class Sums:
    """Labels summed up elsewhere, by annotator and given label. Shape: (n,) each; `units` (n, K).

    `agreement` is the sum of the given label's units. With too many classes `units` is not looked at.
    """

    annotator: Rows
    given: NDArray[np.int16]
    count: Counts
    agreement: Counts
    units: Counts


class ConfusionCounts:
    """Soft confusion counts of every annotator. Mutable: as large as there are annotators.

    Unit: 2⁻³⁰ labels. Annotators and classes are numbered from 0; more of them may come.
    """

    def __init__(self) -> None:
        self.pooled: Counts = np.zeros((0, 0), np.int64)
        """The counts of everybody. Shape: (K, K), rows given."""
        self._coins = _Coins()
        # Annotator and given label → row of `_own`, -1 where there is none; and the sum of an
        # annotator's rows. Empty with too many classes.
        self._row: Rows = np.full((0, 0), -1, np.int32)
        self._totals: Counts = np.zeros((0, 0), np.int64)
        self._own: Counts = np.zeros((0, 0), np.int64)
        self._own_count = 0

    @property
    def class_count(self) -> int:
        """How many classes there are."""
        return len(self.pooled)

    @property
    def is_dense(self) -> bool:
        """Whether every annotator has a matrix, and not only a rate."""
        return self.class_count <= DENSE_CLASSES_MAX

    def grow_to(self, annotator_count: int, class_count: int) -> None:
        """Make room for annotators and classes."""
        self._coins.grow_to(annotator_count)
        more = class_count - len(self.pooled)
        self.pooled = np.pad(self.pooled, (0, more))
        if self.is_dense:
            self._row = _grown(self._row, annotator_count, class_count, -1)
            self._totals = _grown(self._totals, annotator_count, class_count, 0)
            self._own = _grown(self._own, 0, class_count, 0)
        else:
            self._row, self._totals, self._own = self._row[:0], self._totals[:0], self._own[:0]

    def update(self, annotator: Rows, given: NDArray[np.int16], units: Units) -> None:
        """Add labels: who gave them, what was given, the example's probabilities. Shape: (n,); (n, K)."""
        for at in _chunks(units):
            self._add(annotator[at], given[at], units[at], 1)

    def revert(self, annotator: Rows, given: NDArray[np.int16], units: Units) -> None:
        """Take back labels that were added before, to the last bit."""
        for at in _chunks(units):
            self._add(annotator[at], given[at], units[at], -1)

    def merge(self, other: ConfusionCounts) -> None:
        """Add the counts of another part of the stream, which numbers annotators and classes alike."""
        size, width = other._coins.size, other.class_count
        self.grow_to(size, max(width, self.class_count))
        self._coins.count[:size] += other._coins.count[:size]
        self._coins.agreement[:size] += other._coins.agreement[:size]
        self.pooled[:width, :width] += other.pooled
        if self.is_dense:
            annotator, given = np.nonzero(other._row >= 0)
            sums = other._own[other._row[annotator, given]]
            rows = self._rows(annotator, given)
            self._own[rows, :width] += sums
            self._totals[:size, :width] += other._totals[:size]

    @staticmethod
    def of_sums(sums: Sums, class_count: int) -> ConfusionCounts:
        """The counts of labels that were summed up elsewhere."""
        made = ConfusionCounts()
        made.grow_to(int(sums.annotator.max(initial=-1)) + 1, class_count)
        np.add.at(made._coins.count, sums.annotator, sums.count)
        np.add.at(made._coins.agreement, sums.annotator, sums.agreement)
        if made.is_dense:
            made._add_units(sums.annotator, sums.given, sums.units)
        return made

    def log_likelihoods(self, annotator: Rows, given: NDArray[np.int16]) -> Logs:
        """The log of P(this annotator gives this label | class), for each class. Shape: (n, K).

        Unit: 1 / LOG_UNIT. Source: the design's T_a[i | j]: own counts, with OWN_PRIOR labels
        distributed like everybody's.
        """
        if not self.is_dense:
            return self._coin_logs(annotator, given)
        everybody = self._everybody()[given]
        own = np.zeros_like(everybody)
        row = self._row[annotator, given]
        own[row >= 0] = self._own[row[row >= 0]] / UNIT
        rates = (own + OWN_PRIOR * everybody) / (self._totals[annotator] / UNIT + OWN_PRIOR)
        return fixed(np.log(rates))

    def accuracies(self) -> NDArray[np.float64]:
        """How likely the model finds each annotator's labels, drawn towards everybody.

        Shape: (annotators,).
        """
        size = self._coins.size
        count, agreement = self._coins.count[:size], self._coins.agreement[:size] / UNIT
        prior = _DIAGONAL_PRIOR + _SPREAD_PRIOR
        total = self._coins.agreement[:size].sum() / UNIT
        agreed = total + _DIAGONAL_PRIOR + _SPREAD_PRIOR / max(self.class_count, 1)
        everybody = agreed / (count.sum() + prior)
        found: NDArray[np.float64] = (agreement + OWN_PRIOR * everybody) / (count + OWN_PRIOR)
        return found

    def _everybody(self) -> NDArray[np.float64]:
        """P(given i | class j) of the annotators together. Shape: (K, K); columns sum to 1."""
        counts = self.pooled / UNIT + _SPREAD_PRIOR / self.class_count
        np.fill_diagonal(counts, counts.diagonal() + _DIAGONAL_PRIOR)
        total = self.pooled.sum(axis=0) / UNIT + _DIAGONAL_PRIOR + _SPREAD_PRIOR
        rates: NDArray[np.float64] = counts / total
        return rates

    def _coin_logs(self, annotator: Rows, given: NDArray[np.int16]) -> Logs:
        right = self.accuracies()[annotator]
        wrong = fixed(np.log((1 - right) / (self.class_count - 1)))
        logs = np.repeat(wrong[:, None], self.class_count, axis=1)
        logs[np.arange(given.size), given] = fixed(np.log(right))
        return logs

    def _add(self, annotator: Rows, given: NDArray[np.int16], units: Units, sign: int) -> None:
        own = units[np.arange(given.size), given].astype(np.int64)
        np.add.at(self._coins.count, annotator, sign)
        np.add.at(self._coins.agreement, annotator, sign * own)
        self._add_units(annotator, given, units.astype(np.int64) * sign)

    def _add_units(self, annotator: Rows, given: NDArray[np.int16], units: Counts) -> None:
        _add_rows(self.pooled, given, units)
        if self.is_dense:
            rows = self._rows(annotator, given)
            _add_rows(self._own, rows, units)
            _add_rows(self._totals, annotator, units)

    def _rows(self, annotator: NDArray[np.integer], given: NDArray[np.integer]) -> Rows:
        """The row of each pair, which gets one where it has none."""
        row: Rows = self._row[annotator, given]
        new = np.flatnonzero(row < 0)
        if new.size:
            width = self.class_count
            pairs = np.unique(annotator[new].astype(np.int64) * width + given[new])
            count = self._own_count + pairs.size
            self._own = _grown(self._own, count, width, 0)
            self._row[pairs // width, pairs % width] = np.arange(self._own_count, count)
            self._own_count = count
            row = self._row[annotator, given]
        return row


def fixed(logs: NDArray[np.float64]) -> Logs:
    """Logarithms as integers."""
    return np.rint(logs * LOG_UNIT).astype(np.int64)


def _chunks(units: Units) -> Iterator[slice]:
    """Parts of a large array, so that what is made of each stays small."""
    step = max(1, _CHUNK_CELLS // max(units.shape[1], 1))
    return (slice(start, start + step) for start in range(0, len(units), step))


def _add_rows(table: Counts, rows: NDArray[np.integer], values: Counts) -> None:
    """Add rows of values to rows of a table, which may repeat."""
    width = table.shape[1]
    cells = rows.astype(np.int64)[:, None] * width + np.arange(width)
    np.add.at(table.reshape(-1), cells.reshape(-1), values.reshape(-1))


def _grown(table: NDArray[IntT], rows: int, columns: int, fill: int) -> NDArray[IntT]:
    """The table with room for so many rows, and exactly so many columns."""
    size, width = table.shape
    if rows <= size and columns == width:
        return table
    grown = np.full((max(size, rows + rows // 8), columns), fill, table.dtype)
    grown[:size, :width] = table
    return grown
