"""What one batch adds to the counters: from whole arrays, never event by event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from consumers.metrics.definitions import (
    ANNOTATIONS,
    BATCH_RECORDS,
    DEAD_LETTERS,
    EVENT_LATENCY,
    EVENTS_CONSUMED,
    EVENTS_PROCESSED,
    FINDINGS,
    FLAG_REVIEWS,
    LABEL_FLAGS,
    LABEL_QUALITY,
    LAST_EVENT,
    OTHER,
    REJECTED_TYPE,
    RETRACTIONS,
    REVIEWS,
    WRITES_IGNORED,
)
from consumers.metrics.names import LABELS_MAX, folded, shown
from consumers.metrics.series import Reading
from monitor.changes import Cause
from monitor.detectors.protocol import Action, Kind
from monitor.events import EventType, Reason
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from consumers.metrics.annotators import Annotators
    from consumers.metrics.series import Series
    from consumers.metrics.shape import Definition
    from consumers.store import Arrival
    from monitor.detectors.protocol import Flags
    from monitor.events import Records
    from monitor.pipeline import Step
    from monitor.reviews import Reviewed
    from monitor.state import State

_ACTIONS = {action: action.name.lower() for action in Action}


@dataclass(slots=True)
class ByClass:
    """A counter of each class. `names` only grows."""

    definition: Definition
    names: Sequence[str] = ()
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, names: Sequence[str], given: NDArray[np.integer]) -> None:
        """Count these class numbers."""
        self.names = names
        self.counts = np.pad(self.counts, (0, len(names) - self.counts.size))
        self.counts += np.bincount(given, minlength=len(names))

    def readings(self) -> Iterator[Reading]:
        """What is to be shown."""
        for name, count in folded(self.names, self.counts.tolist()).items():
            yield Reading(self.definition, (name,), count)


class Counting:
    """Adds batches to series, classes and annotators."""

    def __init__(self, series: Series, annotators: Annotators) -> None:
        self._series = series
        self._annotators = annotators
        self._topics: set[str] = set()
        self._labels = ByClass(ANNOTATIONS)
        self._label_flags = ByClass(LABEL_FLAGS)

    def name_classes(self, names: Sequence[str]) -> None:
        """Every class has its series from the start."""
        nothing = np.zeros(0, np.int64)
        self._labels.add(names, nothing)
        self._label_flags.add(names, nothing)

    def add(
        self, state: State, arrival: Arrival, step: Step, now: float, idle_clock: float
    ) -> None:
        """Count a batch that was committed `now`. Unit: seconds since the epoch; `idle_clock` monotonic."""
        self._consumed(arrival.records)
        self._processed(step)
        self._timed(step, now)
        self._judged(step)
        ledger = state.ledger
        issues = next(each for each in step.flags if each.kind is Kind.LABEL_ISSUE)
        raised = issues.annotations[issues.action == Action.RAISED]
        self._label_flags.add(state.classes.names, ledger.annotations.given[raised])
        given = step.annotations.given
        self._labels.add(state.classes.names, given[given >= 0])
        labelled = step.annotations.annotator[given >= 0]
        flagged = ledger.annotations.annotator[raised]
        self._annotators.count(state.annotators.names, labelled, flagged, idle_clock)

    def find(self, changed: Iterable[Flags]) -> None:
        """Count changes of flags."""
        for flags in changed:
            for action, name in _ACTIONS.items():
                count = (flags.action == action).sum()
                self._series.add(FINDINGS, int(count), str(flags.kind), name)

    def readings(self) -> Iterator[Reading]:
        """What is to be shown of the classes."""
        yield from self._labels.readings()
        yield from self._label_flags.readings()

    def _consumed(self, records: Records) -> None:
        self._series.observe(BATCH_RECORDS, float(len(records)))
        counts = np.bincount(records.partition_index, minlength=len(records.partitions))
        for place, count in zip(records.partitions, counts.tolist(), strict=True):
            if place.topic not in self._topics and len(self._topics) < LABELS_MAX:
                self._topics.add(place.topic)
            topic = shown(place.topic) if place.topic in self._topics else OTHER
            self._series.add(EVENTS_CONSUMED, count, topic)

    def _processed(self, step: Step) -> None:
        series, outcome = self._series, step.outcome
        reasons = Counter(map(attrgetter("reason"), step.rejections))
        for reason, count in reasons.items():
            series.add(DEAD_LETTERS, count, str(reason))
        series.add(EVENTS_PROCESSED, len(step.rejections), REJECTED_TYPE, "rejected")
        for kind, count in step.type_counts.items():
            # Annotations turned away were events first, and are rejections now.
            away = reasons[Reason.PENDING_OVERFLOW] if kind is EventType.ANNOTATION else 0
            series.add(EVENTS_PROCESSED, count - away, str(kind), "accepted")
        if step.type_counts[EventType.REVIEW]:
            events = step.batch.events
            for found in [each.outcome for each in events if each.type is EventType.REVIEW]:
                series.add(REVIEWS, 1, str(found))
            self._reviewed(step.reviewed)
        series.add(WRITES_IGNORED, outcome.redelivery_count, "redelivery")
        series.add(WRITES_IGNORED, outcome.stale_count, "stale")
        series.add(WRITES_IGNORED, step.dropped_prediction_count, "unlabelled_overflow")

    def _reviewed(self, reviewed: Reviewed) -> None:
        for method, is_flagged in reviewed.by_method().items():
            is_confirmed = reviewed.is_confirmed[is_flagged]
            confirmed = int(is_confirmed.sum())
            self._series.add(FLAG_REVIEWS, confirmed, method, "confirmed")
            self._series.add(FLAG_REVIEWS, is_confirmed.size - confirmed, method, "refuted")

    def _timed(self, step: Step, now: float) -> None:
        times = step.batch.keys.time_us
        times = times[times > 0]
        if times.size:
            self._series.at_least(LAST_EVENT, int(times.max()) / 1e6)
            # A sender's clock may be ahead of ours.
            self._series.observe(EVENT_LATENCY, np.maximum(now - times / 1e6, 0.0))

    def _judged(self, step: Step) -> None:
        series, changes = self._series, step.outcome.changes
        series.observe(LABEL_QUALITY, changes.after.self_units[changes.after.is_live] / UNIT)
        causes = changes.cause[changes.before.is_live]
        series.add(RETRACTIONS, int((causes == Cause.RELABEL).sum()), "update")
        series.add(RETRACTIONS, int((causes == Cause.DELETION).sum()), "delete")
        self.find(step.flags)
