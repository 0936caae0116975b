"""What the endpoints that are sent something take and answer, in the words of OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.http.describing import (
    ASKING,
    NAME,
    NAME_OR_NULL,
    NUMBER,
    json_answer,
    operation,
    query,
    record,
)

if TYPE_CHECKING:
    from consumers.http.describing import Json

_TABLE = record(
    "Rows of a query.",
    {
        "columns": {
            "type": "array",
            "items": record(
                "A column, its type as DuckDB names it.", {"name": NAME, "type": NAME}
            ),
        },
        "rows": {"type": "array", "items": {"type": "array"}},
        "row_count": {"type": "integer"},
        "truncated": {"type": "boolean"},
        "elapsed_ms": NUMBER,
    },
)
_QUESTION = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["sql"],
                "properties": {
                    "sql": NAME,
                    "limit": {"type": "integer", "minimum": 0},
                    "parameters": {"type": ["array", "object"]},
                },
            }
        },
        "text/plain": {"schema": NAME},
    },
}
_ROWS = {
    "200": {
        "description": "The rows.",
        "content": {
            "application/json": {"schema": _TABLE},
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.arrow.stream": {"schema": {}},
        },
    }
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A name for this request: sent again with the same events it adds nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_WAIT = query(
    "wait",
    "Seconds to wait until the events are counted.",
    {"type": "number", "minimum": 0, "maximum": 60},
)
_EVENT = {"type": "object", "description": "An event, as in Kafka."}
_EVENTS = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"oneOf": [_EVENT, {"type": "array", "minItems": 1, "items": _EVENT}]}
        },
        "application/x-ndjson": {"schema": {"type": "string"}},
    },
}
_COUNTS = {name: {"type": "integer"} for name in ("accepted", "first_seq", "last_seq")}
_ACCEPTED = json_answer("They are stored.", record("Their numbers.", _COUNTS))["200"] | {
    "headers": {
        "Idempotency-Replayed": {
            "description": "Set where they came before.",
            "schema": {"type": "string"},
        }
    }
}
_INVALID = json_answer(
    "Some cannot be used; none is stored.",
    record(
        "Why.",
        {
            "error": NAME,
            "hint": NAME,
            "errors": {
                "type": "array",
                "items": record(
                    "An event that cannot be used.",
                    {
                        "index": {"type": "integer"},
                        "reason": NAME,
                        "field": NAME,
                        "error": NAME,
                        "fix": NAME_OR_NULL,
                    },
                ),
            },
        },
    ),
)["200"]
POSTED: Final[dict[tuple[str, str], Json]] = {
    ("POST", "/api/events"): operation(
        "Annotations, predictions, reviews or deletions, durable when they are answered.",
        {"202": _ACCEPTED, "422": _INVALID},
        ("400", "401", "403", "408", "409", "413", "415", "429", "500", "503"),
        (_IDEMPOTENCY_KEY, _WAIT),
        requestBody=_EVENTS,
    ),
    ("POST", "/sql"): operation(
        "One SELECT or EXPLAIN over the views.", _ROWS, (*ASKING, "415"), requestBody=_QUESTION
    ),
    ("POST", "/api/snapshot"): operation(
        "Copy the store beside itself, as of one commit; whoever asks moves the copy within an hour.",
        json_answer(
            "The copy.",
            record(
                "A file in the store's folder.",
                {"name": NAME, "txn_id": {"type": "integer"}, "byte_count": {"type": "integer"}},
            ),
        ),
        ("400", "401", "403", "429", "500", "503"),
    ),
}
