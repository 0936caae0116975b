"""What each endpoint takes and answers, in the words of OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.http.describing import (
    ASKING,
    COMMON,
    NAME,
    json_answer,
    operation,
    query,
)
from consumers.http.explained import EXPLANATION
from consumers.http.lists import LISTS
from consumers.http.parameters import ROWS, ROWS_MAX
from consumers.http.posted import POSTED

if TYPE_CHECKING:
    from consumers.http.describing import Json
    from consumers.http.lists import Column, Listed


def operations() -> dict[tuple[str, str], Json]:
    """Every operation there may be, by method and path. The document has those that are mounted."""
    return _PROBES | _lists() | _health() | _OTHERS | POSTED


_WHOLE: Final[Json] = {"type": "integer", "minimum": 1 - 10**18, "maximum": 10**18 - 1}
_FILTERS: Final[dict[str, Json]] = {
    "string": NAME,
    "boolean": {"type": "boolean"},
    "integer": _WHOLE,
}


def _schema(column: Column) -> Json:
    is_time = column.kind == "timestamp"
    kind = "string" if is_time else column.kind
    form = {"format": "date-time"} if is_time else {}
    kinds = [kind, "null"] if column.is_nullable else kind
    return {"type": kinds, "description": column.about} | form


def _lists() -> dict[tuple[str, str], Json]:
    found = {}
    for name, listed in LISTS.items():
        page = {
            "type": "object",
            "required": ["rows", "next"],
            "properties": {
                "rows": {"type": "array", "items": _row(listed)},
                "next": {
                    "type": ["string", "null"],
                    "description": "Where the next page begins; null after the last.",
                },
            },
        }
        forms = {"application/json": {"schema": page}, "text/csv": {"schema": {"type": "string"}}}
        for end, kinds in (("", forms), (".json", ["application/json"]), (".csv", ["text/csv"])):
            answer = {
                "description": "A page.",
                "content": {kind: forms[kind] for kind in kinds},
                "headers": {
                    "Link": {"description": "The next page.", "schema": {"type": "string"}}
                },
            }
            found["GET", f"/api/{name}{end}"] = operation(
                listed.about, {"200": answer}, ASKING, _parameters(listed)
            )
    return found


def _row(listed: Listed) -> Json:
    columns = {name: _schema(column) for name, column in listed.columns.items()}
    return {"type": "object", "required": list(columns), "properties": columns}


def _parameters(listed: Listed) -> tuple[Json, ...]:
    filtered = {name: listed.columns[column] for name, column in listed.filters.items()}
    filters = (
        query(name, f"Only this. {column.about}", _FILTERS[column.kind])
        for name, column in filtered.items()
    )
    about = f"Rows of a page; {ROWS_MAX:,} at the most, whatever is asked for."
    limit = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1, "default": ROWS}
    return (
        *filters,
        query("limit", about, limit),
        query("next", "`next` of the last page.", {"type": "string"}),
    )


def _health() -> dict[tuple[str, str], Json]:
    """What /api/health says; docs/health.md names the columns."""
    abouts = {
        "health": "How good the labels are, class by class, for each model version.",
        "health/cells": "The calibrated joint and the noise matrices, cell by cell.",
    }
    json, csv = {"schema": {"type": ["object", "array"]}}, {"schema": {"type": "string"}}
    found = {}
    for name, about in abouts.items():
        for end, content in (
            ("", {"application/json": json, "text/csv": csv}),
            (".json", {"application/json": json}),
            (".csv", {"text/csv": csv}),
        ):
            answer = {"description": "As of the last commit.", "content": content}
            found["GET", f"/api/{name}{end}"] = operation(about, {"200": answer}, ASKING)
    return found


_PROBE = {
    "type": "object",
    "required": ["ready", "reasons", "txn_id", "lag_records"],
    "properties": {
        "ready": {"type": "boolean"},
        "reasons": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["reason", "detail"],
                "properties": {
                    "reason": {
                        "enum": ["starting", "draining", "source_away", "commit_late", "disk_full"]
                    },
                    "detail": {"type": "string"},
                },
            },
        },
        "txn_id": {"type": "integer"},
        "lag_records": {"type": "integer"},
    },
}
_LIVE = operation(
    "Whether the loop goes round. It does not depend on the source.",
    json_answer(
        "It does.",
        {
            "type": "object",
            "required": ["alive", "phase"],
            "properties": {
                "alive": {"const": True},
                "phase": {"enum": ["starting", "running", "draining"]},
            },
        },
    ),
    ("403", "413", "500", "503"),
    security=[],
)
_READY = json_answer("It is.", _PROBE)
_PROBES: Final[dict[tuple[str, str], Json]] = {
    ("GET", "/livez"): _LIVE,
    ("GET", "/healthz"): _LIVE,
    ("GET", "/readyz"): operation(
        "Whether it is of use now, and why not.",
        _READY | {"503": _READY["200"] | {"description": "It is not, for these reasons."}},
        ("401", "403", "413", "500"),
    ),
}


_EXAMPLE_ID = {
    "name": "example_id",
    "in": "path",
    "required": True,
    "description": "The example's id, percent-encoded; it may hold slashes.",
    "schema": NAME,
}
_LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event, 0 for all of them; without it the stream begins now.",
    "schema": {"type": "string", "pattern": r"^(0|[0-9]{1,18}\.[a-z_]{1,40}\.[0-9]{1,9})$"},
}
_STREAM = {
    "200": {
        "description": "Events `finding`; the data of each is a row of the view `findings` as JSON.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_METRICS = {
    "200": {
        "description": "In OpenMetrics where that is accepted, else in Prometheus's text format.",
        "content": {
            kind: {"schema": {"type": "string"}}
            for kind in ("text/plain", "application/openmetrics-text")
        },
    }
}
_OTHERS: Final[dict[tuple[str, str], Json]] = {
    ("GET", "/metrics"): operation(
        "Metrics, for Prometheus.", _METRICS, ("401", "403", "413", "500")
    ),
    ("GET", "/api/explain/{example_id}"): operation(
        "Every number behind the flags and the consensus of an example.",
        json_answer("The explanation.", EXPLANATION),
        (*ASKING, "404"),
        (_EXAMPLE_ID,),
    ),
    ("GET", "/api/events"): operation(
        "Findings as server-sent events, as they are committed.",
        _STREAM,
        ("400", *COMMON, "503"),
        (_LAST_EVENT,),
    ),
    ("GET", "/api/openapi.json"): operation(
        "This document.", json_answer("The document.", {"type": "object"}), ("400", *COMMON)
    ),
}
