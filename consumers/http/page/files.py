"""Style, script and icon: files of the package, answered from memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from consumers.http.answers import Refused
from consumers.http.parameters import given

if TYPE_CHECKING:
    from starlette.requests import Request

PREFIX: Final = "/page/"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_NAMES: Final = ("page.css", "page.js", "icon.svg")
_KEPT: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class File:
    """A file, and the hash that its address names: another content has another address."""

    body: bytes
    media_type: str
    version: str


def _load(name: str) -> File:
    body = files("consumers.http.page").joinpath("static", name).read_bytes()
    media_type = _TYPES[name[name.rindex(".") :]]
    return File(body, media_type, hashlib.sha256(body).hexdigest()[:12])


FILES: Final = {name: _load(name) for name in _NAMES}


def address(name: str) -> str:
    """Where a file is, for as long as it stays as it is."""
    return f"{PREFIX}{name}?v={FILES[name].version}"


async def answer(request: Request) -> Response:
    """A file. Raises: Refused."""
    name = request.path_params["name"]
    asked = given(request, ("v",))
    if name not in FILES:
        raise Refused(404, f"there is no {PREFIX}{name[:200]}", "see /")
    found = FILES[name]
    tag = f'"{found.version}"'
    headers = {
        "cache-control": _KEPT if asked.get("v") == found.version else "no-cache",
        "etag": tag,
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(found.body, 200, headers, found.media_type)
