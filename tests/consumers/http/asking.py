"""Routes over a living store, on a port of their own."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import uvicorn

from consumers.board import Board
from consumers.config import HttpSettings
from consumers.http.app import application
from consumers.http.context import Context


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
    context = Context(HttpSettings(**settings), Board(), gate=gate)
    config = uvicorn.Config(application(context), port=0, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def post(url, body, **headers):
    """What a client gets."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{url}/sql", body, named, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as got:
            return Got(got.status, dict(got.headers), got.read())
    except urllib.error.HTTPError as got:
        return Got(got.code, dict(got.headers), got.read())
