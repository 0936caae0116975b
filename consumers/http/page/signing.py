"""Signing in: browsers cannot send a bearer token with a link, so they get a cookie for it.

The cookie is derived from the token, which cannot be had from it; it needs no memory, and ends with the
browser or with the token. Only what reads accepts it: no page of another site can act through it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from consumers.http.answers import Refused

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PATH: Final = "/sign-in"
OUT_PATH: Final = "/sign-out"
_BYTES_MAX: Final = 16_384
_READING: Final = frozenset({"GET", "HEAD"})


def cookie_of(token: str) -> tuple[str, str]:
    """Name and value of the cookie. The name is the token's own: cookies are not kept apart by port."""
    name = _derived(token, "name")[:8]
    return f"labelwatch-{name}", _derived(token, "value")


def is_signed_in(request: Request, token: str) -> bool:
    """Whether a request that only reads has the cookie."""
    name, value = cookie_of(token)
    found = request.cookies.get(name, "").encode("utf-8", "replace")
    return request.method in _READING and hmac.compare_digest(found, value.encode())


async def is_right(request: Request, token: str) -> bool:
    """Whether a form holds the token. Raises: Refused."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BYTES_MAX:
            raise Refused(
                413, f"the form is larger than {_BYTES_MAX:,} bytes", "send the token alone"
            )
    sent = parse_qs(body.decode("latin-1"), max_num_fields=4).get("token", [""])[0]
    return hmac.compare_digest(sent.strip().encode("utf-8", "replace"), token.encode())


def sign_in(response: Response, token: str) -> None:
    """Give the cookie away."""
    name, value = cookie_of(token)
    response.set_cookie(name, value, path="/", httponly=True, samesite="strict")


def sign_out(response: Response, token: str) -> None:
    """Take it back."""
    response.delete_cookie(cookie_of(token)[0], path="/", httponly=True, samesite="strict")


def _derived(token: str, purpose: str) -> str:
    return hmac.new(
        token.encode(), f"labelwatch page {purpose}".encode(), hashlib.sha256
    ).hexdigest()
