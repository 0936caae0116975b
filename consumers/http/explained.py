"""What is told of one example, in the words of OpenAPI: its flags, its consensus, the numbers behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.http.describing import NAME, NAME_OR_NULL, NUMBER, record

if TYPE_CHECKING:
    from consumers.http.describing import Json

_TIME: Json = {"type": "string", "format": "date-time"}
_JUDGED = record(
    "A class, and whether the example counts as confident of it.",
    {
        "label": NAME,
        "p": NUMBER,
        "class_threshold": NUMBER,
        "is_confident": {"type": "boolean"},
    },
)
_FINDING: Json = {
    "kind": {"enum": ["label_issue", "consensus_issue", "exact_duplicate", "conflicting_labels"]},
    "action": {"enum": ["raised", "changed", "cleared"]},
    "cause": {"enum": ["annotation", "threshold", "relabel", "deletion", "prediction"]},
    "score": NUMBER,
    "txn_id": {"type": "integer"},
    "found_at": _TIME,
}
_NUMBER_OR_NULL: Json = {"type": ["number", "null"]}
_SPEAKS = record(
    "What speaks for a class. Parts are natural logarithms; all together they are the posterior.",
    {
        "label": NAME,
        "p": NUMBER,
        "model_part": NUMBER | {"description": "model_weight · log p."},
        "labels_part": NUMBER | {"description": "The sum of what each label says."},
        "posterior": NUMBER,
    },
)
_VOTE = record(
    "A label, and what it says of each class.",
    {
        "annotation_id": NAME,
        "annotator": NAME,
        "given_label": NAME,
        "label_quality": NUMBER | {"description": "The posterior of the given label."},
        "published_quality": _NUMBER_OR_NULL,
        "parts": {
            "type": "array",
            "items": NUMBER,
            "description": "log P(this annotator gives this label | class), in the order of `classes`.",
        },
    },
)
_CONSENSUS: Json = {
    "anyOf": [
        record(
            "The posterior by the labels as they are, and what was last published of it.",
            {
                "consensus_label": NAME,
                "consensus_quality": NUMBER,
                "published_label": NAME_OR_NULL,
                "published_quality": _NUMBER_OR_NULL,
                "model_weight": NUMBER,
                "classes": {"type": "array", "items": _SPEAKS},
                "votes": {"type": "array", "items": _VOTE},
            },
        ),
        {"type": "null"},
    ],
    "description": "Null where the example has no live annotation.",
}
_EXPLAINED = record(
    "A live annotation and the numbers behind its flag.",
    {
        "annotation_id": NAME,
        "annotator": NAME,
        "given_label": NAME,
        "suggested_label": NAME_OR_NULL,
        "is_label_issue": {"type": "boolean"},
        "label_quality": _NUMBER_OR_NULL,
        "is_consensus_issue": {"type": "boolean"},
        "label_score": NUMBER,
        "self_confidence": NUMBER,
        "normalized_margin": NUMBER,
        "model_version": NAME_OR_NULL,
        "revision": {"type": ["integer", "null"]},
        "annotated_at": {"type": ["string", "null"], "format": "date-time"},
        "text": NAME_OR_NULL,
        "uri": NAME_OR_NULL,
        "rule": NAME | {"description": "Why it is an issue, or none."},
        "classes": {"type": "array", "items": _JUDGED},
        "history": {"type": "array", "items": record("A change of a flag.", _FINDING)},
    },
)
EXPLANATION: Final = record(
    "Everything known about an example.",
    {
        "example_id": NAME,
        "model_version": NAME_OR_NULL,
        "predicted_label": NAME_OR_NULL,
        "consensus": _CONSENSUS,
        "annotations": {"type": "array", "items": _EXPLAINED},
        "pending": {
            "type": "array",
            "items": record(
                "An annotation that waits for a prediction.",
                {"annotation_id": NAME, "annotator": NAME, "given_label": NAME, "since": _TIME},
            ),
        },
        "duplicates": {
            "type": "array",
            "items": record(
                "A set of examples with the same content.",
                {
                    "kind": NAME,
                    "set_id": NAME,
                    "others": {"type": ["array", "null"], "items": NAME},
                },
            ),
        },
    },
)
