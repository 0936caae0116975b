"""A monitor that answers, as its clients see it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from urllib.parse import urlsplit

from consumers.store.lock import url_of
from tests.consumers.terminal import finish, start
from tests.waiting import LATE_S as WAIT_S
from tests.waiting import wait_for


class Monitor:
    """`labelwatch replay -` in a process of its own: what is written to it is the stream."""

    def __init__(self, folder, *flags, settings=None):
        self.store = folder / "live.duckdb"
        self.token = (settings or {}).get("HTTP__TOKEN")
        self.sent_count = 0
        read, write = os.pipe()
        self.stdin = os.fdopen(write, "wb")
        self.process = start(
            "replay", "-", "--store", self.store, "--listen", "127.0.0.1:0", "--keep-going", *flags,
            cwd=folder, settings=settings, stdin=read,
        )  # fmt: skip
        os.close(read)
        try:
            wait_for(lambda: url_of(self.store) is not None or self.process.poll() is not None)
            assert self.process.poll() is None, finish(self.process).err
        except BaseException:
            self.kill()
            raise
        self.url = url_of(self.store)

    def send(self, *events):
        """Write events to the stream."""
        lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        self.stdin.write(b"".join(line + b"\n" for line in lines))
        self.stdin.flush()
        self.sent_count += len(lines)

    def settle(self):
        """Wait until what was sent is committed, and the loop has told so."""
        wait_for(lambda: self.next_offset() >= self.sent_count)
        asked = self.ask("POST", "/sql", body=b"SELECT max(txn_id) FROM store.txn")
        ((txn_id,),) = asked.json["rows"]
        wait_for(lambda: self.get("/readyz").json["txn_id"] >= (txn_id or 0))

    def next_offset(self):
        """How many records of the stream are committed."""
        rows = self.get("/api/offsets").json["rows"]
        return next((row["next_offset"] for row in rows if row["topic"] == "stdin:"), 0)

    def get(self, path, **headers):
        """Ask."""
        return self.ask("GET", path, headers=headers)

    def ask(self, method, path, *, body=None, headers=None):
        """Ask in any way. `_` in the names of headers is `-`."""
        given = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        given |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, given)
            return Answer(connection.getresponse())

    def connect(self, request, *, buffer_bytes=None):
        """A socket that has sent these bytes."""
        parts = urlsplit(self.url)
        found = socket.socket()
        if buffer_bytes is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        found.settimeout(WAIT_S)
        found.connect((parts.hostname, parts.port))
        found.sendall(request)
        return found

    def stop(self):
        """Let it end, as SIGTERM does; how it ended."""
        self.process.terminate()
        ended = finish(self.process)
        self.stdin.close()
        return ended

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """End it, whatever has become of it."""
        self.process.kill()
        self.process.communicate()
        self.stdin.close()


class Answer:
    """What came back."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        """The body as a value."""
        assert self.headers["content-type"] == "application/json", self.headers
        return json.loads(self.body)

    @property
    def fault(self):
        """The body of a fault."""
        found = self.json
        assert set(found) == {"error", "hint"}
        assert "\n" not in found["error"]
        return found


def events_of(stream, count):
    """The next events of a stream: id and data of each."""
    found, lines = [], {}
    while len(found) < count:
        line = stream.readline().decode()
        assert line, "the stream has ended"
        if line == "\n":
            if "data" in lines:
                assert lines["event"] == "finding"
                found.append((lines["id"], json.loads(lines["data"])))
            lines = {}
        elif not line.startswith(":"):
            name, _, value = line.rstrip("\n").partition(": ")
            lines[name] = value
    return found
