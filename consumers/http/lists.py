"""The lists under /api: what each shows, in which order, and what it can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
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
