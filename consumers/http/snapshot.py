"""POST /api/snapshot: a copy of the store beside it, as of one commit, while the loop goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumers.errors import StoreError
from consumers.http.answers import refused

if TYPE_CHECKING:
    from starlette.requests import Request

    from consumers.http.context import Context


def routes(context: Context) -> list[Route]:
    """One endpoint, which names the file that it wrote. Whoever asked moves it."""

    async def snapshot(_: Request) -> Response:
        return await run_in_threadpool(_take, context)

    return [Route("/api/snapshot", snapshot, methods=["POST"])]


def _take(context: Context) -> Response:
    if context.snapshots is None:
        return refused(503, "the store is still being loaded", "ask again in a moment")
    try:
        taken = context.snapshots.take()
    except StoreError as error:
        return refused(503, str(error))
    if taken is None:
        return refused(429, "another snapshot is being made", "ask again in a moment")
    # Only the name: the folder may be called otherwise where the asker lives.
    return JSONResponse(
        {"name": taken.path.name, "txn_id": taken.txn_id, "byte_count": taken.byte_count}
    )
