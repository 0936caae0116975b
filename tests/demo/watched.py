"""`labelwatch demo` in a process of its own, as somebody watches it."""

from __future__ import annotations

import codecs
import contextlib
import http.client
import json
import os
import pty
import re
import threading
import time
from urllib.parse import urlsplit

from tests.consumers.terminal import Ended, start

WAIT_S = 120
"""Only a demo that hangs takes as long."""


class Demo:
    """What it writes to stderr is `said`, while it goes on."""

    def __init__(self, folder, *flags, on_terminal=False, **options):
        self.said = ""
        self._is_on_terminal = on_terminal
        read, write = pty.openpty() if on_terminal else os.pipe()
        self.process = start(
            "demo", "--listen", "127.0.0.1:0", *flags, cwd=folder, stderr=write, **options
        )
        os.close(write)
        self._listener = threading.Thread(target=self._listen, args=(read,))
        self._listener.start()

    def wait_for(self, pattern):
        """Wait until this was said; the match."""
        deadline = time.monotonic() + WAIT_S
        while not (found := re.search(pattern, self._whole(), re.MULTILINE)):
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)
        return found

    def _whole(self):
        """What was said without the line that is being said; a terminal's last line may be written over."""
        return self.said if self._is_on_terminal else self.said[: self.said.rfind("\n") + 1]

    @property
    def url(self):
        """Where it says that it answers."""
        return self.wait_for(r"^  (http://\S+)/ in a browser")[1]

    def get(self, path):
        """The JSON that it answers; None while it is not ready."""
        return self._ask("GET", path)

    def query(self, sql):
        """The rows of a query, asked of it."""
        found = self.post("/sql", {"sql": sql})
        return [tuple(row) for row in found["rows"]]

    def post(self, path, body):
        """The JSON that it answers to this."""
        return self._ask("POST", path, json.dumps(body))

    def stop(self, number):
        """Send it a signal; how it ended."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=WAIT_S)
        self._listener.join()
        return Ended(self.process.returncode, out.decode(), self.said)

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return json.loads(text) if answer.status < http.client.MULTIPLE_CHOICES else None

    def _listen(self, read):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with contextlib.suppress(OSError):  # what a terminal says at its end
            while block := os.read(read, 1 << 16):
                self.said = (self.said + decoder.decode(block)).replace("\r\n", "\n")
        os.close(read)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self._listener.join()
