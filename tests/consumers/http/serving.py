"""A monitor that answers POST /api/events, as a process of its own, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from consumers.board import Board
from consumers.cli.feeding import store_settings
from consumers.files import FileSource
from consumers.http import events
from consumers.http.context import Context
from consumers.http.intake import Intake
from consumers.loop import Breaker, run
from consumers.merged import Merged
from consumers.stopping import Stopping
from consumers.store.inbox_source import InboxSource
from consumers.store.lock import url_of
from consumers.wiring import open_line
from tests.consumers.terminal import environment, finish

LATE_S = 30


class Monitor:
    """A monitor over a store: it follows its stdin, and what comes by HTTP, until `stop`."""

    def __init__(self, folder, *inputs, **settings):
        self.store = folder / "s.duckdb"
        self._folder, self._inputs, self._settings = folder, inputs, settings
        self.process = None

    def start(self, **settings):
        """Start it, and return once it answers or has ended."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.store), *map(str, self._inputs or ("-",))],
            cwd=self._folder,
            env=environment(**self._settings | settings) | {"PYTHONPATH": str(Path.cwd())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + LATE_S
        while not self._answers() and self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not start"
            time.sleep(0.01)
        return self

    def _answers(self):
        try:
            held = json.loads(Path(f"{self.store}.lock").read_bytes())
        except (OSError, ValueError):
            return False
        return held["pid"] == self.process.pid and "url" in held

    @property
    def url(self):
        """Where it answers."""
        return url_of(self.store)

    def feed(self, *lines):
        """Write lines to its stdin."""
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        return finish(self.process)

    def stop(self):
        """SIGTERM, and how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return finish(self.process)

    def end(self):
        """End its input, and how it ended."""
        return finish(self.process)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def post(url, body, key=None, *, wait=None, kind="application/json", **headers):
    """Status, headers and JSON of an answer. Raises: OSError where nobody answers."""
    if url is None:
        raise ConnectionError("nobody answers")
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": kind} if kind else {}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        given["Idempotency-Key"] = key
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=LATE_S)
    try:
        path = "/api/events" + ("" if wait is None else f"?wait={wait}")
        connection.request("POST", path, body, given)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), json.loads(answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def serve(store, inputs):
    """A run over inputs, with the endpoint."""
    settings, stopping = store_settings(None, store, None), Stopping()
    context = Context(settings.http, Board())
    listening = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=events.routes(context))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    with open_line(settings, "labelwatch test") as line:
        context.intake = Intake.of(line.store.inbox, line.decoder, line.state.classes)
        thread.start()
        line.store.tell_url(f"http://127.0.0.1:{listening.getsockname()[1]}")
        source = FileSource(inputs, settings.value_bytes_max)
        merged = Merged(source, InboxSource(line.store.inbox))
        run(line, merged, Breaker(is_armed=True), stopping, lambda _: None)
        server.should_exit = True
        thread.join()
        source.close()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
