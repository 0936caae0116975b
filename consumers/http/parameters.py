"""What is asked for in a URL, checked: a parameter that nobody knows is an error, never silence."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from consumers.http.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

ROWS = 100
ROWS_MAX = 1_000
_TEXT_MAX = 100


def given(request: Request, known: Iterable[str]) -> dict[str, str]:
    """The parameters of a request. Raises: Refused where one is unknown, or given twice."""
    found: dict[str, str] = {}
    names = sorted(known)
    for name, value in request.query_params.multi_items():
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = (
                f"did you mean {close[0]}?" if close else f"known are {', '.join(names) or 'none'}"
            )
            raise Refused(400, f"{name[:_TEXT_MAX]!r} is no parameter of {request.url.path}", hint)
        if name in found:
            raise Refused(400, f"{name} is given twice", "give it once")
        found[name] = value
    return found


def whole_number(name: str, text: str) -> int:
    """A number in 64 bits. Raises: Refused."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Refused(
            400, f"{name}: {text[:_TEXT_MAX]!r} is no whole number", "write it in digits"
        )
    return int(text)


def value_of(name: str, text: str, kind: str) -> str | int | bool:
    """What a filter of this kind compares with. Raises: Refused."""
    if kind == "integer":
        return whole_number(name, text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise Refused(
                400, f"{name}: {text[:_TEXT_MAX]!r} is neither true nor false", "write one of them"
            )
        return text == "true"
    return text


def row_limit(parameters: Mapping[str, str]) -> int:
    """How many rows to answer, never more than there may be. Raises: Refused."""
    limit = whole_number("limit", parameters.get("limit", str(ROWS)))
    if limit < 1:
        raise Refused(400, f"limit: {limit} rows are none", f"ask for 1 to {ROWS_MAX:,}")
    return min(limit, ROWS_MAX)


def as_cursor(name: str, key: Sequence[Any]) -> str:
    """A place in a list, as a text to hand out."""
    return base64.urlsafe_b64encode(msgspec.json.encode([name, *key])).decode().rstrip("=")


def of_cursor(name: str, text: str, types: Sequence[type]) -> list[Any]:
    """The place in a list that was handed out. Raises: Refused where it was not."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(found, list) or found[:1] != [name]:
            raise ValueError("another list's")  # noqa: TRY301 - as whatever else is wrong with it
        key = [_as(kind, value) for kind, value in zip(types, found[1:], strict=True)]
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise Refused(
            400,
            "next: this is no cursor of this list",
            "take it from the last answer, or begin without it",
        ) from error
    return key


def _as(kind: type, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (kind, int) if kind is float else kind):
        raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004 - it is a value that was sent
    return value
