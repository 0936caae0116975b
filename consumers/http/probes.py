"""For supervisors: is it alive, and is it of use? Neither asks the store, nor the broker."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from starlette.routing import Route

from consumers.board import Phase
from consumers.http.answers import AGAIN_S, as_json, refused

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.http.context import Context

LATE_S = 60.0
"""Seconds without a commit, while there are records to read, after which a run is not ready."""
FREE_BYTES_MIN = 256 << 20
"""Bytes on the disk of the store below which a run is not ready."""


def routes(context: Context) -> list[Route]:
    """The probes."""

    async def live(_: Request) -> Response:
        """Whether the loop came round lately. A broker that is away changes nothing: its poll returns."""
        if (seconds := stood_s(context)) > context.stuck_s:
            error = f"the loop has not come round for {seconds:.0f} s"
            return refused(503, error, "kill the process and start it again: nothing is lost")
        return as_json({"alive": True, "phase": str(context.board.phase)})

    async def ready(_: Request) -> Response:
        reasons = unready(context)
        board = context.board
        found = {
            "ready": not reasons,
            "reasons": [
                {"reason": reason, "detail": detail} for reason, detail in reasons.items()
            ],
            "txn_id": board.txn_id,
            "lag_records": sum(board.lag.values()),
        }
        return as_json(
            found, 503 if reasons else 200, {"retry-after": str(AGAIN_S)} if reasons else {}
        )

    return [Route("/livez", live), Route("/healthz", live), Route("/readyz", ready)]


def stood_s(context: Context) -> float:
    """For how long the loop has not come round, in whole seconds; 0 before it begins and after it ended."""
    board = context.board
    return (time.monotonic() - board.moved_at) // 1 if board.phase is Phase.RUNNING else 0.0


def unready(context: Context) -> dict[str, str]:
    """Why the run is of no use now, reason by reason; none where it is."""
    board, reasons = context.board, {}
    if context.gate is None or board.phase is Phase.STARTING:
        reasons["starting"] = "the store is being loaded"
    if context.is_closing or board.phase is Phase.DRAINING:
        reasons["draining"] = "the run ends"
    if board.away is not None:
        reasons["source_away"] = board.away
    behind, late_s = sum(board.lag.values()), time.monotonic() - board.committed_at
    if board.phase is Phase.RUNNING and behind and late_s > LATE_S:
        reasons["commit_late"] = f"{behind:,} records to read, and no commit for {late_s:.0f} s"
    if context.path is not None:
        free_bytes = shutil.disk_usage(context.path.resolve().parent).free
        if free_bytes < FREE_BYTES_MIN:
            reasons["disk_full"] = f"{free_bytes >> 20} MiB are left on the disk of the store"
    return reasons
