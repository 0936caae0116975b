"""GET /api/health: how good the labels are, as of the last commit."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, astuple, fields
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumers.health import QUERY, CellRow, ClassRow, document, strata_of
from consumers.http.answers import refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from consumers.health import Stratum
    from consumers.http.context import Context


def routes(context: Context) -> list[Route]:
    """Summary and classes, and the cells of the joint, as JSON or CSV."""

    async def health(request: Request) -> Response:
        return await run_in_threadpool(_answer, context, request.url.path)

    names = ("health", "health/cells")
    return [Route(f"/api/{name}{end}", health) for name in names for end in ("", ".json", ".csv")]


def _answer(context: Context, path: str) -> Response:
    if context.gate is None:
        return refused(503, "the store is still being loaded", "ask again in a moment")
    answer = context.gate.ask(QUERY)
    if answer.is_truncated:
        return refused(413, "there are more model versions than an answer holds", "ask POST /sql")
    strata = strata_of(answer.rows)
    is_cells = path.removesuffix(".csv").removesuffix(".json").endswith("/cells")
    if path.endswith(".csv"):
        return _as_csv(strata, is_cells=is_cells)
    if is_cells:
        cells = [asdict(row) for each in strata for row in each.cells()]
        return JSONResponse(cells)
    return JSONResponse(document(strata))


def _as_csv(strata: Iterable[Stratum], *, is_cells: bool) -> Response:
    kind: type[ClassRow | CellRow] = CellRow if is_cells else ClassRow
    rows = (row for each in strata for row in (each.cells() if is_cells else each.classes()))
    text = io.StringIO(newline="")
    # All text is quoted, because before Python 3.13 a carriage return is no reason to.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(astuple(row) for row in rows)
    return Response(text.getvalue(), media_type="text/csv")
