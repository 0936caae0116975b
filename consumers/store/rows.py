"""What a step leaves behind, as Arrow tables in the shape of the store's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.arrow import pa
from monitor.distinct import run_of
from monitor.events import EventType
from monitor.tables import keys_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.detectors.label_issues import Stratum
    from monitor.events import Event, Partition
    from monitor.ledger import Ledger
    from monitor.order import OrderKeys
    from monitor.pipeline import Step
    from monitor.state import State
    from monitor.tables import Rows


def name_table(names: Sequence[str], known_count: int) -> pa.Table:
    """Names after those that are stored, with their numbers."""
    numbers = pa.array(range(known_count, len(names)), pa.int32())
    return pa.table({"number": numbers, "name": pa.array(names[known_count:], pa.string())})


def value_table(values: Mapping[str, str | int], kind: pa.DataType) -> pa.Table:
    """Values by name."""
    return pa.table(
        {
            "name": pa.array(list(values), pa.string()),
            "value": pa.array(list(values.values()), kind),
        }
    )


def partition_table(partitions: Sequence[Partition], known_count: int) -> pa.Table:
    """Partitions after those that are stored."""
    new = partitions[known_count:]
    return pa.table(
        {
            "source": pa.array(range(known_count, len(partitions)), pa.int32()),
            "topic": pa.array([each.topic for each in new], pa.string()),
            "number": pa.array([each.number for each in new], pa.int32()),
        }
    )


def transaction_table(txn_id: int, committed_at: dt.datetime) -> pa.Table:
    """One transaction."""
    return pa.table(
        {
            "txn_id": pa.array([txn_id], pa.int64()),
            "committed_at": pa.array([committed_at], pa.timestamp("us")),
        }
    )


def annotation_table(step: Step, state: State, txn_id: int) -> pa.Table:
    """The annotations whose newest write is in this batch."""
    wins, ledger = step.outcome.annotation_wins, state.ledger
    rows = step.annotations.annotation[wins]
    ids = ledger.annotation_ids.ids(run_of(rows))
    texts = step.annotation_ids
    return pa.table(
        {
            "annotation": rows,
            "annotation_id": pa.nulls(rows.size, pa.string())
            if texts.count(None) == len(texts)
            else pa.array([texts[i] for i in wins.tolist()], pa.string()),
            "id_low": ids[:, 0],
            "id_high": ids[:, 1],
            "example": ledger.annotations.example[rows],
            "annotator": ledger.annotations.annotator[rows],
            "given": ledger.annotations.given[rows],
            **_key_columns(keys_of(ledger.annotations, rows)),
            "txn_id": np.full(rows.size, txn_id, np.int64),
        }
    )


def example_table(step: Step, state: State, txn_id: int) -> tuple[pa.Table, Rows]:
    """New examples and those with another prediction; and which of the latter the store has already."""
    ledger, outcome = state.ledger, step.outcome
    predicted = outcome.prediction_wins[outcome.prediction_is_news]
    rows = step.predictions.example[predicted]
    is_old = rows < step.example_start
    named = step.prediction_events[predicted][is_old]
    old = rows[is_old]
    new = np.arange(step.example_start, len(ledger.example_ids), dtype=np.int32)
    rows = np.concatenate((old, new))
    at = np.concatenate((named, step.example_starts))
    ids = ledger.example_ids.ids(run_of(rows))
    columns = {
        "example": rows,
        "example_id": pa.array(_example_ids(step.batch.events, at), pa.string()),
        "id_low": ids[:, 0],
        "id_high": ids[:, 1],
        "stratum": ledger.examples.stratum[rows],
        "units": _lists(ledger.units.data[run_of(rows)]),
        "is_truncated": ledger.examples.is_truncated[rows],
        **_key_columns(keys_of(ledger.examples, rows)),
        "txn_id": np.full(rows.size, txn_id, np.int64),
    }
    return pa.table(columns), old


def _example_ids(events: list[Event], at: NDArray[np.int64]) -> list[str | None]:
    if at.size < len(events) or (np.diff(at) != 1).any():
        events = [events[i] for i in at.tolist()]
    return [event.example_id for event in events]


def prediction_key_table(step: Step) -> pa.Table:
    """Keys of writes that repeated the prediction of an example the store has already."""
    outcome = step.outcome
    repeats = outcome.prediction_wins[~outcome.prediction_is_news]
    repeats = repeats[step.predictions.example[repeats] < step.example_start]
    keys = step.predictions.keys.take(repeats)
    return pa.table(
        {
            "example": step.predictions.example[repeats],
            **_key_columns(keys),
        }
    )


def marker_table(step: Step) -> pa.Table:
    """Deletions of examples, or of one annotator's part of them, that stand."""
    at = step.outcome.markers
    keys = step.markers.keys.take(at)
    return pa.table(
        {
            "example": step.markers.example[at],
            "annotator": step.markers.annotator[at],
            **_key_columns(keys),
        }
    )


def retracted_tables(step: Step, ledger: Ledger) -> tuple[Rows, Rows]:
    """Annotations that the batch touched and a marker covers or covered, and which it covers now."""
    changes = step.outcome.changes
    rows, before = changes.annotations, changes.before
    example = ledger.annotations.example[rows]
    is_under = (example >= 0) & ledger.examples.has_marker[example]
    # An annotation may have left a covered example for one without markers.
    was_dead = ~before.is_live & ~before.is_pending & (rows < step.annotation_start)
    rows = rows[is_under | was_dead]
    return rows, rows[ledger.annotations.is_retracted[rows]]


def class_statistics_table(number: int, stratum: Stratum, at: NDArray[np.int64]) -> pa.Table:
    """The statistics of these classes of a stratum."""
    statistics = stratum.statistics
    return pa.table(
        {
            "stratum": np.full(at.size, number, np.int32),
            "class": at.astype(np.int16),
            "annotation_count": statistics.count[at],
            "self_confidence_sum": statistics.self_confidence_sum[at],
            "class_threshold": statistics.class_thresholds()[at],
            "label_issue_count": stratum.issue_count[at],
        }
    )


def joint_table(number: int, stratum: Stratum, cells: NDArray[np.int64]) -> pa.Table:
    """These cells (flat indices) of a stratum's joint."""
    width = len(stratum.joint.count)
    return pa.table(
        {
            "stratum": np.full(cells.size, number, np.int32),
            "given": (cells // width).astype(np.int16),
            "suggested": (cells % width).astype(np.int16),
            "annotation_count": stratum.joint.count.reshape(-1)[cells],
        }
    )


def review_table(step: Step, txn_id: int) -> pa.Table | None:
    """Reviews, stored as they came; None where the batch has none."""
    types = [event.type for event in step.batch.events]
    if EventType.REVIEW not in types:
        return None
    at = [i for i, each in enumerate(types) if each is EventType.REVIEW]
    events, keys = [step.batch.events[i] for i in at], step.batch.keys.take(np.array(at))
    return pa.table(
        {
            "source": keys.source,
            "position": keys.offset,
            "revision": keys.revision,
            "time_us": keys.time_us,
            **{
                name: pa.array([getattr(event, name) for event in events], pa.string())
                for name in ("example_id", "annotation_id", "annotator", "outcome")
            },
            "label": pa.array([_text(event.label) for event in events], pa.string()),
            "txn_id": np.full(len(at), txn_id, np.int64),
        }
    )


def reviewed_table(step: Step, state: State) -> pa.Table:
    """The annotations that reviews are about, as they stood."""
    found, keys = step.reviewed, step.batch.keys.take(step.reviewed.event)
    names = state.classes.names
    return pa.table(
        {
            "source": keys.source,
            "position": keys.offset,
            "annotation": found.annotation,
            "given_label": pa.array([names[k] for k in found.given.tolist()], pa.string()),
            "is_label_issue": found.is_label_issue,
            "is_consensus_issue": found.is_consensus_issue,
        }
    )


def _key_columns(keys: OrderKeys) -> dict[str, NDArray[Any]]:
    return {
        "revision": keys.revision,
        "time_us": keys.time_us,
        "source": keys.source,
        "position": keys.offset,
    }


def _text(label: str | int | None) -> str | None:
    return None if label is None else str(label)


def _lists(units: NDArray[np.uint32]) -> pa.Array:
    count, width = units.shape
    offsets = pa.array(
        np.arange(0, (count + 1) * width, width, dtype=np.int32)
        if width
        else np.zeros(count + 1, np.int32)
    )
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(units).reshape(-1)))
