"""GET /api/label-issues, classes, annotators, duplicates, offsets and dead-letters, a page at a time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from consumers.http import parameters
from consumers.http.answers import CSV, JSON, Refused, as_csv, as_json, chosen
from consumers.http.lists import LISTS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.http.context import Context
    from consumers.http.lists import Listed
    from consumers.store.gate import Gate

_STYLES = {".json": JSON, ".csv": CSV}
_TYPES: dict[str, type] = {"number": float, "integer": int, "string": str, "timestamp": str}


def routes(context: Context) -> list[Route]:
    """Each list under its name, and under its name with `.json` and `.csv`."""
    return [
        _route(context, name, listed, end)
        for name, listed in LISTS.items()
        for end in ("", *_STYLES)
    ]


def opened(context: Context) -> Gate:
    """Where the store can be asked. Raises: Refused while it is being loaded, or closed."""
    if context.gate is None or context.is_closing:
        what = "closed" if context.is_closing else "loaded"
        raise Refused(503, f"the store is being {what}", "ask again; /readyz says when")
    return context.gate


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the place after them, None after the last."""

    rows: list[tuple[Any, ...]]
    cursor: str | None


def page_of(gate: Gate, name: str, listed: Listed, asked: dict[str, str]) -> Page:
    """The page that is asked for. Raises: Refused, LabelwatchError."""
    limit = parameters.row_limit(asked)
    where, values = _conditions(name, listed, asked)
    keys = ", ".join(listed.key)
    shown = ", ".join(
        f"{column.sql} AS {title}" if column.sql else title
        for title, column in listed.columns.items()
    )
    found = gate.ask_own(
        f"SELECT ({keys}) AS key, {listed.numbers or shown} FROM {listed.view} "  # noqa: S608 - our own names
        f"WHERE {where} ORDER BY {_order(listed)} LIMIT {limit + 1}",
        values,
    ).rows
    rows, has_more = [row[1:] for row in found[:limit]], len(found) > limit
    if listed.numbers and rows:
        # What was cleared since the numbers were read is left out.
        numbers = ", ".join(str(number) for (number,) in rows)
        rows = gate.ask_own(
            f"SELECT {shown} FROM {listed.whole} "  # noqa: S608 - as above
            f"AND {listed.numbers} IN ({numbers}) ORDER BY {_order(listed)}"
        ).rows
    return Page(rows, _cursor(name, found[limit - 1][0]) if has_more else None)


def _conditions(name: str, listed: Listed, asked: dict[str, str]) -> tuple[str, list[Any]]:
    conditions, values = [], []
    for parameter, column in listed.filters.items():
        if parameter in asked:
            conditions.append(f"{_comparable(listed, column)} = ?")
            values.append(asked[parameter])
    if "next" in asked:
        types = [_TYPES[listed.columns[column].kind] for column in listed.key]
        values += parameters.of_cursor(name, asked["next"], types)
        marks = ", ".join(_mark(listed, column) for column in listed.key)
        conditions.append(f"({_order(listed)}) > ({marks})")
    return " AND ".join(conditions) or "true", values


def _route(context: Context, name: str, listed: Listed, end: str) -> Route:
    async def answer(request: Request) -> Response:
        style = _STYLES[end] if end else chosen(request, (JSON, CSV))
        asked = parameters.given(request, [*listed.filters, "limit", "next"])
        page = await run_in_threadpool(page_of, opened(context), name, listed, asked)
        links = {}
        if page.cursor:
            links = {"link": f'<{_next_url(request, asked, page.cursor)}>; rel="next"'}
        if style == CSV:
            return as_csv(list(listed.columns), page.rows, links)
        shown = [dict(zip(listed.columns, row, strict=True)) for row in page.rows]
        return as_json({"rows": shown, "next": page.cursor}, headers=links)

    return Route(f"/api/{name}{end}", answer)


def _comparable(listed: Listed, column: str) -> str:
    """A column that is equal to itself, and has an order, where it is null: null counts as empty."""
    return f"coalesce({column}, '')" if listed.columns[column].is_nullable else column


def _order(listed: Listed) -> str:
    return ", ".join(_comparable(listed, column) for column in listed.key)


def _mark(listed: Listed, column: str) -> str:
    return "?::TIMESTAMP" if listed.columns[column].kind == "timestamp" else "?"


def _cursor(name: str, values: tuple[Any, ...]) -> str:
    # JSON of a time would lose its microseconds.
    key = ["" if v is None else v.isoformat() if isinstance(v, dt.datetime) else v for v in values]
    return parameters.as_cursor(name, key)


def _next_url(request: Request, asked: dict[str, str], cursor: str) -> str:
    return f"{request.url.path}?{urlencode(asked | {'next': cursor})}"
