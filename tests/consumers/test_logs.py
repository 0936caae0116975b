"""One line a fault or step of a run's life, for people or for machines, and no secret in any."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import signal
import subprocess
import sys

import pytest

from consumers import logs
from consumers.config import SECRETS
from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import finish, run_apart, run_here, start

GOOD = {"example_id": "x", "label": "a", "pred_probs": {"a": 0.5, "b": 0.5}}
TELL = {"LOG_LEVEL": "info"}
log = logging.getLogger("consumers.test")


def lines(style, *says):
    """What is written to stderr by these calls."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        logs.set_up(style, "info")
        for say in says:
            say()
    return err.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _as_before():
    """Other tests see the log as the process began."""
    yield
    ours = logging.getLogger("consumers")
    ours.handlers = []
    ours.setLevel(logging.NOTSET)


def test_json():
    """A line is one JSON object: time, level, event, and the fields that were given."""
    (line,) = lines("json", lambda: log.warning("%s\nis away", "kafka", extra={"tries": 3}))
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {"level": "warning", "event": "kafka is away", "tries": 3}


def test_text():
    """The same as words; a value of several words is quoted."""
    fields = {"store": "a b.duckdb", "count": 3, "reasons": {"x": 1}, "empty": "", "odd": "\n"}
    (line,) = lines("text", lambda: log.info("store loaded", extra=fields))
    expected = r'info store loaded store="a b.duckdb" count=3 reasons={"x": 1} empty="" odd="\n"'
    assert line.partition(" ")[2] == expected


def test_the_level():
    """What is below the level is not written; nor is what other libraries say."""
    others = logging.getLogger("kafka")
    said = lines(
        "text", lambda: log.debug("no"), lambda: others.info("no"), lambda: log.info("yes")
    )
    assert [line.split()[-1] for line in said] == ["yes"]


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_exception_is_one_line(style):
    """An exception is its type, text and place; no traceback."""

    def fail():
        try:
            int("x\ny")
        except ValueError:
            log.exception("this failed")

    (line,) = lines(style, fail)
    assert "ValueError: invalid literal" in line
    assert "test_logs.py:" in line


def test_a_log_that_nobody_reads(monkeypatch):
    """A closed stderr ends nothing."""
    logs.set_up("json", "info")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log.warning("nobody listens")


def test_the_life_of_a_run(tmp_path):
    """Each step is told once, in order, with its figures; the summary and its stream are as ever."""
    file = write_jsonl(tmp_path / "e.jsonl", [GOOD, b"{", GOOD | {"example_id": "y"}])
    ended = run_apart("replay", file, "--store", "s.duckdb", cwd=tmp_path, settings=TELL)
    *told, summary = ended.err.splitlines()
    assert summary.startswith("3 records read; 1 rejected")
    found = [json.loads(line) for line in told]
    assert [each["event"] for each in found] == [
        "labelwatch replay starts",
        "store loaded",
        "first batch committed",
        "records rejected",
        "draining",
        "stopped",
    ]
    assert found[0]["source"] == str(file)
    assert found[0]["store"] == "s.duckdb"
    assert (found[1]["annotations"], found[1]["txn_id"]) == (0, 0)
    assert found[3]["reasons"] == {"malformed_json": 1}
    assert (found[-1]["records"], found[-1]["rejected"]) == (3, 1)
    txn_id = query(tmp_path / "s.duckdb", "SELECT max(txn_id) FROM store.txn")[0][0]
    again = run_apart("replay", file, "--store", "s.duckdb", cwd=tmp_path, settings=TELL)
    loaded = json.loads(again.err.splitlines()[1])
    assert (loaded["annotations"], loaded["txn_id"]) == (2, txn_id)


def test_by_default_only_faults_are_told(tmp_path):
    """Without log_level, a run that goes well says its summary and nothing else."""
    file = write_jsonl(tmp_path / "e.jsonl", [GOOD])
    ended = run_apart("replay", file, "--store", "s.duckdb", cwd=tmp_path)
    assert ended.err == "1 records read; 0 rejected; 0 label issues\n"


def test_each_command_sets_up_its_own_log(tmp_path):
    """What one command in a process was told about its log does not hold for the next."""
    logs.set_up("text", "debug")
    assert run_here("check-config", cwd=tmp_path).exit_code == 0
    assert log.getEffectiveLevel() == logging.WARNING


def test_text_on_request(tmp_path):
    """`log_format = "text"` is for people, wherever stderr goes."""
    file = write_jsonl(tmp_path / "e.jsonl", [GOOD])
    settings = TELL | {"LOG_FORMAT": "text"}
    ended = run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path, settings=settings)
    assert re.match(r"\S+Z info labelwatch replay starts version=\S+ store=s.duckdb ", ended.err)


def test_a_fault_that_ends_a_run_keeps_its_form(tmp_path):
    """Whatever the log looks like, the last line is `labelwatch: …`, and the exit code is the fault's."""
    ended = run_apart("replay", "missing.jsonl", cwd=tmp_path, settings=TELL)
    assert ended.exit_code == 4
    assert ended.err.splitlines()[-1].startswith("labelwatch: missing.jsonl: ")


@pytest.mark.parametrize("source", ["kafka", "confluent"])
def test_no_secret_is_ever_logged(source, tmp_path):
    """With every secret set and every level on, no line of any command holds one."""
    secrets = {name: f"s3cret-{name}" for name in sorted(SECRETS)}
    (tmp_path / "labelwatch.toml").write_text(
        f"""
        log_level = "debug"
        source = "{source}"
        classes = ["a", "b"]
        [http]
        token = "{secrets["token"]}"
        [metrics]
        annotators = "hashed"
        salt = "{secrets["salt"]}"
        [kafka]
        bootstrap_servers = "127.0.0.1:1"
        topics = ["t"]
        start = "earliest"
        security_protocol = "SASL_PLAINTEXT"
        sasl_username = "me"
        sasl_password = "{secrets["sasl_password"]}"
        ssl_password = "{secrets["ssl_password"]}"
        """
    )
    file = write_jsonl(tmp_path / "e.jsonl", [GOOD, b"{"])
    told = [run_apart("replay", file, "--keep-going", cwd=tmp_path)]
    told += [run_apart(*command, cwd=tmp_path) for command in (["check-config"], ["doctor"])]
    told.append(run_apart("run", "--until-end", cwd=tmp_path))
    waiting = start("run", cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert b"starts" in waiting.stderr.readline()
    away = waiting.stderr.readline()
    waiting.send_signal(signal.SIGTERM)
    told.append(finish(waiting))
    assert b"cannot be reached" in away or b"store loaded" in away
    everything = away.decode() + "".join(each.out + each.err for each in told)
    assert "draining" in everything
    assert [name for name, secret in secrets.items() if secret in everything] == []
