"""How an operation is described in the words of OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

NAME: Final[Json] = {"type": "string"}
NAME_OR_NULL: Final[Json] = {"type": ["string", "null"]}
NUMBER: Final[Json] = {"type": "number"}

FAULT: Final[Json] = {
    "type": "object",
    "required": ["error", "hint"],
    "properties": {"error": {"type": "string"}, "hint": {"type": ["string", "null"]}},
}
_ABOUT_FAULTS: Final = {
    "400": "What is asked is wrong.",
    "401": "The token is missing or wrong.",
    "403": "Asked by a foreign name, or from a page of another site.",
    "404": "It is not there.",
    "406": "None of the forms that the client takes is to be had.",
    "408": "It takes longer than it may.",
    "409": "The same key came with something else.",
    "413": "The request, or the answer, is larger than it may be.",
    "415": "The body is in no form that can be read.",
    "422": "The body can be read, and is no such thing.",
    "429": "There are too many queries at a time.",
    "500": "A bug.",
    "503": "Not now: the store is being loaded, or closed.",
}
FAULTS: Final[Json] = {
    f"Fault{status}": {
        "description": about,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}},
    }
    for status, about in _ABOUT_FAULTS.items()
}
COMMON = ("401", "403", "406", "413", "500")
ASKING = ("400", *COMMON, "408", "429", "503")


def operation(
    about: str,
    answers: Json,
    faults: tuple[str, ...],
    parameters: tuple[Json, ...] = (),
    **more: Any,  # noqa: ANN401 - JSON
) -> Json:
    """An operation: what it does, what it answers, how it may fail, what it takes."""
    refused = {status: {"$ref": f"#/components/responses/Fault{status}"} for status in faults}
    return {
        "summary": about,
        "parameters": list(parameters),
        "responses": answers | refused,
    } | more


def json_answer(about: str, schema: Json) -> Json:
    """An answer in JSON."""
    return {"200": {"description": about, "content": {"application/json": {"schema": schema}}}}


def query(name: str, about: str, schema: Json) -> Json:
    """A parameter in the query."""
    return {"name": name, "in": "query", "description": about, "schema": schema}


def record(about: str, properties: Mapping[str, Json]) -> Json:
    """An object that has all of these."""
    return {
        "type": "object",
        "description": about,
        "required": list(properties),
        "properties": dict(properties),
    }
