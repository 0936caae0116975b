"""From the database to the state in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.errors import StoreError
from consumers.store import statements as sql
from monitor.classes import Authority, ClassList
from monitor.events import Partition
from monitor.names import Names
from monitor.order import OrderKeys
from monitor.pipeline import Limits, State
from monitor.restore import AnnotationFacts, ExampleFacts, advance_prediction_keys, restore
from monitor.statistics.confident_joint import Collision

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

    from monitor.detectors.protocol import Flags
    from monitor.ledger import Key, Ledger
    from monitor.units import Units

    Columns = dict[str, NDArray[Any]]

AUTHORITY, ALIGNMENT = "authority", "alignment"


def settings(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Stored settings by name."""
    return {name: json.loads(value) for name, value in db.execute(sql.SETTINGS).fetchall()}


def empty_state(
    db: duckdb.DuckDBPyConnection, shape: dict[str, Any], limits: Limits, ledger: Ledger
) -> State:
    """A state that knows the stored names and partitions, and nothing else yet."""
    stored = settings(db)
    names = column(db, sql.CLASSES) or shape["classes"] or []
    authority = stored.get(AUTHORITY)
    classes = ClassList(
        names,
        authority=Authority(authority) if authority else None,
        alignment=stored.get(ALIGNMENT),
    )
    return State(
        classes,
        Collision(shape["collision"]),
        limits,
        ledger,
        annotators=Names(column(db, sql.ANNOTATORS)),
        model_versions=Names(column(db, sql.MODEL_VERSIONS)),
        partitions=[Partition(*row) for row in db.execute(sql.PARTITIONS).fetchall()],
    )


def fill(db: duckdb.DuckDBPyConnection, state: State) -> tuple[Flags, ...]:
    """Restore the state from stored facts; the flags that follow from them."""
    annotations = _numpy(db, sql.ANNOTATIONS)
    examples, units = _examples(db)
    flags = restore(
        state,
        AnnotationFacts(
            annotations["annotation"],
            _pair(annotations, "id_low", "id_high"),
            annotations["example"],
            annotations["annotator"],
            annotations["given"],
            _keys(annotations),
            _pair(annotations, "content_low", "content_high"),
            annotations["has_content"],
        ),
        ExampleFacts(
            examples["example"],
            _pair(examples, "id_low", "id_high"),
            examples["stratum"],
            units,
            examples["is_truncated"],
            _keys(examples),
        ),
        _markers(db),
    )
    repeats = _numpy(db, sql.PREDICTION_KEYS)
    advance_prediction_keys(state.ledger, repeats["example"], _keys(repeats))
    return flags


def check(db: duckdb.DuckDBPyConnection, state: State, flags: tuple[Flags, ...]) -> None:
    """What was restored equals what was stored. Raises: StoreError."""
    wrong = []
    counted = {str(each.kind): len(each) for each in flags if len(each)}
    if counted != dict(db.execute(sql.FLAG_COUNTS).fetchall()):
        wrong.append("flags")
    strata = state.label_issues.strata
    stored = _numpy(db, sql.STORED_STATISTICS)
    for number, stratum in strata.items():
        at = stored["stratum"] == number
        kept = stored["class"][at]
        counts = np.zeros((3, len(state.classes)), np.int64)
        for i, name in enumerate(("annotation_count", "self_confidence_sum", "label_issue_count")):
            counts[i, kept] = stored[name][at]
        statistics = stratum.statistics
        restored = (statistics.count, statistics.self_confidence_sum, stratum.issue_count)
        if not np.array_equal(counts, restored):
            wrong.append(
                f"class statistics of model version {state.model_versions.names[number]!r}"
            )
    joint = _numpy(db, sql.STORED_JOINT)
    for number, stratum in strata.items():
        at = joint["stratum"] == number
        cells = np.zeros_like(stratum.joint.count)
        cells[joint["given"][at], joint["suggested"][at]] = joint["annotation_count"][at]
        if not np.array_equal(cells, stratum.joint.count):
            wrong.append(f"joint of model version {state.model_versions.names[number]!r}")
    if wrong:
        raise StoreError(
            f"the stored {wrong[0]} differ from what its annotations give; run `labelwatch rebuild`"
        )


def column(db: duckdb.DuckDBPyConnection, statement: str) -> list[str]:
    """The first column of a query's rows."""
    return [row[0] for row in db.execute(statement).fetchall()]


def _numpy(db: duckdb.DuckDBPyConnection, statement: str) -> Columns:
    return {
        name: np.ma.getdata(column) for name, column in db.execute(statement).fetchnumpy().items()
    }


def _pair(columns: Columns, low: str, high: str) -> NDArray[np.uint64]:
    return np.column_stack((columns[low], columns[high]))


def _keys(columns: Columns) -> OrderKeys:
    return OrderKeys(
        columns["revision"], columns["time_us"], columns["source"], columns["position"]
    )


def _examples(db: duckdb.DuckDBPyConnection) -> tuple[Columns, Units]:
    """Stored examples; their lists of units as one matrix, short rows filled with zeros."""
    table = db.sql(sql.EXAMPLES).to_arrow_table()
    units = table.column("units").combine_chunks()
    lengths = units.value_lengths().to_numpy(zero_copy_only=False)
    width = int(lengths.max(initial=0))
    flat = units.flatten().to_numpy()
    if flat.size == len(table) * width:
        matrix = flat.reshape(len(table), width)
    else:
        matrix = np.zeros((len(table), width), np.uint32)
        matrix[np.arange(width) < lengths[:, None]] = flat
    columns = {
        name: table.column(name).to_numpy() for name in table.column_names if name != "units"
    }
    return columns, matrix


def _markers(db: duckdb.DuckDBPyConnection) -> dict[tuple[int, int], Key]:
    """Markers by place. Those of one place were stored one after the other, the newest last."""
    return {
        (example, annotator): tuple(key)
        for example, annotator, *key in db.execute(sql.MARKERS).fetchall()
    }
