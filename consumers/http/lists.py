"""The lists under /api: what each shows, in which order, and what it can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from consumers.store.statements import ISSUE_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

LETTER_BYTES = 4_096
"""Bytes of a dead letter's value that a list shows; the whole is in the view."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list. `kind`: its JSON type; `sql`: how it is read, where that is not its name."""

    kind: str
    about: str
    is_nullable: bool = False
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list. `key`: the columns that order its rows, each row's own; `filters`: parameter → column.

    Where rows are dear, `view` has only key, filters and the column `numbers`: the rows of a page are read
    from `whole` by their numbers.
    """

    view: str
    about: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    filters: Mapping[str, str] = field(default_factory=dict)
    numbers: str | None = None
    whole: str | None = None


_TIME = "timestamp"
_ID = Column("string", "The example.")
_VERSION = Column(
    "string", "The model that judges it; null where predictions name none.", is_nullable=True
)

_SCORE = Column("number", "The lower, the more another label would tell.", is_nullable=True)


def _maybe(about: str) -> Column:
    return Column("number", about, is_nullable=True)


LISTS: Final[Mapping[str, Listed]] = {
    "label-issues": Listed(
        f"({ISSUE_KEYS})",
        "Annotations that are suspect now, most suspect first.",
        {
            "annotation_id": Column("string", "The annotation."),
            "example_id": _ID,
            "annotator": Column("string", "Who labelled it."),
            "given_label": Column("string", "The label it has."),
            "predicted_label": Column("string", "The most probable label."),
            "suggested_label": Column("string", "The label it should have."),
            "label_score": Column("number", "Low where the label is suspect."),
            "label_quality": _maybe("How probable the given label is, by model and all labels."),
            "is_consensus_issue": Column("boolean", "Whether that is below a half."),
            "self_confidence": Column("number", "The probability of the given label."),
            "normalized_margin": Column(
                "number", "How far the given label is from the most probable other one."
            ),
            "model_version": _VERSION,
            "is_truncated": Column("boolean", "Whether the probabilities came as a top-k."),
            "revision": Column("integer", "The revision of its event.", is_nullable=True),
            "annotated_at": Column(_TIME, "When it was labelled.", is_nullable=True),
            "ingested_at": Column(_TIME, "When it was committed."),
            "text": Column("string", "The example's text, where sent.", is_nullable=True),
            "uri": Column("string", "Where the example is, where sent.", is_nullable=True),
            "metadata": Column(
                "string", "What else was sent, as JSON.", is_nullable=True, sql="metadata::VARCHAR"
            ),
            "topic": Column("string", "Where its event came from."),
            "kafka_partition": Column("integer", "The partition of the topic."),
            "kafka_offset": Column("integer", "The record in the partition."),
            "txn_id": Column("integer", "The commit that wrote it."),
        },
        ("label_score", "annotation_id"),
        {
            "annotator": "annotator",
            "label": "given_label",
            "suggested_label": "suggested_label",
            "model_version": "model_version",
            "example_id": "example_id",
        },
        "annotation",
        "store.detailed WHERE is_label_issue",
    ),
    "classes": Listed(
        "classes",
        "Classes, for each model version, by name.",
        {
            "label": Column("string", "The class."),
            "model_version": _VERSION,
            "annotation_count": Column("integer", "Live annotations with this label."),
            "class_threshold": Column("number", "Mean self-confidence; 2 where there are none."),
            "label_issue_count": Column("integer", "How many of them are suspect."),
        },
        ("model_version", "label"),
        {"label": "label", "model_version": "model_version"},
    ),
    "annotators": Listed(
        "annotators",
        "Who labels, and how well, by name.",
        {
            "annotator": Column("string", "The name; unknown where none was sent."),
            "annotation_count": Column("integer", "Live annotations."),
            "label_issue_count": Column("integer", "Suspect by confident learning."),
            "consensus_issue_count": Column("integer", "With a label_quality below a half."),
            "error_rate": _maybe("Estimated share of wrong labels."),
            "error_rate_low": _maybe("Lower end of its 95 % interval."),
            "error_rate_high": _maybe("Upper end of it."),
            "annotator_quality": _maybe("Mean probability that a label is right."),
            "agreement_with_consensus": _maybe("Share of labels that are the consensus."),
            "agreement_with_model": _maybe("Share of labels that are the predicted one."),
            "worst_class": Column(
                "string", "Given label with most errors among its labels.", is_nullable=True
            ),
            "confused_given": Column(
                "string", "Given where it is not the consensus.", is_nullable=True
            ),
            "confused_with": Column(
                "string", "The consensus then; the most frequent pair.", is_nullable=True
            ),
            "labels_per_hour": _maybe("Labels per hour with any, in the last 24."),
            "lead_time_s": _maybe("Median of the seconds spent on a label."),
            "too_fast_share": _maybe("Share of labels in a third of the usual time, or less."),
            "gold_count": Column("integer", "Labels of test questions."),
            "gold_accuracy": _maybe("Share of them that are as expected."),
            "review_count": Column("integer", "Labels that were flagged and reviewed."),
            "confirmed_share": _maybe("Share of them that the review found wrong."),
            "last_seen_at": Column(_TIME, "Time of the newest label, else of its commit."),
        },
        ("annotator",),
        {"annotator": "annotator"},
    ),
    "precision": Listed(
        "flag_precision",
        "How often reviews confirm flags, for each method, and for each of its given labels.",
        {
            "method": Column("string", "Whose flag: confident_learning, consensus, or any."),
            "given_label": Column("string", "The flagged label; null for all.", is_nullable=True),
            "reviewed_count": Column("integer", "Flagged labels that were reviewed."),
            "confirmed_count": Column("integer", "How many of them were wrong."),
            "precision": Column("number", "Their share."),
        },
        ("method", "given_label"),
        {"method": "method", "label": "given_label"},
    ),
    "duplicates": Listed(
        "duplicates",
        "Examples that share their content with another, set by set.",
        {
            "set_id": Column("string", "Examples with the same content have the same."),
            "kind": Column("string", "exact_duplicate, or conflicting_labels."),
            "example_id": _ID,
            "score": Column("number", "Low where it is suspect."),
        },
        ("set_id", "kind", "example_id"),
        {"set_id": "set_id", "kind": "kind", "example_id": "example_id"},
    ),
    "examples": Listed(
        "examples",
        "Labelled examples with what their label is, by id.",
        {
            "example_id": _ID,
            "consensus_label": Column(
                "string", "The most probable label, by the model and everybody.", is_nullable=True
            ),
            "consensus_quality": Column("number", "Its probability.", is_nullable=True),
            "annotation_count": Column("integer", "How many labels it has."),
            "is_disputed": Column("boolean", "Whether they differ."),
            "active_learning_score": _SCORE,
            "model_version": _VERSION,
        },
        ("example_id",),
        {
            "consensus_label": "consensus_label",
            "is_disputed": "is_disputed",
            "model_version": "model_version",
            "example_id": "example_id",
        },
    ),
    "next": Listed(
        "store.candidate",
        "Examples, labelled or not, where one more label would tell most: these first.",
        {
            "example_id": _ID,
            "active_learning_score": replace(_SCORE, is_nullable=False),
            "consensus_label": Column("string", "The most probable label."),
            "consensus_quality": Column("number", "Its probability."),
            "annotation_count": Column("integer", "How many labels it has; 0 where none."),
            "is_disputed": Column("boolean", "Whether they differ."),
            "model_version": _VERSION,
        },
        ("active_learning_score", "example_id"),
        {
            "annotation_count": "annotation_count",
            "consensus_label": "consensus_label",
            "is_disputed": "is_disputed",
            "model_version": "model_version",
        },
    ),
    "offsets": Listed(
        "offsets",
        "Partitions and files, and where reading goes on.",
        {
            "topic": Column("string", "The topic, or the file."),
            "kafka_partition": Column("integer", "The partition of the topic."),
            "next_offset": Column("integer", "The next record to read."),
        },
        ("topic", "kafka_partition"),
        {"topic": "topic"},
    ),
    "dead-letters": Listed(
        "dead_letters",
        "Records that could not be used, in the order in which they were first seen.",
        {
            "topic": Column("string", "Where it came from."),
            "kafka_partition": Column("integer", "The partition of the topic."),
            "kafka_offset": Column("integer", "The record in the partition."),
            "reason": Column("string", "Why it was rejected."),
            "error": Column("string", "The same in words, with the fix."),
            "first_seen_at": Column(_TIME, "When it was first rejected."),
            "value": Column(
                "string",
                f"Its first {LETTER_BYTES:,} bytes, as text, or base64: where they are none.",
                is_nullable=True,
                sql=f"array_slice(value, 1, {LETTER_BYTES})",
            ),
            "value_size": Column("integer", "Bytes of the whole value."),
        },
        ("first_seen_at", "topic", "kafka_partition", "kafka_offset"),
        {"reason": "reason", "topic": "topic"},
    ),
}
