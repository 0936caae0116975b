"""From the database to the state in memory."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.errors import StoreError
from consumers.store import statements as sql
from monitor.classes import Authority, ClassList
from monitor.detectors.label_issues import INACTIVE
from monitor.events import Partition
from monitor.names import Names
from monitor.order import OrderKeys
from monitor.restore import AnnotationFacts, ExampleFacts, advance_prediction_keys, restore
from monitor.state import Limits, State
from monitor.statistics.confident_joint import Collision

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    from numpy.typing import NDArray

    from monitor.detectors.protocol import Flags
    from monitor.ledger import Ledger
    from monitor.markers import Key
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
    contents = _numpy(db, sql.CONTENTS)
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
            contents["annotation"],
            _pair(contents, "content_low", "content_high"),
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
    wrong = next(chain(_wrong_verdicts(db, state, flags), _wrong_strata(db, state)), None)
    if wrong is not None:
        raise StoreError(
            f"the stored {wrong} differ from what its annotations give; run `labelwatch rebuild`"
        )


def _wrong_verdicts(
    db: duckdb.DuckDBPyConnection, state: State, flags: tuple[Flags, ...]
) -> Iterator[str]:
    sums = {str(each.kind): _sums(each.annotations) for each in flags if len(each)}
    if sums != {kind: tuple(found) for kind, *found in db.execute(sql.FLAG_SUMS).fetchall()}:
        yield "flags"
    label = state.label_issues.suggestions.label[: state.ledger.examples.size]
    suggested = np.flatnonzero(label != INACTIVE)
    if _sums(suggested, label[suggested]) != db.execute(sql.VERDICT_SUMS).fetchone():
        yield "suggested labels"


def _wrong_strata(db: duckdb.DuckDBPyConnection, state: State) -> Iterator[str]:
    stored, joint = _numpy(db, sql.STORED_STATISTICS), _numpy(db, sql.STORED_JOINT)
    for number, stratum in state.label_issues.strata.items():
        version = f"of model version {state.model_versions.names[number]!r}"
        at = stored["stratum"] == number
        kept = stored["class"][at]
        counts = np.zeros((3, len(state.classes)), np.int64)
        for i, name in enumerate(("annotation_count", "self_confidence_sum", "label_issue_count")):
            counts[i, kept] = stored[name][at]
        thresholds = np.full(len(state.classes), 2.0)
        thresholds[kept] = stored["class_threshold"][at]
        statistics = stratum.statistics
        restored = (statistics.count, statistics.self_confidence_sum, stratum.issue_count)
        if not np.array_equal(counts, restored):
            yield f"class statistics {version}"
        if not np.array_equal(thresholds, statistics.class_thresholds()):
            yield f"class thresholds {version}"
        at = joint["stratum"] == number
        cells = np.zeros_like(stratum.joint.count)
        cells[joint["given"][at], joint["suggested"][at]] = joint["annotation_count"][at]
        if not np.array_equal(cells, stratum.joint.count):
            yield f"joint {version}"


def _sums(rows: NDArray[np.integer], values: NDArray[np.integer] | int = 0) -> tuple[int, ...]:
    """What tells two sets of rows with values apart, without sorting or comparing them."""
    rows, values = rows.astype(np.int64), np.asarray(values, np.int64)
    return rows.size, int(rows.sum()), int((rows * (rows + values)).sum())


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
