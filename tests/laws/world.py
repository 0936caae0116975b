"""Design section 3 in dicts, one event at a time: what a stream of events amounts to."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from monitor.events import Event, EventType, Partition, TopK
from tests.oracle import UNIT, Live


@dataclass(frozen=True)
class Sent:
    """An event and the coordinates it came with."""

    event: Event
    partition: Partition
    offset: int
    timestamp_us: int = -1


@dataclass(frozen=True)
class Label:
    example: str
    given: str
    annotator: str
    content: tuple | None


@dataclass(frozen=True)
class Prediction:
    version: str
    units: dict[str, int]
    is_truncated: bool


@dataclass
class World:
    """Everything that the events told so far amount to."""

    classes: list[str] = field(default_factory=list)
    annotations: dict = field(default_factory=dict)
    predictions: dict = field(default_factory=dict)
    markers: dict = field(default_factory=dict)
    partitions: list[Partition] = field(default_factory=list)
    redelivery_count: int = 0
    stale_count: int = 0
    rejected_count: int = 0

    def __post_init__(self):
        self.classes = list(self.classes)
        self.is_configured = bool(self.classes)
        self.is_open = not self.is_configured
        self.alignment = list(self.classes) if self.is_configured else None

    def tell(self, sent):
        """Take in one event."""
        if sent.partition not in self.partitions:
            self.partitions.append(sent.partition)
        event, key = sent.event, self.key(sent)
        if not self._fits(event):
            self.rejected_count += 1
        elif event.type is EventType.ANNOTATION:
            self._write(self.annotations, annotation_id_of(event), key, self._label(event))
            if event.pred_probs is not None:
                self._write(self.predictions, event.example_id, key, self._prediction(event))
        elif event.type is EventType.PREDICTION:
            self._write(self.predictions, event.example_id, key, self._prediction(event))
        elif event.type is EventType.DELETION:
            self._delete(event, key)

    def key(self, sent):
        """What decides which of two writes is newer. Files come before Kafka, as they were first read."""
        partition, event = sent.partition, sent.event
        kafka = ":" not in partition.topic
        time = event.annotated_at
        if time is None:
            time = max(sent.timestamp_us, 0)
        return (
            -1 if event.revision is None else event.revision,
            time,
            kafka,
            (partition.topic, partition.number) if kafka else self.partitions.index(partition),
            sent.offset,
        )

    def _write(self, table, name, key, value):
        known = table.get(name)
        if known is None or key > known[0]:
            table[name] = (key, value)
        elif key == known[0]:
            self.redelivery_count += 1
        else:
            self.stale_count += 1

    def _delete(self, event, key):
        if event.annotation_id is not None:
            self._write(self.annotations, event.annotation_id, key, None)
        elif event.annotator is not None:
            self._write(self.markers, (event.example_id, event.annotator), key, None)
        else:
            self._write(self.predictions, event.example_id, key, None)
            known = self.markers.get((event.example_id, None))
            if known is None or key > known[0]:
                self.markers[event.example_id, None] = (key, None)

    def _label(self, event):
        given = event.label if isinstance(event.label, str) else self.alignment[event.label]
        return Label(event.example_id, given, event.annotator or "unknown", content_of(event))

    def _prediction(self, event):
        form = event.pred_probs
        if isinstance(form, TopK):
            named = dict(zip(form.labels, form.probabilities, strict=True))
        elif isinstance(form, dict):
            named = form
        else:
            named = dict(zip(self.alignment, form, strict=True))
        is_partial = isinstance(form, TopK)
        units = quantised(list(named.values()), len(self.classes), is_partial=is_partial)
        return Prediction(
            event.model_version or "", dict(zip(named, units, strict=True)), is_partial
        )

    def _fits(self, event):
        """Whether an event can be used. New names join an open list, those of one event sorted."""
        if event.type is EventType.CLASSES:
            return self._declare(event.classes)
        if event.type not in (EventType.ANNOTATION, EventType.PREDICTION):
            return True
        form, label = event.pred_probs, event.label
        is_list = isinstance(form, list)
        alignment = self.alignment
        if is_list and alignment is None and not self.classes and isinstance(label, int):
            alignment = list(map(str, range(len(form))))
        if is_list and (alignment is None or len(form) != len(alignment)):
            return False
        if isinstance(label, int) and (alignment is None or not 0 <= label < len(alignment)):
            return False
        names = (
            set(form.labels if isinstance(form, TopK) else form or ()) if not is_list else set()
        )
        new = sorted((names | ({label} if isinstance(label, str) else set())) - set(self.classes))
        if (new and not self.is_open) or not is_distribution(form):
            return False
        if alignment is not self.alignment:
            self.alignment, self.is_open, new = alignment, False, alignment
        self.classes += new
        return True

    def _declare(self, names):
        if self.is_configured:
            return set(names) <= set(self.classes)
        self.classes += [name for name in names if name not in self.classes]
        self.alignment, self.is_open = list(names), False
        return True

    def is_covered(self, key, label):
        """Whether a deletion of the example, or of this annotator's part of it, is newer."""
        places = ((label.example, None), (label.example, label.annotator))
        return any(place in self.markers and self.markers[place][0] > key for place in places)

    def standing(self):
        """The labels that stand, whether or not their example has a prediction."""
        return {
            name: label
            for name, (key, label) in self.annotations.items()
            if label is not None and not self.is_covered(key, label)
        }

    def prediction_of(self, example):
        """The current prediction of an example, None where there is none."""
        return self.predictions.get(example, (None, None))[1]

    def pending(self):
        """Ids of annotations that wait for a prediction."""
        return {
            name
            for name, label in self.standing().items()
            if self.prediction_of(label.example) is None
        }

    def live(self):
        """The live annotations, in the canonical order: by annotation_id, bytewise."""
        return [
            Live(
                name,
                label.example,
                label.annotator,
                self.classes.index(label.given),
                prediction.version,
                self.dense(prediction),
                prediction.is_truncated,
                label.content,
            )
            for name, label in sorted(self.standing().items(), key=lambda item: item[0].encode())
            if (prediction := self.prediction_of(label.example)) is not None
        ]

    def dense(self, prediction):
        """The units of all classes."""
        return tuple(prediction.units.get(name, 0) for name in self.classes)

    def strata(self):
        """The live rows of each model version."""
        rows = self.live()
        return {
            version: [row for row in rows if row.version == version]
            for version in {row.version for row in rows}
        }


def annotation_id_of(event):
    """The given id, else one for the example and annotator."""
    if event.annotation_id is not None:
        return event.annotation_id
    return f"{event.example_id}\x1f{event.annotator or 'unknown'}"


def content_of(event):
    """What makes two examples duplicates, None where nothing can."""
    if event.content_hash:
        return "hash", event.content_hash
    words = unicodedata.normalize("NFC", event.text or "").split()
    if words:
        return "text", tuple(words)
    return ("embedding", event.embedding) if event.embedding is not None else None


def is_distribution(form):
    """Whether probabilities are finite, from 0 to 1, and sum to what they should (in units)."""
    if form is None:
        return True
    p = form.probabilities if isinstance(form, TopK) else form
    p = list(p.values()) if isinstance(p, dict) else list(p)
    if not all(0 <= each <= 1 for each in p):
        return False
    total = sum(round(each * UNIT) for each in p)
    low = 1 if isinstance(form, TopK) else 0.98 * UNIT
    return low <= total <= 1.02 * UNIT


def quantised(p, class_count, *, is_partial):
    """Design 3, Probabilities: round, and rescale what is off by more than about 1e-6."""
    units = [round(each * UNIT) for each in p]
    total = sum(units)
    off = total - UNIT
    if (off if is_partial else abs(off)) > max(1_074, class_count):
        units = [round(each * (UNIT / total)) for each in units]
    return units
