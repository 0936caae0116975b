"""A monitor that is killed and started again, and a client that sends to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from consumers.store.lock import url_of
from tests.consumers.terminal import finish, start
from tests.waiting import LATE_S, wait_for


class Monitor:
    """A monitor over a store: it follows its stdin, and what comes by HTTP, until `stop`."""

    def __init__(self, folder, *inputs, **settings):
        self.store = folder / "s.duckdb"
        self._folder, self._inputs, self._settings = folder, inputs, settings
        self.process = None

    def start(self, **settings):
        """Start it, and return once it answers or has ended."""
        self.process = start(
            "replay", *self._inputs or ("-",), "--store", self.store, "--listen", "127.0.0.1:0",
            cwd=self._folder, settings=self._settings | settings, stdin=subprocess.PIPE,
        )  # fmt: skip
        wait_for(lambda: self._answers() or self.process.poll() is not None)
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
