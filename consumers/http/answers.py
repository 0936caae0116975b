"""Answers that every endpoint gives alike."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


def refused(status: int, error: str, hint: str | None = None) -> Response:
    """Why there is no answer, and what to do, as JSON."""
    return JSONResponse({"error": error, "hint": hint}, status)
