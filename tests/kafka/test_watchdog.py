from __future__ import annotations

import contextlib
import socket
import struct
import threading

import pytest

from tests.consumers.terminal import finish, start
from tests.kafka.running import chosen

VERSIONS = 18


class Mute:
    """A server that tells its API versions as the oldest clients ask for them, and nothing else, ever."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.servers = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Hang up."""
        for each in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with contextlib.suppress(OSError, struct.error):
            while True:
                _, key, version, correlation = struct.unpack(">ihhi", connection.recv(12))
                connection.recv(1_000)
                if (key, version) == (VERSIONS, 0):
                    connection.sendall(struct.pack(">iihi", 10, correlation, 0, 0))


@pytest.fixture
def mute():
    """Such a server."""
    server = Mute()
    yield server
    server.close()


def test_a_call_that_never_returns_ends_the_process(client, mute, tmp_path):
    """After stuck_s in one call of the client all stacks go to stderr, and the process ends with 70."""
    settings = chosen | {"KAFKA__STUCK_S": 5}
    arguments = ["--bootstrap-servers", mute.servers, "--topic", "t", "--start", "earliest"]
    ended = finish(start("run", *arguments, cwd=tmp_path, settings=settings))
    assert ended.exit_code == 70
    assert "most recent call first" in ended.err
    assert f"clients/{'python' if client == 'kafka' else client}.py" in ended.err
    assert ended.err.endswith(
        "labelwatch: the Kafka client has not returned for 5 s; the store is as of its last commit; run "
        "again to go on\n"
    )
