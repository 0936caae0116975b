from __future__ import annotations

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from consumers import sending
from tests.consumers.http.serving import Monitor
from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import finish, run_apart, run_here, start
from tests.waiting import LATE_S

PROBS = {"cat": 0.9, "dog": 0.1}


def event(i, label="cat"):
    """An annotation."""
    return {"example_id": f"x{i}", "label": label, "pred_probs": PROBS}


def labels(store):
    """The label of each example."""
    return dict(query(store, "SELECT example_id, given_label FROM annotations"))


def accepted(store):
    """How many events were counted."""
    return query(store, "SELECT value FROM store.counter WHERE name = 'accepted'")[0][0]


@pytest.fixture
def _patient(monkeypatch):
    """Who sends waits until all is counted, however slow the machine."""
    monkeypatch.setattr(sending, "_COUNTED_S", 60)
    monkeypatch.setattr(sending, "_TIMEOUT_S", LATE_S)


@pytest.mark.usefixtures("_patient")
def test_a_file_is_sent_once(tmp_path):
    """What cannot be used is named and left out; sent again it adds nothing, but with --again."""
    lines = [event(i) for i in range(2_500)]
    lines[7] = {"example_id": "x7"}
    lines[2_400] = b"{"
    file = write_jsonl(tmp_path / "e.jsonl", lines)
    with Monitor(tmp_path) as monitor:
        ended = run_here("send", file, "--store", monitor.store, cwd=tmp_path)
        assert ended.exit_code == 0, ended.err
        first, second, summary = ended.err.splitlines()
        assert first.startswith("record 7: label: is missing; send it")
        assert second.startswith("record 2400: value: is not JSON")
        assert summary.startswith("2,498 records accepted; 2 rejected, and not kept; counted by")
        again = run_here("send", file, "--store", monitor.store, "--strict", cwd=tmp_path)
        assert again.exit_code == 1
        assert "0 records accepted; 2,498 were accepted before (--again" in again.err
        # Whoever names the monitor needs no store.
        anew = run_here("send", file, "--again", "--url", monitor.url, cwd=tmp_path)
        assert anew.err.splitlines()[-1].startswith("2,498 records accepted; 2 rejected")
        assert monitor.stop().exit_code == 0
    assert accepted(monitor.store) == 2 * 2_498
    assert len(labels(monitor.store)) == 2_498


@pytest.mark.usefixtures("_patient")
def test_other_forms(tmp_path):
    """CSV goes as replay reads it; what a pipe says twice was meant twice."""
    (tmp_path / "e.csv").write_text(
        'example_id,label,pred_probs\nx1,"say ""cat""\nor dog","{""cat"": 1}"\nx2,dog,"{""dog"": 1}"\n'
    )
    fix = json.dumps({"example_id": "x2", "label": "cat"}).encode()
    with Monitor(tmp_path) as monitor:
        sent = run_here("send", "e.csv", "--store", monitor.store, cwd=tmp_path)
        assert sent.err.startswith("2 records accepted; 0 rejected; counted by"), sent.err
        for line in (fix, fix.replace(b"cat", b"dog"), fix):
            piped = run_apart("send", "-", "--store", monitor.store, cwd=tmp_path, stdin=line)
            assert piped.err.startswith("1 records accepted; 0 rejected; "), piped.err
        assert monitor.stop().exit_code == 0
    assert labels(monitor.store) == {"x1": 'say "cat"\nor dog', "x2": "cat"}


def test_without_a_monitor(tmp_path):
    """Whether none ever was, or it was killed: what to do instead is said, with exit code 4."""
    file = write_jsonl(tmp_path / "e.jsonl", [event(1)])
    ended = run_here("send", file, "--store", "s.duckdb", cwd=tmp_path)
    assert ended.exit_code == 4
    assert ended.fault.startswith("no monitor holds s.duckdb; start one that listens")
    assert "labelwatch replay" in ended.fault
    assert not (tmp_path / "s.duckdb").exists()
    with Monitor(tmp_path) as monitor:
        monitor.kill()
    ended = run_here("send", file, "--store", "s.duckdb", cwd=tmp_path)
    assert ended.exit_code == 4
    assert "no monitor answers at http://127.0.0.1:" in ended.fault


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8711", "ftp://x", "http://", "http://x:y", "http://[x"]
)
def test_an_address_that_is_none(url, tmp_path):
    """Usage, told before anything is read."""
    ended = run_here("send", "-", "--url", url, cwd=tmp_path)
    assert ended.exit_code == 2
    assert ended.fault.startswith(f"--url: {url!r} is no address")


def test_a_missing_file(tmp_path):
    """As for replay."""
    ended = run_here("send", "no.jsonl", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert ended.exit_code == 4
    assert ended.fault.startswith("no.jsonl: ")


@pytest.mark.parametrize(
    ("status", "body", "exit_code", "text"),
    [
        (200, b"<html>", 4, "is no labelwatch monitor (status 200)"),
        (202, b"{}", 4, "is no labelwatch monitor (status 202)"),
        (404, b'{"detail": "no"}', 4, "is no labelwatch monitor (status 404)"),
        (401, b'{"error": "no token", "hint": null}', 2, "set LABELWATCH_HTTP__TOKEN"),
        (413, b'{"error": "too large", "hint": "less"}', 4, "too large (status 413); less"),
    ],
)
def test_an_answer_that_is_no_receipt(status, body, exit_code, text, tmp_path):
    """A stranger at the address, or a monitor that wants something else, is told in one line."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    file = write_jsonl(tmp_path / "e.jsonl", [event(1)])
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        ended = run_here("send", file, "--url", url, cwd=tmp_path)
        server.shutdown()
    assert (ended.exit_code, text in ended.fault) == (exit_code, True), ended.fault


def test_a_monitor_that_is_killed_meanwhile(tmp_path):
    """The sender waits for the next one, wherever it answers, and each record counts once."""
    file = write_jsonl(tmp_path / "e.jsonl", [event(i) for i in range(15_000)])
    with Monitor(tmp_path) as monitor:
        monitor.kill()
        monitor.start(CRASH_AT="inbox.stored:2")
        sender = start("send", file, "--store", monitor.store, cwd=tmp_path)
        # The loop may be slow: it comes last, with what is counted in any case.
        for points in ("inbox.inserted:3", "store.committed:1", ""):
            assert monitor.process.wait(LATE_S) == -signal.SIGKILL
            finish(monitor.process)
            monitor.start(CRASH_AT=points)
        sent = finish(sender)
        assert sent.exit_code == 0, sent.err
        again = run_here("send", file, "--store", monitor.store, cwd=tmp_path)
        assert "0 records accepted; 15,000 were accepted before" in again.err
        assert monitor.end().exit_code == 0
    assert accepted(monitor.store) == 15_000
    assert len(labels(monitor.store)) == 15_000
