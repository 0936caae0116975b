"""Answers of the endpoints: faults as `{"error", "hint"}`."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

AGAIN_S = 1


class Refused(Exception):  # noqa: N818 - the name says what happened
    """A request that gets this answer instead of the one it wanted."""

    def __init__(self, status: int, error: str, hint: str | None = None) -> None:
        self.status, self.error, self.hint = status, error, hint
        super().__init__(error)


def refused(status: int, error: str, hint: str | None = None) -> Response:
    """A fault of the request or of ours. Those that pass by themselves say when to ask again."""
    again = {"retry-after": str(AGAIN_S)} if status in {429, 503} else None
    return JSONResponse({"error": error, "hint": hint}, status, again)
