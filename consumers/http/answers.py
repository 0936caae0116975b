"""What the endpoints answer with where they cannot answer the question."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


def refused(status: int, error: str, hint: str | None = None) -> Response:
    """An error as JSON: what is wrong, and what helps."""
    return JSONResponse({"error": error, "hint": hint}, status)
