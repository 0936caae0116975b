"""Endpoints over a real store that a real loop fills: a server in a thread, asked over a socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time

import uvicorn

from consumers.board import Board
from consumers.config import HttpSettings
from consumers.http.app import application
from consumers.http.context import Context
from tests.waiting import LATE_S


@contextlib.contextmanager
def serving(settings=None, **attributes):
    """The port of a server whose context has these attributes."""
    context = Context(settings or HttpSettings(), Board(), **attributes)
    config = uvicorn.Config(application(context), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def get(port, path, method="GET", body=None):
    """Status and body of an answer; JSON as what it stands for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LATE_S)
    with contextlib.closing(connection):
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = answer.headers["content-type"].startswith("application/json")
        return answer.status, json.loads(text) if is_json else text
