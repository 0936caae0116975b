"""Answers of the endpoints: JSON or CSV, and faults as `{"error", "hint"}`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from consumers.errors import LabelwatchError, StoreError, UsageError
from consumers.store.gate import Busy, Stopped, TimeUp, TooLarge
from consumers.values import plain, write_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

JSON = "application/json"
CSV = "text/csv"
AGAIN_S = 1
_STATUS: dict[type[LabelwatchError], int] = {
    UsageError: 400,
    TimeUp: 408,
    TooLarge: 413,
    Busy: 429,
    Stopped: 503,
    StoreError: 503,
}


class Refused(Exception):  # noqa: N818 - the name says what happened
    """A request that gets this answer instead of the one it wanted."""

    def __init__(self, status: int, error: str, hint: str | None = None) -> None:
        self.status, self.error, self.hint = status, error, hint
        super().__init__(error)


def refused(
    status: int, error: str, hint: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A fault of the request or of ours. Those that pass by themselves say when to ask again."""
    again = {"retry-after": str(AGAIN_S)} if status in {429, 503} else {}
    return as_json({"error": error, "hint": hint}, status, again | dict(headers or {}))


def status_of(fault: LabelwatchError) -> int:
    """The status that a fault means."""
    return next((code for kind, code in _STATUS.items() if isinstance(fault, kind)), 500)


def of_fault(fault: LabelwatchError) -> Response:
    """A fault of the surroundings, with the status that it means."""
    status = status_of(fault)
    error, _, hint = str(fault).partition("; ")
    return refused(status, error, hint or None)


def as_json(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A value as JSON, times in RFC 3339."""
    return Response(msgspec.json.encode(plain(value)), status, dict(headers or {}), JSON)


def as_csv(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Rows as CSV with a header."""
    text = io.StringIO(newline="")
    write_csv(text, columns, rows)
    return Response(text.getvalue(), 200, dict(headers or {}), CSV)


def chosen(request: Request, offers: Sequence[str]) -> str:
    """The media type among `offers` that the client likes best. Raises: Refused with 406 where it takes none.

    The first offer wins where the client does not care.
    """
    header = request.headers.get("accept", "*/*")
    likes = {name: q for name, q in map(_like, header.split(",")) if name}
    best = max(offers, key=lambda offer: _liking(likes, offer))
    if likes and _liking(likes, best) <= 0:
        shown = ", ".join(offers)
        raise Refused(406, f"Accept: {header[:200]!r} is not to be had", f"there are {shown}")
    return best


def _like(part: str) -> tuple[str, float]:
    """A media type of an Accept header, and how much it is wanted."""
    name, *parameters = (text.strip().lower() for text in part.split(";"))
    q = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return name, float(q)
    except ValueError:
        return name, 0.0


def _liking(likes: Mapping[str, float], offer: str) -> float:
    """What the closest range of an Accept header says of a media type."""
    ranges = (offer, f"{offer.partition('/')[0]}/*", "*/*")
    return next((likes[name] for name in ranges if name in likes), 0.0)
