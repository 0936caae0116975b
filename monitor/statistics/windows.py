"""Which examples a moving threshold may have crossed, found without looking at the others.

When the cut of class k moves, only examples whose probability of k lies between the old and the
new cut can change. So each class keeps the examples within a window around its cut, of width ~
1/√n: a mean of n values wanders by that much while n doubles. Everything outside has a settled
status. A window is read anew from all examples when its cut leaves it, and all windows when the
number of examples has doubled: amortised, that is constant work per event.

An entry may be a ghost (the example left, or was scored anew): entries name candidates, which the
caller judges afresh from their current probabilities. So ghosts and duplicates cost time, never
truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from monitor.columns import Columns
from monitor.distinct import distinct
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.statistics.class_statistics import Counts
    from monitor.units import Units

    Rows = NDArray[np.int32]


_WIDTH_MAX = 64.0
_POOL_MIN = 4_096


class Scan(Protocol):
    """All current examples in chunks: their rows and their probabilities."""

    def __call__(self) -> Iterator[tuple[Rows, Units]]:
        """Start from the first."""
        ...


class _Pool(Columns):
    layout = (("value", np.uint32, 0), ("example", np.int32, -1), ("of_class", np.int16, 0))
    value: NDArray[np.uint32]
    example: Rows
    of_class: NDArray[np.int16]


class Windows:
    """The examples near each class's cut. `cuts` are those that the caller's verdicts are based on."""

    def __init__(self, cuts: Counts) -> None:
        self.cuts = cuts
        self._low = cuts.copy()
        self._high = cuts.copy()
        self._width = np.ones(cuts.size)
        self._pool = _Pool()
        self._rebuild_above = _POOL_MIN

    def widen(self, cuts: Counts) -> None:
        """Room for more classes, in which every example has p = 0: settled until a cut says otherwise."""
        more = (0, cuts.size - self.cuts.size)
        self.cuts = np.concatenate((self.cuts, cuts[self.cuts.size :]))
        self._low = np.concatenate((self._low, cuts[self._low.size :]))
        self._high = np.concatenate((self._high, cuts[self._high.size :]))
        self._width = np.pad(self._width, more, constant_values=1.0)

    def add(self, examples: Rows, units: Units) -> None:
        """Examples that are new or scored anew. Shape: (n,), (n, K)."""
        at, of_class = _between(units, self._low, self._high + 1)
        self._append(units[at, of_class], examples[at], of_class)

    def crossed(self, cuts: Counts, count: Counts, scan: Scan) -> Rows:
        """Examples that may change when the cuts move to `cuts`; distinct, ghosts included.

        `count` is the number of annotations of each class, which sets the width of new windows.
        """
        low, high = np.minimum(self.cuts, cuts), np.maximum(self.cuts, cuts)
        pool, size = self._pool, self._pool.size
        value, of_class = pool.value[:size], pool.of_class[:size]
        found = [pool.example[:size][(value >= low[of_class]) & (value < high[of_class])]]
        left = np.flatnonzero((cuts != self.cuts) & ((cuts < self._low) | (cuts > self._high)))
        self.cuts = cuts
        if left.size:
            self._width[left] = np.minimum(self._width[left] * 2, _WIDTH_MAX)
            found += self._rebuild(left, count, scan, (low, high))
        if self._pool.size > self._rebuild_above:
            self._width = np.maximum(self._width / 2, 1.0)
            self._rebuild(np.arange(cuts.size), count, scan, None)
            self._rebuild_above = max(_POOL_MIN, 2 * self._pool.size)
        return distinct(*found)

    def _rebuild(
        self,
        classes: NDArray[np.int64],
        count: Counts,
        scan: Scan,
        moved: tuple[Counts, Counts] | None,
    ) -> list[Rows]:
        """Read the windows of these classes anew; also the examples between cuts that `moved`."""
        radius = np.ceil(UNIT * self._width[classes] / np.sqrt(np.maximum(count[classes], 1)))
        self._low[classes] = np.maximum(self.cuts[classes] - radius.astype(np.int64), 1)
        self._high[classes] = np.minimum(self.cuts[classes] + radius.astype(np.int64), 2 * UNIT)
        self._keep(~np.isin(self._pool.of_class[: self._pool.size], classes))
        found = []
        for examples, units in scan():
            columns = units if classes.size == self.cuts.size else units[:, classes]
            at, of_class = _between(columns, self._low[classes], self._high[classes] + 1)
            self._append(columns[at, of_class], examples[at], classes[of_class])
            if moved is not None:
                found.append(examples[_between(columns, *(edge[classes] for edge in moved))[0]])
        return found

    def _append(
        self, value: NDArray[np.uint32], example: Rows, of_class: NDArray[np.int64]
    ) -> None:
        pool, start = self._pool, self._pool.size
        pool.grow_to(start + value.size)
        pool.value[start : pool.size] = value
        pool.example[start : pool.size] = example
        pool.of_class[start : pool.size] = of_class

    def _keep(self, is_kept: NDArray[np.bool_]) -> None:
        pool = self._pool
        kept = np.flatnonzero(is_kept)
        for name, _, _ in pool.layout:
            column = getattr(pool, name)
            column[: kept.size] = column[kept]
        pool.size = kept.size


def _between(
    units: Units, low: Counts, high: Counts
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the cells with low ≤ u < high. Shape: units (n, k), the limits (k,)."""
    # One comparison: what lies below `low` wraps around to a large number.
    is_inside = units - low.astype(np.uint32) < (high - low).astype(np.uint32)
    return np.divmod(np.flatnonzero(is_inside), max(units.shape[1], 1))
