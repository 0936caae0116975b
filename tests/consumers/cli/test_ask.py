"""Commands that read: data on stdout, everything else on stderr, in a form for people and for programs."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import signal
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import (
    COMMAND,
    environment,
    finish,
    killed_at_last,
    run_apart,
    run_here,
    start,
)
from tests.waiting import wait_for

STRANGE = [
    'say "hi"',
    "a\nb",
    "a,b",
    "שלום",
    "\u202eevil",
    "\x1b[31mred",
    "日本",
    "\ttab",
    "\r",
    "é" * 80,
]


@pytest.fixture
def strange(tmp_path):
    """A store whose ids and labels are as strange as they may be."""
    events = [
        {"example_id": name, "label": name, "annotator": name, "pred_probs": {STRANGE[i - 1]: 1.0}}
        for i, name in enumerate(STRANGE)
    ]
    file = write_jsonl(tmp_path / "e.jsonl", events)
    assert run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    return tmp_path / "s.duckdb"


def ask(store, *args, cwd=None):
    """A command over a store that ends well."""
    ended = run_here(*args, "--store", store, cwd=cwd or store.parent)
    assert ended.exit_code == 0, ended.err
    return ended


@pytest.mark.parametrize(
    "command", [("sql", "FROM annotations ORDER BY annotation_id"), ("flags",)]
)
def test_json_and_csv_say_the_same(command, strange):
    """Both forms for programs carry every value, however strange, and the same ones."""
    as_json = json.loads(ask(strange, *command, "--format", "json").out)
    as_csv = ask(strange, *command, "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(as_csv, newline="")))
    assert len(rows) == len(as_json) == (10 if command[0] == "sql" else len(as_json))
    for row, found in zip(rows, as_json, strict=True):
        assert row.keys() == found.keys()
        for name in ("annotation_id", "example_id", "annotator", "given_label"):
            assert row[name] == found[name]
            assert any(found[name].startswith(each) for each in STRANGE)
    assert ask(strange, *command).out == as_csv


@pytest.mark.parametrize("names", ["a a", "a b a a", "a a a_1 A a a_1", "a_1 a a"])
def test_columns_of_one_name_are_all_in_json(names, strange):
    """No column is lost: repeated names are told apart as DuckDB tells those of a subquery."""
    asked = ", ".join(f"{i} AS {name}" for i, name in enumerate(names.split()))
    (found,) = json.loads(ask(strange, "sql", f"SELECT {asked}", "--format", "json").out)
    assert list(found.values()) == list(range(len(names.split())))
    nested = f"SELECT * FROM (SELECT {asked})"
    (expected,) = json.loads(ask(strange, "sql", nested, "--format", "json").out)
    assert list(found) == list(expected)
    header, _ = ask(strange, "sql", f"SELECT {asked}", "--format", "csv").out.splitlines()
    assert header.split(",") == names.split()


def test_a_table_is_safe_to_look_at(strange):
    """A table has one line a row, and nothing in it steers the terminal."""
    out = ask(strange, "sql", "SELECT example_id FROM predictions", "--format", "table").out
    lines = out.splitlines()
    assert len(lines) == len(STRANGE) + 1
    assert all(unicodedata.category(c) not in ("Cc", "Cf") for c in out.replace("\n", ""))
    assert 'say "hi"' in out
    assert "שלום" in out


VALUES = {
    "NULL": None,
    "true": True,
    "1.5::DOUBLE": 1.5,
    "'nan'::DOUBLE": "nan",
    "'-inf'::DOUBLE": "-inf",
    "9223372036854775807": 2**63 - 1,
    "2::HUGEINT ** 100": None,
    "1.25::DECIMAL(9, 2)": "1.25",
    "DATE '2020-02-29'": "2020-02-29",
    "TIMESTAMP '2020-02-29 01:02:03.456789'": "2020-02-29T01:02:03.456Z",
    "TIME '01:02:03'": "01:02:03",
    "[1, NULL]": [1, None],
    "{'a': [1]}": {"a": [1]},
    "MAP {'k': 1}": {"k": 1},
    "'text'::BLOB": "text",
    r"'\xFF'::BLOB": "base64:/w==",
    "'{\"a\": 1}'::JSON": '{"a": 1}',
    "TIMESTAMPTZ '2020-02-29 01:02:03+02'": "2020-02-28T23:02:03.000Z",
    "[TIMESTAMPTZ '2020-02-29 01:02:03+02']": ["2020-02-28T23:02:03.000Z"],
}


@pytest.mark.parametrize("expression", VALUES)
def test_any_value_of_duckdb_is_printed(expression, filled):
    """Whatever a query returns is printed in every format, and JSON is always JSON."""
    statement = f"SELECT {expression} AS x"
    out = ask(filled, "sql", statement, "--format", "json").out
    ((found,),) = (row.values() for row in json.loads(out, parse_constant=pytest.fail))
    if VALUES[expression] is not None:
        assert found == VALUES[expression]
    for style in ("csv", "table"):
        assert ask(filled, "sql", statement, "--format", style).out.count("\n") >= 1


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("SELEC", "syntax error"),
        ("SELECT nope FROM annotations", "nope"),
        ("FROM annotation", "Did you mean"),
        ("", "empty"),
        ("/* nothing */", "empty"),
        ("SELECT 'a'::INTEGER", "Could not convert"),
        ("INSERT INTO store.class VALUES (9, 'z')", "not allowed"),
        ("DROP VIEW annotations", "not allowed"),
        ("COPY annotations TO 'x.csv'", "not allowed"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("FROM read_text('/etc/hostname')", "not allowed"),
        ("SELECT $1", ""),
        ("SELECT '\udcff'", "UTF-8"),
    ],
)
def test_wrong_sql(statement, says, filled):
    """Wrong SQL ends with exit code 2 in one line, and the store is not written to."""
    before = filled.read_bytes()
    ended = run_here("sql", statement, "--store", filled, cwd=filled.parent)
    assert (ended.exit_code, ended.out) == (2, ""), ended
    assert says in ended.fault
    assert filled.read_bytes() == before


def test_ctrl_c_ends_a_long_query(filled):
    """It ends at once and says nothing, whatever DuckDB is about."""
    statement = "SELECT count(*) FROM range(1000000000000) a, range(1000000000000) b"
    running = start("sql", statement, "--store", filled, cwd=filled.parent, preexec_fn=hear_ctrl_c)
    with killed_at_last(running):
        wait_for(lambda: has_open(running, filled) or running.poll() is not None)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(2)
        running.send_signal(signal.SIGINT)
        ended = finish(running)
    assert (ended.exit_code, ended.out, ended.err.strip()) == (130, "", "")


def has_open(process, path):
    """Whether a process has opened a file."""
    with contextlib.suppress(FileNotFoundError):  # closed, while we look
        return any(each.readlink() == path for each in Path(f"/proc/{process.pid}/fd").iterdir())
    return False


def hear_ctrl_c():
    """As on a terminal: what a shell starts in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_flags_are_the_label_issues(filled):
    """`flags` lists label_issues, most suspect first; its options narrow it down."""
    everything = json.loads(ask(filled, "flags", "--format", "json").out)
    assert [row["annotation_id"] for row in everything] == [
        name for (name,) in query(filled, "SELECT annotation_id FROM label_issues")
    ]
    for option, column in (
        ("--annotator", "annotator"),
        ("--label", "given_label"),
        ("--model-version", "model_version"),
    ):
        for value in {row[column] for row in everything} - {None}:
            found = json.loads(ask(filled, "flags", option, value, "--format", "json").out)
            assert found == [row for row in everything if row[column] == value]
    assert json.loads(ask(filled, "flags", "--label", "nope'", "--format", "json").out) == []


def test_flags_are_limited_where_people_read(filled):
    """A table shows 50 rows by default and says how many there are; programs get them all."""
    count = query(filled, "SELECT count(*) FROM label_issues")[0][0]
    assert count > 50
    table = ask(filled, "flags", "--format", "table")
    assert len(table.out.splitlines()) == 51
    assert table.err == f"50 of {count} label issues; see more with --limit\n"
    limited = ask(filled, "flags", "--limit", "2")
    assert len(limited.out.splitlines()) == 3
    assert limited.err.startswith("2 of ")
    assert ask(filled, "flags", "--limit", "0").out.count("\n") == 1
    whole = ask(filled, "flags")
    assert (len(whole.out.splitlines()), whole.err) == (count + 1, "")


def test_next_is_the_head_of_the_ranking(filled):
    """`next` lists the first examples of next_labels, all of them or those with or without a label."""
    view = "SELECT example_id, annotation_count FROM next_labels WHERE {} LIMIT {}"
    for flags, where in (
        ((), "true"),
        (("--unlabelled",), "annotation_count = 0"),
        (("--labelled",), "annotation_count > 0"),
    ):
        for limit, options in ((20, ()), (3, ("--limit", "3")), (1_000, ("--limit", "1000"))):
            ended = ask(filled, "next", *flags, *options, "--format", "json")
            found = [(row["example_id"], row["annotation_count"]) for row in json.loads(ended.out)]
            assert found == query(filled, view.format(where, limit))
            assert bool(found)
            (count,) = query(filled, f"SELECT count(*) FROM next_labels WHERE {where}")[0]
            told = f"{limit} of {count} examples; see more with --limit\n"
            assert ended.err == (told if count > limit else "")
    assert ask(filled, "next").out.startswith("example_id,consensus_label,consensus_quality,")


@pytest.mark.parametrize(
    "args",
    [
        ("flags", "--limit", "-1"),
        ("flags", "--format", "xml"),
        ("next", "--limit", "-1"),
        ("next", "nobody"),
        ("sql",),
        ("explain",),
        ("export", "everything", "--to", "x.csv"),
        ("export", "clean"),
        ("replay",),
        ("nope",),
        ("--nope",),
        ("validate", "e.jsonl", "--limit", "0"),
        ("demo", "--rate", "0"),
        ("dead-letters",),
        ("dead-letters", "list", "--limit", "-1"),
    ],
)
def test_wrong_usage(args, tmp_path):
    """Wrong arguments end with exit code 2 and say what was expected."""
    ended = run_here(*args, cwd=tmp_path)
    assert (ended.exit_code, ended.out) == (2, "")
    assert ended.err
    assert "Traceback" not in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command",
    [
        *("replay", "sql", "flags", "next", "explain", "export", "validate", "rebuild"),
        *("check-config", "demo", "dead-letters", "dead-letters list", "dead-letters redrive"),
    ],
)
def test_every_command_has_help(command, tmp_path):
    """--help says what a command does, and names its options."""
    ended = run_here(*command.split(), "--help", cwd=tmp_path)
    assert (ended.exit_code, ended.err) == (0, "")
    assert f"labelwatch {command}" in ended.out.replace("Usage: ", "")


def test_help_and_version(tmp_path):
    """The command says which version it is, and what its exit codes mean."""
    assert run_here("--version", cwd=tmp_path).out.strip().endswith("labelwatch, version 0.1.0")
    out = " ".join(run_here("-h", cwd=tmp_path).out.split())
    for code in ("0 done", "1 done but", "2 usage", "3 store", "4 source", "70 a bug"):
        assert code in out


@pytest.mark.parametrize("statement", ["FROM range(200000)", "FROM range(3)"])
def test_a_reader_that_leaves(statement, filled):
    """`labelwatch sql … | head` ends quietly, however much would have come."""
    done = subprocess.run(
        f'"{COMMAND}" sql "{statement}" --store "{filled}" | head -n 1',
        shell=True,
        capture_output=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"range\n", b"")


def test_arguments_that_are_no_text(filled):
    """Arguments that are not UTF-8 are wrong usage, or a file that is not there; never a bug."""
    for args, exit_code in (
        ((b"explain", b"\xff"), 2),
        ((b"flags", b"--annotator", b"\xff"), 2),
        ((b"export", b"clean", b"--to", b"\xff.csv"), 2),
        ((b"replay", b"\xff.jsonl"), 4),
    ):
        ended = run_apart(*args, "--store", filled, cwd=filled.parent)
        assert ended.exit_code == exit_code, ended
        assert ended.fault
