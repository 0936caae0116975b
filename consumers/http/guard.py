"""Who may ask, and how much: token, host, origin and size are looked at before an endpoint is."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from consumers.config import HttpSettings
from consumers.http.answers import refused
from consumers.http.listen import is_loopback
from consumers.http.page import files, rendering, signing

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX = 8 << 20
_DRAINED_BYTES_MAX = 64 << 20
_FOR_ANYBODY = frozenset({"/livez", "/healthz", signing.PATH, signing.OUT_PATH})
_SAFE = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

log = logging.getLogger(__name__)


class Guard:
    """Lets requests through that are allowed, and puts headers on every answer that keep browsers careful.

    Without a token only this machine is listened to, by its own names: a web page whose host name was
    pointed here (DNS rebinding), or that posts to us (CSRF), is refused.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        assert scope["type"] == "http", "neither lifespan nor websockets are switched on"
        has_begun = False

        async def careful(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            app = self._refusal(Request(scope)) or _Bounded(self._app)
            await app(scope, receive, careful)
        except Exception as error:
            log.error(  # noqa: TRY400 - one line; the traceback is for those who debug
                "a bug in labelwatch: %s %s: %s: %s",
                scope["method"], scope["path"], type(error).__name__, error,
                exc_info=log.isEnabledFor(logging.DEBUG),
            )  # fmt: skip
            if not has_begun:
                answer = refused(500, "a bug in labelwatch", "the monitor goes on; report its log")
                await answer(scope, receive, careful)

    def _refusal(self, request: Request) -> Response | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if self._token is None and not is_loopback(_name(host)):
            return refused(
                403,
                f"Host: {host[:200]!r} is no name of this machine's own",
                "without a token, ask http://127.0.0.1; or set http.token",
            )
        if origin is not None and origin.partition("://")[2] != host:
            return refused(
                403,
                f"Origin: {origin[:200]!r} is another site",
                "pages of other sites may not ask; a program sends no Origin",
            )
        path = request.url.path
        is_open = path in _FOR_ANYBODY or path.startswith(files.PREFIX)
        return None if is_open or self._is_known(request) else _unknown(request)

    def _is_known(self, request: Request) -> bool:
        if self._token is None or signing.is_signed_in(request, self._token.decode()):
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_same = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        return scheme.lower() == "bearer" and is_same


def _unknown(request: Request) -> Response:
    """Programs are told what to send; people get a form."""
    headers = {"www-authenticate": 'Bearer realm="labelwatch"'}
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        page = rendering.html("sign_in.html", HttpSettings(), 401, is_wrong=False)
        page.headers.update(headers)
        return page
    return refused(
        401,
        "the token is missing or wrong",
        "send Authorization: Bearer and the token in http.token",
        headers,
    )


class _TooMuch(Exception):  # noqa: N818 - the name says what happened
    """The body is larger than a body may be."""


class _Bounded:
    """Refuses bodies above the limit, but reads on for a while: who still sends hears no answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES_MAX:
                raise _TooMuch
            return message

        async def unless_too_much(message: Message) -> None:
            # Starlette answers any exception with a 500 before it passes it on; 413 comes instead.
            if taken <= BODY_BYTES_MAX:
                await send(message)

        try:
            if _announced(scope) > BODY_BYTES_MAX:
                raise _TooMuch  # noqa: TRY301 - as for a body that does not say how large it is
            await self._app(scope, counted, unless_too_much)
        except _TooMuch:
            await _drain(receive)
            answer = refused(
                413, f"the body is larger than {BODY_BYTES_MAX:,} bytes", "send less at a time"
            )
            await answer(scope, receive, send)


def _announced(scope: Scope) -> int:
    text = Headers(scope=scope).get("content-length", "0")
    return int(text) if text.isdecimal() and len(text) < 20 else 0  # noqa: PLR2004 - fits 64 bits


async def _drain(receive: Receive) -> None:
    taken = 0
    while taken < _DRAINED_BYTES_MAX:
        message = await receive()
        taken += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _name(host: str) -> str:
    """The host of a Host header, without its port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
