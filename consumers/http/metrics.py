"""GET /metrics, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from consumers.http.context import Context


def routes(context: Context) -> list[Route]:
    """The endpoint, where the run keeps metrics."""
    metrics = context.metrics
    if metrics is None:
        return []

    async def show(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        body, content_type = await run_in_threadpool(metrics.render, accept)
        return Response(body, headers={"content-type": content_type})

    return [Route("/metrics", show)]
