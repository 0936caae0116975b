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
    from collections.abc import Iterator

    import duckdb

    Cell = tuple[int, ...]

_RANGE = 1 << 18
_UNIT, _FLOOR, _SLACK, _UNSEEN = 1 << 30, 2e-6, 1e-6, 2.0


def wrong_cells(db: duckdb.DuckDBPyConnection, collision: str) -> int:
    """How many thresholds and cells of the joint differ from what is stored."""
    thresholds = _thresholds(db)
    return _wrong_thresholds(db, thresholds) + _wrong_joint(db, thresholds, collision)


def _thresholds(db: duckdb.DuckDBPyConnection) -> dict[Cell, float]:
    """The threshold of every class that has annotations, by stratum and class."""
    count: Counter[Cell] = Counter()
    total: Counter[Cell] = Counter()
    for stratum, given, n, units in _in_ranges(db, sql.PARITY_SELF, {}):
        count[stratum, given] += n
        total[stratum, given] += units
    return {cell: max(total[cell] / _UNIT / n, _FLOOR) for cell, n in count.items()}


def _wrong_thresholds(db: duckdb.DuckDBPyConnection, thresholds: dict[Cell, float]) -> int:
    stored: dict[Cell, float] = {
        tuple(cell): t for *cell, t in db.execute(sql.THRESHOLDS).fetchall()
    }
    return sum(stored.get(cell) != thresholds.get(cell) for cell in stored | thresholds)


def _wrong_joint(
    db: duckdb.DuckDBPyConnection, thresholds: dict[Cell, float], collision: str
) -> int:
    ((strata, classes),) = db.execute(sql.STRATA_AND_CLASSES).fetchall()
    cuts = [
        [math.ceil((thresholds.get((s, k), _UNSEEN) - _SLACK) * _UNIT) for k in range(classes)]
        for s in range(strata)
    ]
    found: Counter[Cell] = Counter()
    for *cell, n in _in_ranges(db, sql.PARITY_JOINT, {"cuts": cuts, "collision": collision}):
        found[tuple(cell)] += n
    stored: dict[Cell, int] = {tuple(cell): n for *cell, n in db.execute(sql.JOINT).fetchall()}
    return sum(stored.get(cell, 0) != found[cell] for cell in stored | found)


def _in_ranges(
    db: duckdb.DuckDBPyConnection, statement: str, parameters: dict[str, Any]
) -> Iterator[tuple[Any, ...]]:
    ((last,),) = db.execute(sql.LAST_EXAMPLE).fetchall()
    for first in range(0, last + 1, _RANGE):
        ends = {"first": first, "last": first + _RANGE - 1}
        yield from db.execute(statement, parameters | ends).fetchall()
