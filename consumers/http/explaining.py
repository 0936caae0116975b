"""GET /api/explain/{example_id}: the numbers behind the flags of one example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Route

from consumers.explaining import UnknownExample, facts_of
from consumers.http.answers import JSON, Refused, as_json, chosen
from consumers.http.listing import opened
from consumers.http.parameters import given

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.http.context import Context


class _Any(Convertor[str]):
    """All that is left of a path; Starlette's own ends at a newline."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """The text as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The text as it is."""
        return value


register_url_convertor("any", _Any())


def routes(context: Context) -> list[Route]:
    """The explanation. An example's id may hold anything, slashes too."""

    async def answer(request: Request) -> Response:
        chosen(request, (JSON,))
        given(request, ())
        gate = opened(context)

        def ask(sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
            found = gate.ask_own(sql, parameters)
            names = [name for name, _ in found.columns]
            return [dict(zip(names, row, strict=True)) for row in found.rows]

        try:
            facts = await run_in_threadpool(facts_of, ask, request.path_params["example_id"])
        except UnknownExample as error:
            raise Refused(404, str(error), "GET /api/label-issues lists some") from error
        return as_json(facts)

    return [Route("/api/explain/{example_id:any}", answer)]
