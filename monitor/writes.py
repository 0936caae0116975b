"""From events to writes: which event writes what, and under which id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.changes import ANYBODY, AnnotationWrites, MarkerWrites, PredictionWrites
from monitor.content import canonical_content
from monitor.events import UNKNOWN_ANNOTATOR, EventType, Reason, Rejection
from monitor.identity import default_annotation_ids, identify, identify_bytes, is_unescaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.events import Event
    from monitor.identity import Ids
    from monitor.ledger import Ledger
    from monitor.state import State
    from monitor.tables import Rows
    from monitor.validate import Batch


class EventWrites:
    """The writes of a batch before its ids have rows: which event writes what, and under which id."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        events = batch.events
        is_type = _types(events)
        self.type_counts = {each: int(np.count_nonzero(is_type[each])) for each in EventType}
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
        self.annotation_texts = default_annotation_ids(
            [event.example_id or "" for event in events], self.annotators
        )
        own = [event.annotation_id for event in events]
        if own.count(None) < len(own):
            pairs = zip(own, self.annotation_texts, strict=True)
            self.annotation_texts = [each or text for each, text in pairs]
        self.own_annotation_ids = _own(own, self.annotation_texts)
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


def _own(given: list[str | None], texts: list[str]) -> list[str | None]:
    """The ids that their example and annotator do not tell."""
    if given.count(None) == len(given) and is_unescaped("".join(texts), len(texts)):
        return given
    return [
        text if each or not is_unescaped(text) else None
        for each, text in zip(given, texts, strict=True)
    ]


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
