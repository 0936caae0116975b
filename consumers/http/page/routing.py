"""The routes of the page. They are for people, so that the OpenAPI document leaves them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse
from starlette.routing import Route

from consumers.errors import LabelwatchError
from consumers.explaining import UnknownExample, facts_of
from consumers.http.answers import Refused, status_of
from consumers.http.listing import opened
from consumers.http.page import files, queries, reading, rendering, signing
from consumers.http.page.status import status_of as state_of
from consumers.http.parameters import given
from consumers.http.sql import answered, counted
from consumers.store.gate import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.http.context import Context

    Page = Callable[[Request], Awaitable[Response]]

ROWS_MAX = 200
_OTHER_SITES = frozenset({"cross-site", "same-site"})


def routes(context: Context) -> list[Route]:
    """The pages, their files, and signing in where there is a token."""
    pages = {
        "/": _live(context),
        "/annotators": _annotators(context),
        "/query": _query(context),
        "/explain/{example_id:any}": _explain(context),
    }
    found = [
        Route(path, _told(context, page), include_in_schema=False) for path, page in pages.items()
    ]
    found.append(Route(f"{files.PREFIX}{{name}}", files.answer, include_in_schema=False))
    return found + _signing(context)


def _told(context: Context, page: Page) -> Page:
    """The page, or its fault as a page."""

    async def answer(request: Request) -> Response:
        try:
            return await page(request)
        except Refused as fault:
            status, error, hint = fault.status, fault.error, fault.hint
        except LabelwatchError as fault:
            status = status_of(fault)
            error, _, hint = str(fault).partition("; ")
        values = {"error": error, "hint": hint, "code": status, "phase": str(context.board.phase)}
        return rendering.html("fault.html", context.settings, status, **values)

    return answer


def _live(context: Context) -> Page:
    shared = reading.Shared(context)

    async def answer(request: Request) -> Response:
        asked = given(request, reading.ASKABLE)
        filters = reading.known_only(asked)
        overview = await shared.overview(asked)
        return await run_in_threadpool(
            rendering.html,
            "live.html",
            context.settings,
            store=overview,
            state=state_of(context),
            filters=filters,
            is_first="next" not in asked,
            examples=queries.EXAMPLES,
        )

    return answer


def _annotators(context: Context) -> Page:
    async def answer(request: Request) -> Response:
        given(request, ())
        found = await run_in_threadpool(reading.annotators, opened(context))
        return await run_in_threadpool(
            rendering.html, "annotators.html", context.settings, annotators=found
        )

    return answer


def _query(context: Context) -> Page:
    async def answer(request: Request) -> Response:
        sql = given(request, ("sql",)).get("sql", "").strip()
        # A link or a picture of another site must not make this machine compute.
        is_foreign = request.headers.get("sec-fetch-site") in _OTHER_SITES
        values = {"sql": sql, "is_foreign": is_foreign, "examples": queries.EXAMPLES}
        values |= {"found": None, "error": None, "hint": None}
        status = 200
        if sql and not is_foreign:
            gate = opened(context)
            own = context.settings
            limits = Limits(own.query_s, min(ROWS_MAX, own.query_rows), own.query_bytes)
            try:
                with counted(context.metrics):
                    async with answered(request) as waiting:
                        values["found"] = await run_in_threadpool(
                            gate.ask, sql, (), limits, waiting
                        )
            except LabelwatchError as fault:
                status = status_of(fault)
                values["error"], _, values["hint"] = str(fault).partition("; ")
        return await run_in_threadpool(
            rendering.html, "query.html", context.settings, status, **values
        )

    return answer


def _explain(context: Context) -> Page:
    async def answer(request: Request) -> Response:
        given(request, ())
        gate = opened(context)

        def ask(sql: str, parameters: list[object]) -> list[reading.Row]:
            return reading.rows_of(gate, sql, parameters)

        try:
            facts = await run_in_threadpool(facts_of, ask, request.path_params["example_id"])
        except UnknownExample as error:
            raise Refused(
                404, str(error)[: queries.NAME_MAX], "the page lists examples"
            ) from error
        return await run_in_threadpool(
            rendering.html, "explain.html", context.settings, facts=facts
        )

    return answer


def _signing(context: Context) -> list[Route]:
    token = context.settings.token
    if token is None:
        return []

    async def enter(request: Request) -> Response:
        if not await signing.is_right(request, token):
            return rendering.html("sign_in.html", context.settings, 401, is_wrong=True)
        response = RedirectResponse("/", 303)
        signing.sign_in(response, token)
        return response

    async def leave(_: Request) -> Response:
        response = RedirectResponse("/", 303)
        signing.sign_out(response, token)
        return response

    return [
        Route(path, each, methods=["POST"], include_in_schema=False)
        for path, each in ((signing.PATH, enter), (signing.OUT_PATH, leave))
    ]
