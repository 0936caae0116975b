"""The server beside the loop: where it listens, from when, until when."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from consumers.board import Board
from consumers.config import HttpSettings, Settings
from consumers.http import connections, listen
from consumers.http.connections import CONNECTIONS_MAX, FIRST_REQUEST_S
from consumers.http.intake import Intake
from consumers.http.listen import STALLED_S
from consumers.http.server import STOP_S, STREAMS_END_S, Server
from consumers.metrics import Metrics
from consumers.store import Store
from consumers.store.lock import url_of
from consumers.wiring import open_line
from tests.consumers.http.web import Monitor
from tests.consumers.stored import write_jsonl
from tests.consumers.terminal import run_here
from tests.waiting import wait_for, wait_for_commit


@pytest.fixture
def taken():
    """A port that somebody else has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def with_input(folder):
    """A folder with a file to replay."""
    write_jsonl(folder / "e.jsonl", [])
    return folder


def test_a_taken_port(taken, tmp_path):
    """A port that was asked for and is taken ends with 2, names port and fix, and makes no store."""
    ended = run_here(
        "replay", "e.jsonl", "--listen", f"127.0.0.1:{taken}", cwd=with_input(tmp_path)
    )
    assert ended.exit_code == 2
    assert f"port {taken} of 127.0.0.1 is taken" in ended.fault
    assert "--listen" in ended.fault
    assert [path.name for path in tmp_path.iterdir()] == ["e.jsonl"]


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.7:0"])
def test_other_machines_need_a_token(tmp_path, address):
    """An address that others can reach is refused without a token: exit 2, with the name of the setting."""
    ended = run_here("replay", "e.jsonl", "--listen", address, cwd=with_input(tmp_path))
    assert ended.exit_code == 2
    assert "LABELWATCH_HTTP__TOKEN" in ended.fault


def test_an_address_of_another_machine(tmp_path):
    """An address that this machine does not have ends with 2."""
    ended = run_here(
        "replay", "e.jsonl", "--listen", "192.0.2.7:80",
        cwd=with_input(tmp_path), settings={"HTTP__TOKEN": "t"},
    )  # fmt: skip
    assert ended.exit_code == 2
    assert "http.listen: 192.0.2.7:80: " in ended.fault


@pytest.mark.parametrize(
    "address",
    ["", ":80", "localhost", "8711", "127.0.0.1:70000", "a b:1", "::1:80", "localhost:-1"],
)
def test_what_is_no_address(tmp_path, address):
    """What is no host and port ends with 2, and shows how to write one."""
    ended = run_here("replay", "e.jsonl", "--listen", address, cwd=with_input(tmp_path))
    assert ended.exit_code == 2
    assert "listen" in ended.fault


def test_every_address_with_a_token(tmp_path):
    """With a token it listens for other machines, too."""
    monitor = Monitor(tmp_path, "--listen", "0.0.0.0:0", settings={"HTTP__TOKEN": "t"})
    try:
        assert monitor.url.startswith("http://0.0.0.0:")
        assert monitor.get("/api/classes").status == 200
    finally:
        monitor.kill()


def test_off_is_off(tmp_path):
    """With `off` nothing listens."""
    folder = with_input(tmp_path)
    ended = run_here("replay", "e.jsonl", "--listen", "off", cwd=folder)
    assert (ended.exit_code, url_of(folder / "labelwatch.duckdb")) == (0, None)


def test_a_replay_listens_only_where_it_is_told(tmp_path):
    """Without --listen a replay does not mind whether the configured port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        ended = run_here(
            "replay", "e.jsonl",
            cwd=with_input(tmp_path), settings={"HTTP__LISTEN": listen},
        )  # fmt: skip
    assert ended.exit_code == 0, ended.err


def test_the_lock_file_says_where(monitor):
    """While a monitor runs its lock file has its URL; afterwards nobody's."""
    held = json.loads((monitor.store.parent / "live.duckdb.lock").read_text())
    assert held == {"pid": monitor.process.pid, "command": "labelwatch replay", "url": monitor.url}
    assert monitor.get("/livez").status == 200
    assert monitor.stop().exit_code == 0
    assert url_of(monitor.store) is None


def test_a_second_monitor_on_the_store(monitor):
    """It says who holds the store, and ends with 3; the first one is not disturbed."""
    folder = with_input(monitor.store.parent)
    ended = run_here(
        "replay", "e.jsonl", "--store", monitor.store, "--listen", "127.0.0.1:0", cwd=folder
    )
    assert ended.exit_code == 3
    assert f"pid {monitor.process.pid} (labelwatch replay)" in ended.fault
    assert monitor.get("/api/classes").status == 200


def test_it_stops_whoever_is_there(monitor):
    """With streams open, and a request half sent, a monitor that is to stop waits for nobody."""
    stream = monitor.connect(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    half = monitor.connect(
        b"POST /api/classes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"
    )
    idle = monitor.connect(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with stream, half, idle:
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        assert monitor.stop().exit_code == 0
        # Whoever hangs up on such clients by itself does so after this time, and the loop needs some too.
        assert time.monotonic() - started < min(FIRST_REQUEST_S, STALLED_S)
    assert STREAMS_END_S + STOP_S <= 3


def metrics_of(settings, board):
    """The metrics of a run."""
    return Metrics(settings.metrics, board, Path(settings.store))


def client_of(server):
    """A client of a server in this process."""
    client = Monitor.__new__(Monitor)
    client.url, client.token = server.url, None
    return client


def test_it_answers_before_the_store_is_loaded(tmp_path):
    """While the store is being loaded, probes say so and what needs the store is 503: nothing hangs."""
    board = Board()
    settings = Settings(store=str(tmp_path / "s.duckdb"), http=HttpSettings(listen="127.0.0.1:0"))
    server = Server(settings, board, metrics_of(settings, board))
    try:
        client = client_of(server)
        assert client.get("/livez").json == {"alive": True, "phase": "starting"}
        ready = client.get("/readyz")
        assert ready.status == 503
        assert [each["reason"] for each in ready.json["reasons"]] == ["starting"]
        for path in ("/api/classes", "/api/explain/x", "/api/events"):
            answer = client.get(path)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.fault["error"] == "the store is being loaded"
        with (
            open_line(settings, "test") as line,
            server.over(line.store, Intake.of(line.store.inbox, line.decoder, line.state.classes)),
        ):
            assert client.get("/api/classes").status == 200
        with pytest.raises(OSError, match="refused"):
            client.get("/livez")
    finally:
        server.close()


def test_whoever_is_told_where_it_answers_is_answered(filled, monkeypatch):
    """When its URL is told all is there, and a stream goes on, though the loop has not come round yet."""
    settings = Settings(store=str(filled), http=HttpSettings(listen="127.0.0.1:0"))
    board, answers = Board(), []
    server = Server(settings, board, metrics_of(settings, board))

    def ask(_, url):
        client = client_of(server)
        answers.append(client.get("/api/classes").status)
        answers.append(
            client.ask("HEAD", "/api/events", headers={"Last_Event_ID": "1.x.1"}).status
        )
        assert url == server.url

    monkeypatch.setattr(Store, "tell_url", ask)
    with (
        contextlib.closing(server),
        open_line(settings, "test") as line,
        server.over(line.store, Intake.of(line.store.inbox, line.decoder, line.state.classes)),
    ):
        assert answers == [200, 200]


def test_the_default_port_is_not_insisted_on(taken, tmp_path, monkeypatch):
    """Where nobody asked for a port and the default one is taken, another is used, and one line says so."""
    # The real one may be let go of by others meanwhile.
    monkeypatch.setattr(listen, "DEFAULT", replace(listen.DEFAULT, port=taken))
    settings, board = Settings(store=str(tmp_path / "s.duckdb")), Board()
    server = Server(settings, board, metrics_of(settings, board))
    try:
        assert server.url.startswith("http://127.0.0.1:")
        assert not server.url.endswith(f":{taken}")
    finally:
        server.close()


def test_connections_are_bounded(monitor):
    """Connections above the limit are hung up on; the loop goes on, and so do answers once they are gone."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(monitor.connect(b"")) for _ in range(CONNECTIONS_MAX + 50)]
        wait_for(lambda: sum(map(_is_hung_up, sockets)) >= 50)
        assert sum(map(_is_hung_up, sockets)) == 50
        assert len(list(Path(f"/proc/{monitor.process.pid}/fd").iterdir())) < CONNECTIONS_MAX + 50
        monitor.send(*[b"{"] * 3)
        wait_for_commit(monitor.store, monitor.process)
    wait_for(lambda: _answers(monitor))
    monitor.settle()


def test_a_connection_that_asks_nothing(tmp_path, monkeypatch):
    """It is hung up on after a while, also where it has begun to ask."""
    monkeypatch.setattr(connections, "FIRST_REQUEST_S", 0.5)
    settings, board = Settings(store=str(tmp_path / "s.duckdb")), Board()
    with contextlib.closing(Server(settings, board, metrics_of(settings, board))) as server:
        client = client_of(server)
        silent, slow = client.connect(b""), client.connect(b"GET /livez HT")
        with silent, slow:
            assert (silent.recv(1), slow.recv(1)) == (b"", b"")


def _is_hung_up(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def _answers(monitor):
    with contextlib.suppress(OSError):
        return monitor.get("/livez").status == 200
    return False
