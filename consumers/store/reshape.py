"""What `labelwatch rebuild` does: other class numbers, and all state anew from the facts.

Nobody reads or commits meanwhile, so UPDATE is allowed here, and only here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.arrow import pa
from consumers.errors import UsageError
from consumers.store import judged, load, rows
from consumers.store import statements as sql
from monitor.annotators import rate

if TYPE_CHECKING:
    import duckdb

    from consumers.store.commit import Committer
    from consumers.store.tables import Tables
    from monitor.detectors.protocol import Flags
    from monitor.state import State


def check_classes(db: duckdb.DuckDBPyConnection, names: list[str] | None) -> None:
    """Raises: UsageError where stored facts use a class that is not on the list."""
    used = load.column(db, sql.USED_CLASSES)
    missing = [name for name in used if names is not None and name not in names]
    if missing:
        raise UsageError(
            f"classes: {missing[0]!r} is used by stored annotations or predictions; keep it on the list"
        )


def renumber(db: duckdb.DuckDBPyConnection, names: list[str] | None) -> None:
    """Give the stored classes the numbers they have on a configured list."""
    stored = load.column(db, sql.CLASSES)
    if names is None or stored == names:
        return
    number = {name: new for new, name in enumerate(names)}
    moved = [number.get(name, -1) for name in stored]
    db.execute(sql.RENUMBER_GIVEN, {"moved": moved})
    back = [stored.index(name) + 1 if name in stored else 0 for name in names]
    db.execute(sql.RENUMBER_UNITS, {"back": back})
    db.execute("DELETE FROM store.class")


def write_shape(committer: Committer, shape: dict[str, Any]) -> None:
    """Record the shape, in a transaction of the caller; the class list's authority follows from it."""
    if shape["classes"] is not None:
        for name in (load.AUTHORITY, load.ALIGNMENT):
            committer.settings.pop(name, None)
    more = {"must_redrive": True} if committer.settings.get("shape", shape) != shape else {}
    committer.write_settings({"shape": shape} | more)


def recompute(
    db: duckdb.DuckDBPyConnection,
    tables: Tables,
    state: State,
    flags: tuple[Flags, ...],
    txn_id: int,
) -> None:
    """Write what follows from the facts; flags that differ from those that stood become findings."""
    db.execute(sql.REMEMBER_FLAGS)
    for table in sql.DERIVED:
        db.execute(f"DELETE FROM store.{table}")  # noqa: S608 - our own table names
    consensus, example_count = state.consensus, state.ledger.examples.size
    consensus.measure(state.ledger, 0, example_count)
    consensus.weigh()
    opinions = consensus.sweep(state.ledger, 0, example_count)
    judged.write_opinions(tables, opinions, state)
    judged.write_ratings(tables, rate(consensus.totals), consensus.model_weights)
    for each in (*flags, opinions.flags):
        tables.insert("flag", judged.flag_tables(each, txn_id)[1])
    for number, stratum in state.label_issues.strata.items():
        classes = np.flatnonzero(stratum.statistics.count)
        tables.insert("class_statistics", rows.class_statistics_table(number, stratum, classes))
        cells = np.flatnonzero(stratum.joint.count)
        tables.insert("joint", rows.joint_table(number, stratum, cells))
    db.execute(sql.FLAG_DIFFERENCES, {"txn_id": txn_id})
    tables.insert("retracted", _newly_retracted(db, state))


def _newly_retracted(db: duckdb.DuckDBPyConnection, state: State) -> pa.Table:
    db.execute("DELETE FROM store.retracted")
    table = state.ledger.annotations
    return pa.table(
        {"annotation": np.flatnonzero(table.is_retracted[: table.size]).astype(np.int32)}
    )
