"""A second opinion: thresholds and joint recounted from the stored facts, in SQL.

It shares no code with monitor/, and goes through the examples in ranges, because a join of everything
would need memory for everything.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from consumers.store import statements as sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    Cell = tuple[int, ...]

_RANGE = 1 << 18
_UNIT, _FLOOR, _SLACK, _UNSEEN = 1 << 30, 2e-6, 1e-6, 2.0


def wrong_cells(db: duckdb.DuckDBPyConnection, collision: str) -> int:
    """How many thresholds and cells of the joint differ from what is stored.

    The joint is recounted with the stored thresholds: where those are wrong, that is enough.
    """
    thresholds = {tuple(cell): t for *cell, t in db.execute(sql.THRESHOLDS).fetchall()}
    joint = {tuple(cell): n for *cell, n in db.execute(sql.JOINT).fetchall()}
    count: Counter[Cell] = Counter()
    total: Counter[Cell] = Counter()
    found: Counter[Cell] = Counter()
    for stratum, given, suggested, n, units in _recounted(db, thresholds, collision):
        count[stratum, given] += n
        total[stratum, given] += units
        if suggested is not None:
            found[stratum, given, suggested] += n
    recounted = {cell: max(total[cell] / _UNIT / n, _FLOOR) for cell, n in count.items()}
    return _differences(thresholds, recounted) + _differences(joint, found)


def _recounted(
    db: duckdb.DuckDBPyConnection, thresholds: dict[Cell, float], collision: str
) -> Iterator[tuple[Any, ...]]:
    """For each range of examples: stratum, given, suggested, count, sum of units of the given label."""
    ((strata, classes, last),) = db.execute(sql.PARITY_SIZES).fetchall()
    cuts = [
        [math.ceil((thresholds.get((s, k), _UNSEEN) - _SLACK) * _UNIT) for k in range(classes)]
        for s in range(strata)
    ]
    fixed = {"cuts": cuts, "collision": collision}
    for first in range(0, last + 1, _RANGE):
        ends = {"first": first, "last": first + _RANGE - 1}
        yield from db.execute(sql.PARITY, fixed | ends).fetchall()


def _differences(stored: Mapping[Cell, float], recounted: Mapping[Cell, float]) -> int:
    cells = stored.keys() | recounted.keys()
    return sum(stored.get(cell) != recounted.get(cell) for cell in cells)
