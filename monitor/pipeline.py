"""The line: records → events → batch → writes → what is alive → what is suspect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitor.content import canonical_content
from monitor.detectors import detectors
from monitor.events import UNKNOWN_ANNOTATOR, EventType, Partition, Reason, Rejection
from monitor.identity import default_annotation_id, identify, identify_bytes
from monitor.ledger import (
    ANYBODY,
    AnnotationWrites,
    Ledger,
    MarkerWrites,
    Outcome,
    PredictionWrites,
)
from monitor.names import Names
from monitor.order import source_ranks
from monitor.validate import Batch, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.classes import ClassList
    from monitor.decode import Decoder
    from monitor.detectors.label_issues import LabelIssues
    from monitor.detectors.protocol import Detector, Flags
    from monitor.events import Event, Records
    from monitor.identity import Ids
    from monitor.ledger import Rows
    from monitor.statistics.confident_joint import Collision


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what waits for its other half. Beyond them newcomers are turned away, and counted."""

    pending_max: int = 1_000_000
    unlabelled_max: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch did: everything that the store has to write in one transaction.

    `annotation_events[i]` is the event (index into `batch.events`) that wrote row
    `annotations.annotation[…]` of write i; likewise `prediction_events`. `example_starts` names
    the event that first named each new example; rows from `annotation_start` on are new.
    """

    batch: Batch
    rejections: list[Rejection]
    annotations: AnnotationWrites
    annotation_events: NDArray[np.int64]
    annotation_ids: list[str]
    predictions: PredictionWrites
    prediction_events: NDArray[np.int64]
    markers: MarkerWrites
    outcome: Outcome
    flags: tuple[Flags, ...]
    annotation_start: int
    example_start: int
    example_starts: NDArray[np.int64]
    dropped_prediction_count: int


@dataclass(slots=True)
class State:
    """Everything the line knows: a cache of the store. Mutable; a failed commit ends the process."""

    classes: ClassList
    collision: Collision
    limits: Limits = field(default_factory=Limits)
    ledger: Ledger = field(default_factory=Ledger)
    annotators: Names = field(default_factory=Names)
    model_versions: Names = field(default_factory=Names)
    partitions: list[Partition] = field(default_factory=list)
    detectors: tuple[LabelIssues, *tuple[Detector, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.detectors = detectors(self.collision)

    @property
    def label_issues(self) -> LabelIssues:
        """The detector whose statistics the store shows."""
        return self.detectors[0]

    def register(self, partitions: Sequence[Partition]) -> NDArray[np.int32]:
        """The number of each partition; new ones are numbered as they come."""
        self.partitions += [each for each in partitions if each not in self.partitions]
        self.ledger.ranks = source_ranks(self.partitions)
        return np.array([self.partitions.index(each) for each in partitions], np.int32)


def read(state: State, decoder: Decoder, records: Records) -> tuple[Batch, list[Rejection]]:
    """Decode and validate: the usable events as a batch, and a rejection for each record that is not."""
    sources = state.register(records.partitions)
    events, undecoded = decoder.decode(records)
    batch, invalid = validate(records, events, sources, state.classes)
    return batch, sorted(undecoded + invalid, key=lambda rejection: rejection.position)


def step(state: State, batch: Batch, rejections: Sequence[Rejection] = ()) -> Step:
    """Bring the state up to date with a batch, and say what changed."""
    named = _Named(batch)
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
    return Step(
        batch,
        sorted([*rejections, *overflow], key=lambda rejection: rejection.position),
        annotations,
        named.annotation_events,
        named.annotation_texts,
        predictions,
        named.prediction_events,
        markers,
        outcome,
        flags,
        annotation_start,
        example_start,
        _starts(example, example_start),
        named.dropped_prediction_count,
    )


def _starts(example: Rows, start: int) -> NDArray[np.int64]:
    """The event that first named each new example: rows are numbered by arrival."""
    at = np.flatnonzero(example >= start)
    highest = np.maximum.accumulate(example[at])
    is_first = np.diff(highest, prepend=start - 1) > 0
    return at[is_first]


class _Named:
    """The writes of a batch before its ids have rows: which event writes what, and under which id."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        events = batch.events
        is_type = _types(events)
        has_annotation_id = _deletes(events, is_type, by_annotation=True)
        is_pair = _deletes(events, is_type, by_annotation=False)
        is_deletion = is_type[EventType.DELETION]
        self.marker_events = np.flatnonzero(is_deletion & ~has_annotation_id)
        self.marker_is_pair = is_pair[self.marker_events]
        is_whole = is_deletion & ~has_annotation_id & ~is_pair
        is_annotation = is_type[EventType.ANNOTATION]
        self.annotation_events = np.flatnonzero(is_annotation | has_annotation_id)
        is_predicted = (is_annotation | is_type[EventType.PREDICTION]) & (batch.prediction >= 0)
        self.prediction_events = np.flatnonzero(is_predicted | is_whole)
        self.dropped_prediction_count = 0
        self._keep_annotations(np.ones(self.annotation_events.size, np.bool_))
        self._name_examples()

    def _at(self, at: NDArray[np.int64]) -> list[Event]:
        events = self.batch.events
        return events if at.size == len(events) else [events[i] for i in at.tolist()]

    def _example_ids(self, at: NDArray[np.int64]) -> Ids:
        return identify([event.example_id or "" for event in self._at(at)])

    def _keep_annotations(self, keep: NDArray[np.bool_]) -> None:
        self.annotation_events = self.annotation_events[keep]
        events = self._at(self.annotation_events)
        self.annotators = [event.annotator or UNKNOWN_ANNOTATOR for event in events]
        self.annotation_texts = [
            event.annotation_id or default_annotation_id(event.example_id or "", annotator)
            for event, annotator in zip(events, self.annotators, strict=True)
        ]
        self.annotation_ids = identify(self.annotation_texts)

    def _name_examples(self) -> None:
        needed = np.zeros(len(self.batch), np.bool_)
        labels = self.annotation_events[self.batch.given[self.annotation_events] >= 0]
        for events in (labels, self.prediction_events, self.marker_events):
            needed[events] = True
        self.with_example = np.flatnonzero(needed)
        self.example_ids = self._example_ids(self.with_example)

    def turn_away(self, state: State) -> list[Rejection]:
        """Beyond the caps, newcomers that would wait for their other half are turned away."""
        ledger, limits = state.ledger, state.limits
        unlabelled = ledger.predicted_count - ledger.labelled_count + self.prediction_events.size
        if unlabelled > limits.unlabelled_max:
            self._drop_predictions(ledger, limits.unlabelled_max)
        if ledger.pending_count + self.annotation_events.size <= limits.pending_max:
            return []
        return self._drop_annotations(ledger, limits.pending_max)

    def _drop_predictions(self, ledger: Ledger, unlabelled_max: int) -> None:
        """Drop predictions of examples never heard of that come alone; they are counted, not stored."""
        labelled = {event.example_id for event in self._at(self.annotation_events)}
        alone = np.array(
            [
                event.type is EventType.PREDICTION and event.example_id not in labelled
                for event in self._at(self.prediction_events)
            ],
            np.bool_,
        )
        ids = self._example_ids(self.prediction_events)
        alone &= ledger.example_ids.find(ids) < 0
        room = unlabelled_max - (ledger.predicted_count - ledger.labelled_count)
        is_dropped = alone & (np.cumsum(alone) > room)
        self.dropped_prediction_count = int(is_dropped.sum())
        self.prediction_events = self.prediction_events[~is_dropped]
        self._name_examples()

    def _drop_annotations(self, ledger: Ledger, pending_max: int) -> list[Rejection]:
        events = [self.batch.events[i] for i in self.annotation_events]
        is_given = self.batch.prediction[self.prediction_events] >= 0
        predicted = {self.batch.events[i].example_id for i in self.prediction_events[is_given]}
        rows = ledger.example_ids.find(identify(event.example_id or "" for event in events))
        has_prediction = (rows >= 0) & (ledger.examples.stratum[rows] >= 0)
        has_prediction |= np.array([event.example_id in predicted for event in events], np.bool_)
        is_known = ledger.annotation_ids.find(self.annotation_ids) >= 0
        is_label = self.batch.given[self.annotation_events] >= 0
        waits = np.flatnonzero(is_label & ~has_prediction & ~is_known)
        # An annotation written several times in the batch waits, or is turned away, as one.
        newcomers = dict.fromkeys(self.annotation_texts[i] for i in waits)
        accepted = set(list(newcomers)[: max(pending_max - ledger.pending_count, 0)])
        is_dropped = np.zeros(len(events), np.bool_)
        is_dropped[waits] = [self.annotation_texts[i] not in accepted for i in waits]
        error = (
            f"pred_probs: none came for this example, and {pending_max:,} annotations already wait for "
            "theirs; send predictions, or raise `pending_max`"
        )
        rejections = [
            Rejection(int(self.batch.position[i]), Reason.PENDING_OVERFLOW, error)
            for i in self.annotation_events[is_dropped]
        ]
        self._keep_annotations(~is_dropped)
        self._name_examples()
        return rejections

    def name_annotators(self, state: State) -> None:
        """Number new annotators by arrival, whichever kind of event names them first."""
        events = self.marker_events[self.marker_is_pair].tolist()
        if events:
            named = dict(zip(self.annotation_events.tolist(), self.annotators, strict=True))
            named |= {i: self.batch.events[i].annotator or "" for i in events}
            state.annotators.numbers([named[i] for i in sorted(named)])

    def annotation_writes(self, state: State, example: Rows) -> AnnotationWrites:
        """Labels and deletions by annotation_id. Registers annotators and contents."""
        at = self.annotation_events
        given = self.batch.given[at]
        is_label = given >= 0
        return AnnotationWrites(
            state.ledger.annotation_ids.intern(self.annotation_ids),
            np.where(is_label, example[at], np.int32(-1)),
            state.annotators.numbers(self.annotators),
            given,
            self._contents(state.ledger),
            self.batch.keys.take(at),
        )

    def _contents(self, ledger: Ledger) -> Rows:
        found = list(map(canonical_content, self._at(self.annotation_events)))
        rows = np.full(len(found), -1, np.int32)
        if found.count(None) < len(found):
            at = [i for i, content in enumerate(found) if content is not None]
            rows[at] = ledger.content_ids.intern(identify_bytes(filter(None, found)))
        return rows

    def prediction_writes(self, state: State, example: Rows) -> PredictionWrites:
        """Probabilities, and the deletions of whole examples, which leave none. Registers model versions."""
        at, batch = self.prediction_events, self.batch
        row = batch.prediction[at]
        is_given = row >= 0
        units = np.zeros((at.size, len(state.classes)), np.uint32)
        units[is_given] = batch.units[row[is_given]]
        is_truncated = np.zeros(at.size, np.bool_)
        is_truncated[is_given] = batch.is_truncated[row[is_given]]
        stratum = np.full(at.size, -1, np.int32)
        versions = [event.model_version or "" for event in self._at(at[is_given])]
        stratum[is_given] = state.model_versions.numbers(versions)
        return PredictionWrites(example[at], stratum, units, is_truncated, batch.keys.take(at))

    def marker_writes(self, state: State, example: Rows) -> MarkerWrites:
        """Deletions by example, or by example and annotator."""
        at = self.marker_events
        annotator = np.full(at.size, ANYBODY, np.int32)
        names = [event.annotator or "" for event in self._at(at[self.marker_is_pair])]
        annotator[self.marker_is_pair] = state.annotators.numbers(names)
        return MarkerWrites(example[at], annotator, self.batch.keys.take(at))


def _types(events: list[Event]) -> dict[EventType, NDArray[np.bool_]]:
    types = [event.type for event in events]
    if types.count(EventType.ANNOTATION) == len(types):
        nothing = np.zeros(len(types), np.bool_)
        return dict.fromkeys(EventType, nothing) | {EventType.ANNOTATION: ~nothing}
    return {each: np.array([kind is each for kind in types], np.bool_) for each in EventType}


def _deletes(
    events: list[Event], is_type: dict[EventType, NDArray[np.bool_]], *, by_annotation: bool
) -> NDArray[np.bool_]:
    """Which events delete one annotation by its id, or else one annotator's part of an example."""
    found = np.zeros(len(events), np.bool_)
    for i in np.flatnonzero(is_type[EventType.DELETION]).tolist():
        has_id = events[i].annotation_id is not None
        found[i] = has_id if by_annotation else not has_id and events[i].annotator is not None
    return found
