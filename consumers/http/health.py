"""GET /api/health: how good the labels are, as of the last commit."""

from __future__ import annotations

from dataclasses import asdict, astuple, fields
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from consumers.health import QUERY, CellRow, ClassRow, document, strata_of
from consumers.http.answers import CSV, JSON, Refused, as_csv, as_json, chosen
from consumers.http.listing import opened
from consumers.http.parameters import given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.http.context import Context

_STYLES = {"": (JSON, CSV), ".json": (JSON,), ".csv": (CSV,)}


def routes(context: Context) -> list[Route]:
    """Summary and classes, and the cells of the joint, as JSON or CSV."""
    return [
        _route(context, end, is_cells=is_cells) for is_cells in (False, True) for end in _STYLES
    ]


def _route(context: Context, end: str, *, is_cells: bool) -> Route:
    async def answer(request: Request) -> Response:
        style = _STYLES[end][0] if end else chosen(request, _STYLES[end])
        given(request, ())
        return await run_in_threadpool(_answer, context, style, is_cells=is_cells)

    return Route(f"/api/health{'/cells' * is_cells}{end}", answer)


def _answer(context: Context, style: str, *, is_cells: bool) -> Response:
    found = opened(context).ask_own(QUERY)
    if found.is_truncated:
        raise Refused(413, "there are more model versions than an answer holds", "ask POST /sql")
    strata = strata_of(found.rows)
    if style == JSON and not is_cells:
        return as_json(document(strata))
    rows = [row for each in strata for row in (each.cells() if is_cells else each.classes())]
    return _as_rows(rows, CellRow if is_cells else ClassRow, style)


def _as_rows(
    rows: Sequence[ClassRow | CellRow], kind: type[ClassRow | CellRow], style: str
) -> Response:
    if style == JSON:
        return as_json([asdict(row) for row in rows])
    return as_csv([field.name for field in fields(kind)], map(astuple, rows))
