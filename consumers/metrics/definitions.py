"""Every metric: name, kind, labels, unit, help. docs/metrics.md shows this file, and a test compares them."""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

from consumers.metrics.shape import ALONE, Definition, Shape
from consumers.observing import Stage
from monitor.detectors.protocol import Action, Kind
from monitor.events import EventType, Reason
from monitor.reviews import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "__other__"
"""The label value of all that has no series of its own."""
REJECTED_TYPE = "unknown"
"""The type of a record that could not be used."""


class QueryOutcome(StrEnum):
    """How a query ended."""

    OK = "ok"
    REFUSED = "refused"
    TIME_UP = "time_up"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    GONE = "gone"
    FAILED = "failed"


def _each(values: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((str(value),) for value in values)


_COUNTER, _GAUGE, _HISTOGRAM = Shape.COUNTER, Shape.GAUGE, Shape.HISTOGRAM
_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

BUILD_INFO = Definition(
    "labelwatch_build_info", _GAUGE, "Always 1; its label is the version.", ("version",)
)
EVENTS_CONSUMED = Definition(
    "labelwatch_events_consumed_total", _COUNTER, "Records read.", ("topic",)
)
EVENTS_PROCESSED = Definition(
    "labelwatch_events_processed_total",
    _COUNTER,
    "Events committed; the type of a rejected one is unknown.",
    ("event_type", "outcome"),
    known=(*((each, "accepted") for each in EventType), (REJECTED_TYPE, "rejected")),
)
WRITES_IGNORED = Definition(
    "labelwatch_writes_ignored_total",
    _COUNTER,
    "Writes of accepted events that changed nothing. An event writes a label, a prediction or both.",
    ("cause",),
    known=_each(("redelivery", "stale", "unlabelled_overflow")),
)
DEAD_LETTERS = Definition(
    "labelwatch_dead_letters_total",
    _COUNTER,
    "Records rejected and kept as dead letters.",
    ("reason",),
    known=_each(Reason),
)
REVIEWS = Definition(
    "labelwatch_reviews_total",
    _COUNTER,
    "Reviews of labels, by what they found.",
    ("outcome",),
    known=_each(("accepted", "fixed", "rejected")),
)
FLAG_REVIEWS = Definition(
    "labelwatch_flag_reviews_total",
    _COUNTER,
    "Reviews of flagged labels: confirmed where the label is wrong, refuted where it is right.",
    ("method", "outcome"),
    known=tuple(product(METHODS, ("confirmed", "refuted"))),
)
INBOX_EVENTS = Definition(
    "labelwatch_inbox_events_total",
    _COUNTER,
    "Events taken in over HTTP, durable when counted.",
    known=ALONE,
)
LAG = Definition(
    "labelwatch_consumer_lag_messages",
    _GAUGE,
    "Records that are not read yet.",
    ("topic", "partition"),
    "messages",
)
SOURCE_AWAY = Definition(
    "labelwatch_source_away",
    _GAUGE,
    "1 while the source cannot be reached and is waited for.",
    known=ALONE,
)
LAST_EVENT = Definition(
    "labelwatch_last_event_timestamp_seconds",
    _GAUGE,
    "Newest time of an event committed by this process.",
    unit="seconds",
)
LAST_PROCESSED = Definition(
    "labelwatch_last_processed_timestamp_seconds",
    _GAUGE,
    "When this process last committed a batch.",
    unit="seconds",
)
EVENT_LATENCY = Definition(
    "labelwatch_event_latency_seconds",
    _HISTOGRAM,
    "From an event's own time, else its record's, to its commit, when it is visible.",
    unit="seconds",
    bounds=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 86400.0),
)
STAGE_DURATION = Definition(
    "labelwatch_stage_duration_seconds",
    _HISTOGRAM,
    "How long each part of a batch took: decoding, judging, one transaction, folding the log.",
    ("stage",),
    "seconds",
    _each(Stage),
    _DURATIONS,
)
BATCH_RECORDS = Definition(
    "labelwatch_batch_records",
    _HISTOGRAM,
    "Records in a batch.",
    unit="records",
    bounds=(1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0),
)
CHECKPOINT_TIME = Definition(
    "labelwatch_checkpoint_last_success_timestamp_seconds",
    _GAUGE,
    "When this process last folded the write-ahead log; it does so when the log is large.",
    unit="seconds",
)
STORE_BYTES = Definition(
    "labelwatch_store_size_bytes", _GAUGE, "Size of the database.", unit="bytes", known=ALONE
)
WAL_BYTES = Definition(
    "labelwatch_store_wal_bytes",
    _GAUGE,
    "Size of the write-ahead log beside the database.",
    unit="bytes",
    known=ALONE,
)
DISK_FREE = Definition(
    "labelwatch_store_disk_free_bytes",
    _GAUGE,
    "Free space where the database is.",
    unit="bytes",
    known=ALONE,
)
PARITY_OK = Definition(
    "labelwatch_parity_ok",
    _GAUGE,
    "1 while the stored joint equals a recount from the facts: at the start, and again now and then.",
)
PARITY_TIME = Definition(
    "labelwatch_parity_last_success_timestamp_seconds",
    _GAUGE,
    "When the stored joint was last found equal to a recount from the facts.",
    unit="seconds",
)
PENDING = Definition(
    "labelwatch_pending_joins",
    _GAUGE,
    "Annotations that wait for a prediction, and predictions that wait for an annotation.",
    ("side",),
    known=_each(("annotation", "prediction")),
)
ANNOTATIONS_LIVE = Definition(
    "labelwatch_annotations_live", _GAUGE, "Annotations that are judged now.", known=ALONE
)
LABEL_ISSUES = Definition(
    "labelwatch_label_issues", _GAUGE, "Label issues that stand now.", known=ALONE
)
CONSENSUS_ISSUES = Definition(
    "labelwatch_consensus_issues",
    _GAUGE,
    "Annotations whose label_quality is below a half now.",
    known=ALONE,
)
ERROR_RATIO = Definition(
    "labelwatch_estimated_label_error_ratio",
    _GAUGE,
    "Share of wrong labels by the calibrated joint, over all model versions.",
    unit="ratio",
    known=ALONE,
)
CLASS_THRESHOLD = Definition(
    "labelwatch_class_threshold_ratio",
    _GAUGE,
    "Mean self-confidence of a class over all model versions; none where it has no annotation.",
    ("label",),
    "ratio",
)
MODEL_VERSIONS = Definition(
    "labelwatch_model_versions_active",
    _GAUGE,
    "Model versions that judge live annotations.",
    known=ALONE,
)
ANNOTATIONS = Definition(
    "labelwatch_annotations_total",
    _COUNTER,
    "Annotations accepted, by given label.",
    ("label",),
)
FINDINGS = Definition(
    "labelwatch_findings_total",
    _COUNTER,
    "Changes of flags.",
    ("kind", "action"),
    known=tuple((str(kind), action.name.lower()) for kind in Kind for action in Action),
)
LABEL_FLAGS = Definition(
    "labelwatch_label_flags_total", _COUNTER, "Label issues raised, by given label.", ("label",)
)
RETRACTIONS = Definition(
    "labelwatch_retractions_total",
    _COUNTER,
    "Labels taken back out of the statistics.",
    ("cause",),
    known=_each(("update", "delete")),
)
LABEL_QUALITY = Definition(
    "labelwatch_label_quality_score",
    _HISTOGRAM,
    "Self-confidence of annotations as they were judged.",
    bounds=(0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
ANNOTATORS_ACTIVE = Definition(
    "labelwatch_annotators_active",
    _GAUGE,
    "Annotators heard of in the last 24 hours, by this process.",
    known=ALONE,
)
ANNOTATOR_ANNOTATIONS = Definition(
    "labelwatch_annotator_annotations_total",
    _COUNTER,
    "Annotations accepted, by annotator; beyond 100 annotators: __other__.",
    ("annotator",),
)
ANNOTATOR_FLAGS = Definition(
    "labelwatch_annotator_flags_total",
    _COUNTER,
    "Label issues raised, by annotator; beyond 100 annotators: __other__.",
    ("annotator",),
)
ANNOTATOR_ERROR_RATIO = Definition(
    "labelwatch_annotator_error_ratio",
    _GAUGE,
    "Estimated share of wrong labels of an annotator, drawn towards everybody's; of those with a series.",
    ("annotator",),
    "ratio",
)
ANNOTATOR_OVERFLOW = Definition(
    "labelwatch_annotator_overflow_total",
    _COUNTER,
    "Annotations counted under __other__: while it grows, the view of annotators is not whole.",
    known=ALONE,
)
QUERIES = Definition(
    "labelwatch_queries_total",
    _COUNTER,
    "SQL queries over HTTP, by how they ended.",
    ("outcome",),
    known=_each(QueryOutcome),
)
QUERY_DURATION = Definition(
    "labelwatch_query_duration_seconds",
    _HISTOGRAM,
    "How long queries took, however they ended.",
    unit="seconds",
    bounds=_DURATIONS,
)
QUERIES_IN_FLIGHT = Definition(
    "labelwatch_queries_in_flight", _GAUGE, "Queries that run now.", known=ALONE
)

DEFINITIONS = tuple(each for each in vars().copy().values() if isinstance(each, Definition))
