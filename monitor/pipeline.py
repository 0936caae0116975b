"""The line: records → events → batch → writes → what is alive → what is suspect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.events import EventType
from monitor.reviews import NONE_REVIEWED, find_reviewed
from monitor.validate import Batch, validate
from monitor.writes import EventWrites

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.changes import AnnotationWrites, Changes, MarkerWrites, Outcome, PredictionWrites
    from monitor.decode import Decoder
    from monitor.detectors.protocol import Flags
    from monitor.events import Records, Rejection
    from monitor.opinions import Opinions
    from monitor.reviews import Reviewed
    from monitor.state import State
    from monitor.tables import Rows


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch did: everything that the store has to write in one transaction.

    `annotation_events[i]` is the event (index into `batch.events`) that wrote row
    `annotations.annotation[…]` of write i; likewise `prediction_events`. `example_starts` names
    the event that first named each new example; rows from `annotation_start` on are new.
    `annotation_ids[i]` is the id of write i, None where it is example and annotator.
    """

    batch: Batch
    rejections: list[Rejection]
    annotations: AnnotationWrites
    annotation_events: NDArray[np.int64]
    annotation_ids: list[str | None]
    predictions: PredictionWrites
    prediction_events: NDArray[np.int64]
    markers: MarkerWrites
    outcome: Outcome
    flags: tuple[Flags, ...]
    opinions: Opinions
    reviewed: Reviewed
    annotation_start: int
    example_start: int
    example_starts: NDArray[np.int64]
    dropped_prediction_count: int
    type_counts: Mapping[EventType, int]


def read(state: State, decoder: Decoder, records: Records) -> tuple[Batch, list[Rejection]]:
    """Decode and validate: the usable events as a batch, and a rejection for each record that is not."""
    sources = state.register(records.partitions)
    events, undecoded = decoder.decode(records)
    batch, invalid = validate(records, events, sources, state.classes)
    return batch, sorted(undecoded + invalid, key=lambda rejection: rejection.position)


def step(state: State, batch: Batch, rejections: Sequence[Rejection] = ()) -> Step:
    """Bring the state up to date with a batch, and say what changed."""
    named = EventWrites(batch)
    overflow = named.turn_away(state)
    ledger = state.ledger
    annotation_start, example_start = len(ledger.annotation_ids), len(ledger.example_ids)
    example = np.full(len(batch), -1, np.int32)
    example[named.with_example] = ledger.example_ids.intern(named.example_ids)
    named.name_annotators(state)
    annotations = named.annotation_writes(state, example)
    predictions = named.prediction_writes(state, example)
    markers = named.marker_writes(state, example)
    ledger.grow(len(state.classes))
    outcome = ledger.apply(annotations, predictions, markers)
    flags = tuple(
        flags for detector in state.detectors for flags in detector.update(ledger, outcome.changes)
    )
    opinions = state.consensus.update(ledger, outcome.changes, len(state.annotators))
    flags = *flags, opinions.flags
    return Step(
        batch,
        sorted([*rejections, *overflow], key=lambda rejection: rejection.position),
        annotations,
        named.annotation_events,
        named.own_annotation_ids,
        predictions,
        named.prediction_events,
        markers,
        outcome,
        flags,
        opinions,
        _reviewed(state, named, outcome.changes, flags),
        annotation_start,
        example_start,
        _starts(example, example_start),
        named.dropped_prediction_count,
        named.type_counts,
    )


def _reviewed(
    state: State, named: EventWrites, changes: Changes, flags: tuple[Flags, ...]
) -> Reviewed:
    if not named.type_counts[EventType.REVIEW]:
        return NONE_REVIEWED
    return find_reviewed(state, named.batch, changes, flags)


def _starts(example: Rows, start: int) -> NDArray[np.int64]:
    """The event that first named each new example: rows are numbered by arrival."""
    at = np.flatnonzero(example >= start)
    highest = np.maximum.accumulate(example[at])
    is_first = np.diff(highest, prepend=start - 1) > 0
    return at[is_first]
