"""Routes over a living store, on a port of their own."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

from consumers.config import HttpSettings
from tests.consumers import served
from tests.waiting import LATE_S


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        """The body, which must be JSON as the standard has it."""
        return json.loads(self.body, parse_constant=lambda name: 1 / 0)


@contextlib.contextmanager
def serving(gate, **settings):
    """The address of a server that asks this gate."""
    with served.serving(HttpSettings(**settings), gate=gate) as port:
        yield f"http://127.0.0.1:{port}"


def post(url, body, **headers):
    """What a client gets."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{url}/sql", body, named, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=LATE_S) as got:
            return Got(got.status, dict(got.headers), got.read())
    except urllib.error.HTTPError as got:
        return Got(got.code, dict(got.headers), got.read())
