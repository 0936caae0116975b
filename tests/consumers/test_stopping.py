"""Asked to stop, a run finishes the batch at hand and ends well."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.consumers.stored import query
from tests.consumers.terminal import finish, killed_at_last, start
from tests.waiting import LATE_S, wait_for_commit

EVENT = b'{"example_id":"x%d","label":"a","pred_probs":{"a":0.5,"b":0.5}}\n'


@pytest.fixture
def idle(tmp_path):
    """A replay of stdin that has committed a record and waits for more."""
    process = start("replay", "-", "--store", "s.duckdb", cwd=tmp_path, stdin=subprocess.PIPE)
    process.stdin.write(EVENT % 0)
    process.stdin.flush()
    with killed_at_last(process):
        wait_for_commit(tmp_path / "s.duckdb", process)
        assert process.poll() is None, finish(process)
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_nothing_comes(number, idle, tmp_path):
    """SIGTERM or Ctrl-C while stdin is silent ends with exit code 0; what had come is stored."""
    idle.send_signal(number)
    _, err = idle.communicate(timeout=LATE_S)
    assert (idle.returncode, err) == (0, b"1 records read; 0 rejected; 0 label issues\n")
    assert query(tmp_path / "s.duckdb", "SELECT example_id FROM annotations") == [("x0",)]
    assert not (tmp_path / "s.duckdb.wal").exists()


def test_the_end_of_a_pipe(idle, tmp_path):
    """A closed pipe ends the run; a last line without newline counts."""
    idle.stdin.write((EVENT % 1)[:-1])
    ended = finish(idle)
    assert (ended.exit_code, ended.err.split(";")[0]) == (0, "2 records read")


def test_a_pipe_goes_on_where_the_last_one_ended(tmp_path):
    """Offsets of stdin continue from the last stored one, so later records are newer."""
    for label in (b"a", b"b"):
        process = start("replay", "-", "--store", "s.duckdb", cwd=tmp_path, stdin=subprocess.PIPE)
        ended = finish(process, (EVENT % 0).replace(b'"label":"a"', b'"label":"%s"' % label))
        assert ended.exit_code == 0, ended.err
    assert query(tmp_path / "s.duckdb", "SELECT given_label, kafka_offset FROM annotations") == [
        ("b", 1)
    ]
    assert query(tmp_path / "s.duckdb", "SELECT topic, next_offset FROM offsets") == [
        ("stdin:", 2)
    ]
