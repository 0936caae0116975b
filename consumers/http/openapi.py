"""GET /api/openapi.json: the endpoints that are there, as a program wants to know them."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from consumers.http.answers import JSON, as_json, chosen
from consumers.http.describing import FAULT, FAULTS
from consumers.http.operations import operations
from consumers.http.parameters import given

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PATH = "/api/openapi.json"
_ABOUT = (
    "What a running labelwatch knows, as of its last commit. Faults are JSON: what is wrong, and the fix. "
    "Times are UTC. Where a token is set, every request but the liveness probe needs it."
)


def routes(others: list[Route]) -> list[Route]:
    """The document, of these routes and itself."""
    found: list[Route] = []

    async def answer(request: Request) -> Response:
        chosen(request, (JSON,))
        given(request, ())
        return as_json(document([*others, *found]))

    found.append(Route(PATH, answer))
    return found


def document(mounted: list[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    known = operations()
    paths: dict[str, dict[str, Any]] = {}
    for route in (each for each in mounted if each.include_in_schema):
        path = re.sub(r":\w+}", "}", route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            assert (method, path) in known, f"{method} {path} stands in operations.py"
            paths.setdefault(path, {})[method.lower()] = known[method, path]
    return {
        "openapi": "3.1.0",
        "info": {"title": "labelwatch", "version": version("labelwatch"), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": {"Fault": FAULT},
            "responses": FAULTS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }
