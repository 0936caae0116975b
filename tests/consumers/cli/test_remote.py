"""Commands that read do not care whether a monitor holds the store."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from consumers.config import Settings
from consumers.store.gate import Limits
from consumers.wiring import open_line
from tests.consumers.http.asking import serving
from tests.consumers.stored import query
from tests.consumers.terminal import run_apart, run_here
from tests.waiting import LATE_S

COMMANDS = (
    ("sql", "FROM annotations ORDER BY annotation_id"),
    ("sql", "FROM test_all_types()", "--format", "json"),
    ("sql", "FROM test_all_types()", "--format", "table"),
    ("sql", "FROM range(20000)"),
    ("flags",),
    ("flags", "--format", "table"),
    ("flags", "--format", "json", "--annotator", "ann", "--limit", "3"),
    ("dead-letters", "list"),
    ("dead-letters", "list", "--format", "json", "--reason", "malformed_json"),
    ("health",),
    ("health", "--format", "json"),
    ("next", "--unlabelled", "--format", "json"),
    ("sql", "SELEC"),
    ("sql", "DROP VIEW annotations"),
    ("sql", "SELECT nope FROM annotations"),
)


@contextlib.contextmanager
def held(path):
    """A monitor that holds the store and answers."""
    ready, ends = threading.Event(), threading.Event()

    def hold():
        with open_line(Settings(store=str(path)), "labelwatch test") as line:
            gate = line.store.gate(Limits(), 2)
            with serving(gate, query_s=LATE_S, query_rows=10) as url:
                line.store.tell_url(url)
                ready.set()
                ends.wait(20 * LATE_S)

    thread = threading.Thread(target=hold)
    thread.start()
    assert ready.wait(LATE_S)
    try:
        yield
    finally:
        ends.set()
        thread.join(LATE_S)


def ask_all(path, example_id):
    """What every command says, and what an export holds."""
    said = [run_apart(*command, "--store", path, cwd=path.parent) for command in COMMANDS]
    for style in ("text", "json"):
        options = ("--format", style, "--store", path)
        said.append(run_apart("explain", example_id, *options, cwd=path.parent))
    for end in ("csv", "jsonl"):
        file = path.parent / f"out.{end}"
        said.append(
            run_apart("export", "annotations", "--to", file, "--store", path, cwd=path.parent)
        )
        said.append(file.read_bytes())
    return said


def test_before_during_and_after(filled):
    """The same command prints the same bytes, whoever holds the store."""
    ((example_id,),) = query(filled, "SELECT example_id FROM label_issues LIMIT 1")
    before = ask_all(filled, example_id)
    assert [each.exit_code for each in before[:12]] == [0] * 12
    assert [each.exit_code for each in before[12:15]] == [2] * 3
    assert [each.exit_code for each in before[15:17]] == [0] * 2
    with held(filled):
        assert ask_all(filled, example_id) == before
    assert ask_all(filled, example_id) == before


def test_a_store_that_is_held_without_answers(filled):
    """Where nobody can be asked, the command says who holds the store."""
    with held(filled):
        filled.with_name("s.duckdb.lock").write_bytes(b'{"pid": 1, "command": "x"}')
        ended = run_apart("sql", "SELECT 1", "--store", filled, cwd=filled.parent)
    assert ended.exit_code == 3
    assert "in use by" in ended.fault


def test_a_monitor_that_is_not_there(tmp_path):
    """Nobody at the address, or somebody else, is told in one line."""
    with socket.socket() as silent:
        # Ours, so that nobody else listens there meanwhile; and we do not.
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = run_here("sql", "SELECT 1", "--url", url, cwd=tmp_path)
    assert ended.exit_code == 3
    assert "does not answer" in ended.fault
    ended = run_here("flags", "--url", "nonsense", cwd=tmp_path)
    assert (ended.exit_code, "--url" in ended.fault) == (2, True)


@pytest.mark.parametrize(
    ("answer", "exit_code", "says"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", 2, "LABELWATCH_HTTP__TOKEN"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 2, "is it a labelwatch"),
        (b'HTTP/1.1 503 x\r\nContent-Length: 29\r\n\r\n{"error": "a", "hint": "b c"}', 3, "a; b c"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"columns": [', 3, "does not answer"),
        (b"", 3, "does not answer"),
    ],
)  # fmt: skip
def test_a_monitor_that_refuses_or_goes_away(answer, exit_code, says, tmp_path):
    """A wrong token, and a monitor that ends while it is asked, are told in one line."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once():
            client, _ = server.accept()
            with client:
                asked = b""
                while b"SELECT 1" not in asked and (more := client.recv(65_536)):
                    asked += more
                client.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        ended = run_here("sql", "SELECT 1", "--url", url, cwd=tmp_path)
        thread.join(LATE_S)
    assert (ended.exit_code, ended.out) == (exit_code, "")
    assert says in ended.fault
