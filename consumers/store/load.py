"""From the database to the state in memory."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.errors import StoreError
from consumers.store import statements as sql
from monitor.classes import Authority, ClassList
from monitor.consensus import Consensus
from monitor.detectors.protocol import Flags, Kind
from monitor.events import Partition
from monitor.names import Names
from monitor.opinions import Judged
from monitor.order import OrderKeys
from monitor.restore import (
    AnnotationFacts,
    ContentFacts,
    ExampleFacts,
    advance_prediction_keys,
    fill_annotations,
    fill_examples,
    settle,
)
from monitor.state import Limits, State
from monitor.statistics.confident_joint import Collision

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

    from monitor.ledger import Ledger
    from monitor.markers import Key
    from monitor.units import Units

    Columns = dict[str, NDArray[Any]]

_BATCH_ROWS = 1 << 16
AUTHORITY, ALIGNMENT = "authority", "alignment"


def settings(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Stored settings by name."""
    return {name: json.loads(value) for name, value in db.execute(sql.SETTINGS).fetchall()}


def positions(db: duckdb.DuckDBPyConnection) -> dict[int, tuple[int, str | None]]:
    """Next offset and fingerprint of each source."""
    return {
        source: (offset, mark) for source, offset, mark in db.execute(sql.POSITIONS).fetchall()
    }


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
        consensus=Consensus(shape["model_weight"]),
    )


def fill(db: duckdb.DuckDBPyConnection, state: State) -> tuple[Flags, ...]:
    """Restore the state from stored facts; the flags that follow from them."""
    example_count, annotation_count = db.execute(sql.ROW_COUNTS).fetchall()[0]
    fill_examples(state, example_count, _examples(db))
    contents = _numpy(db, sql.CONTENTS)
    fill_annotations(
        state,
        annotation_count,
        _annotations(db),
        ContentFacts(contents["annotation"], _pair(contents, "content_low", "content_high")),
    )
    flags = settle(state, _markers(db))
    repeats = _numpy(db, sql.PREDICTION_KEYS)
    advance_prediction_keys(state.ledger, repeats["example"], _keys(repeats))
    return flags


def fill_opinions(db: duckdb.DuckDBPyConnection, state: State) -> Flags:
    """Restore what was last said of annotations; the flags that follow from it."""
    parts = []
    for batch in _batches(db, sql.OPINIONS):
        columns = _columns(batch)
        judged = Judged(
            columns["annotation"],
            columns["label_quality"],
            columns["consensus"],
            columns["consensus_quality"],
        )
        parts.append(state.consensus.restore(state.ledger, judged))
    state.consensus.restore_weights(_numpy(db, sql.MODEL_WEIGHTS)["model_weight"])
    return Flags.joined(Kind.CONSENSUS_ISSUE, parts)


def check(db: duckdb.DuckDBPyConnection, state: State, flags: tuple[Flags, ...]) -> None:
    """What was restored equals what was stored. Raises: StoreError."""
    wrong = next(chain(_wrong_flags(db, flags), _wrong_strata(db, state)), None)
    if wrong is not None:
        raise StoreError(
            f"the stored {wrong} differ from what its annotations give; run `labelwatch rebuild`"
        )


def _wrong_flags(db: duckdb.DuckDBPyConnection, flags: tuple[Flags, ...]) -> Iterator[str]:
    sums = {str(each.kind): _sums(each.annotations) for each in flags if len(each)}
    if sums != {kind: tuple(found) for kind, *found in db.execute(sql.FLAG_SUMS).fetchall()}:
        yield "flags"


def _wrong_strata(db: duckdb.DuckDBPyConnection, state: State) -> Iterator[str]:
    stored, joint = _numpy(db, sql.STORED_STATISTICS), _numpy(db, sql.JOINT)
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


def _sums(rows: NDArray[np.integer]) -> tuple[int, ...]:
    """What tells two sets of rows apart, without sorting or comparing them."""
    count = total = product = 0
    for start in range(0, rows.size, _BATCH_ROWS):
        part = rows[start : start + _BATCH_ROWS].astype(np.int64)
        count += part.size
        total += int(part.sum())
        product += int((part * part).sum())
    return count, total, product


def column(db: duckdb.DuckDBPyConnection, statement: str) -> list[str]:
    """The first column of a query's rows."""
    return [row[0] for row in db.execute(statement).fetchall()]


def _numpy(db: duckdb.DuckDBPyConnection, statement: str) -> Columns:
    # Where a column has nulls it comes as a masked array, of which this is the data.
    return {
        name: np.asarray(column) for name, column in db.execute(statement).fetchnumpy().items()
    }


def _pair(columns: Columns, low: str, high: str) -> NDArray[np.uint64]:
    return np.column_stack((columns[low], columns[high]))


def _keys(columns: Columns) -> OrderKeys:
    return OrderKeys(
        columns["revision"], columns["time_us"], columns["source"], columns["position"]
    )


def _batches(db: duckdb.DuckDBPyConnection, statement: str) -> Iterator[pa.RecordBatch]:
    """The rows of a query in chunks. Nobody else uses the connection meanwhile."""
    return iter(db.sql(statement).to_arrow_reader(_BATCH_ROWS))


def _columns(batch: pa.RecordBatch, *others: str) -> Columns:
    names = [name for name in batch.schema.names if name not in others]
    return {name: batch.column(name).to_numpy(zero_copy_only=False) for name in names}


def _annotations(db: duckdb.DuckDBPyConnection) -> Iterator[AnnotationFacts]:
    for batch in _batches(db, sql.ANNOTATIONS):
        columns = _columns(batch)
        yield AnnotationFacts(
            columns["annotation"],
            _pair(columns, "id_low", "id_high"),
            columns["example"],
            columns["annotator"],
            columns["given"],
            _keys(columns),
        )


def _examples(db: duckdb.DuckDBPyConnection) -> Iterator[ExampleFacts]:
    for batch in _batches(db, sql.EXAMPLES):
        columns = _columns(batch, "units")
        yield ExampleFacts(
            columns["example"],
            _pair(columns, "id_low", "id_high"),
            columns["stratum"],
            _matrix(batch.column("units")),
            columns["is_truncated"],
            _keys(columns),
        )


def _matrix(units: pa.ListArray) -> Units:
    """Lists of units as one matrix, short rows filled with zeros."""
    lengths = units.value_lengths().to_numpy(zero_copy_only=False)
    width = int(lengths.max(initial=0))
    flat: Units = units.flatten().to_numpy()
    if flat.size == len(units) * width:
        return flat.reshape(len(units), width)
    matrix = np.zeros((len(units), width), np.uint32)
    matrix[np.arange(width) < lengths[:, None]] = flat
    return matrix


def _markers(db: duckdb.DuckDBPyConnection) -> dict[tuple[int, int], Key]:
    """Markers by place. Those of one place were stored one after the other, the newest last."""
    return {
        (example, annotator): tuple(key)
        for example, annotator, *key in db.execute(sql.MARKERS).fetchall()
    }
