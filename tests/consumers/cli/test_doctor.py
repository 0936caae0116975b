from __future__ import annotations

import pytest

from tests.consumers.terminal import run_here

NAMES = ["packages", "configuration", "store", "disk", "broker", "clock"]


def test_a_line_for_each_check(tmp_path):
    """Without configuration and store all is well: one line for each check, verdict first."""
    ended = run_here("doctor", cwd=tmp_path)
    lines = [line.split() for line in ended.out.splitlines()]
    assert ended.exit_code == 0
    assert [line[:2] for line in lines] == [["ok", name] for name in NAMES]
    assert "no topic is named" in ended.out
    assert not list(tmp_path.iterdir())


def test_where_the_configuration_comes_from(tmp_path):
    """The file and the variables are named, what is in them is not."""
    (tmp_path / "labelwatch.toml").write_text('store = "mine.duckdb"')
    secret = {"KAFKA__SASL_PASSWORD": "secret", "DEBUG": ""}
    ended = run_here("doctor", cwd=tmp_path, settings=secret)
    assert "labelwatch.toml; LABELWATCH_KAFKA__SASL_PASSWORD\n" in ended.out
    assert "mine.duckdb does not exist yet" in ended.out
    assert "secret" not in ended.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("stor = 1", "stor is no setting; did you mean store?"),
        ("x", "labelwatch.toml: is no TOML"),
    ],
)
def test_a_configuration_that_is_none(content, said, tmp_path):
    """What cannot be read is a fault in the words of every command, and ends with 2."""
    (tmp_path / "labelwatch.toml").write_text(content)
    ended = run_here("doctor", cwd=tmp_path)
    assert (ended.exit_code, ended.err) == (2, "")
    assert ended.out.splitlines()[-1].startswith(f"fault    configuration  {said}")


def test_the_first_fault_decides(tmp_path):
    """Where several things are wrong, the exit code is that of the first line that says so."""
    arguments = (
        "--store",
        "nowhere/s.duckdb",
        "--topic",
        "t",
        "--bootstrap-servers",
        "127.0.0.1:1",
    )
    ended = run_here("doctor", *arguments, cwd=tmp_path)
    faults = [line.split()[1] for line in ended.out.splitlines() if line.startswith("fault")]
    assert (ended.exit_code, faults) == (3, ["store", "broker"])
    ended = run_here("doctor", *arguments[2:], cwd=tmp_path)
    assert ended.exit_code == 4
    assert "127.0.0.1:1 cannot be reached (connection refused)" in ended.out
