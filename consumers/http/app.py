"""All endpoints as one application: what is not there is told with what is nearest."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from consumers.errors import LabelwatchError
from consumers.http import (
    events,
    explaining,
    health,
    listing,
    metrics,
    openapi,
    page,
    probes,
    snapshot,
    sql,
    stream,
)
from consumers.http.answers import Refused, of_fault, refused
from consumers.http.guard import Guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route
    from starlette.types import ASGIApp

    from consumers.http.context import Context

MODULES = (probes, metrics, listing, explaining, health, snapshot, events, sql, stream, page)
NOT_ALLOWED = 405


def application(context: Context) -> ASGIApp:
    """The application. Endpoints that need the store answer 503 until the context has it."""
    routes = [route for module in MODULES for route in module.routes(context)]
    routes += openapi.routes(routes)

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "asked for by type"
        return _missing(request, error, routes)

    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: failed,
            Refused: _refused,
            LabelwatchError: _fault,
            ClientDisconnect: _gone,
        },
    )
    app.router.redirect_slashes = False
    return Guard(app, context.settings.token)


def _missing(request: Request, error: HTTPException, routes: list[Route]) -> Response:
    path = request.url.path
    if error.status_code == NOT_ALLOWED:
        allowed = sorted(
            {name for route in routes if route.path == path for name in route.methods or ()}
        )
        names = ", ".join(
            allowed or sorted(dict(error.headers or {}).get("Allow", "").split(", "))
        )
        return refused(
            NOT_ALLOWED,
            f"{request.method} {path} is not possible",
            f"possible: {names}",
            {"allow": names},
        )
    # Everything short is close to the page at /.
    known = [route.path for route in routes if route.path != "/"]
    close = difflib.get_close_matches(path, known, 1)
    hint = f"did you mean {close[0]}?" if close else "see /api/openapi.json"
    return refused(error.status_code, f"there is no {path[:200]}", hint)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused), "asked for by type"
    return refused(error.status, error.error, error.hint)


async def _fault(_: Request, error: Exception) -> Response:
    assert isinstance(error, LabelwatchError), "asked for by type"
    return of_fault(error)


async def _gone(_: Request, __: Exception) -> Response:
    """Nobody is there to be answered."""
    return Response(status_code=400)
