from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from tests.consumers.terminal import run_apart, run_here
from tests.demo.watched import Demo

SCORE = r"[\d,]+ labels, [\d,]+ wrong, [\d,]+ flagged: precision (?:–|[\d.]+), recall (?:–|[\d.]+)"
THROUGH = "^all digits are through; it answers until Ctrl-C$"


@pytest.fixture(scope="module")
def through(tmp_path_factory):
    """A demo that has told everything, and goes on answering."""
    folder = tmp_path_factory.mktemp("through")
    with Demo(folder, "--rate", "10000", "--store", "kept.duckdb") as demo:
        demo.wait_for(THROUGH)
        yield demo


def test_the_first_flag_is_seen(tmp_path):
    """At the pace of everybody a flag comes soon, with its picture; Ctrl-C ends it with a summary and 0."""
    with Demo(tmp_path, settings={"LOG_LEVEL": "info"}) as demo:
        found = demo.wait_for(
            r"^flagged: (\S+), labelled \d by \w+, looks like \d \(score [\d.]+\), a "
            r"(planted error|false alarm)$"
        )
        # It may be corrected by now, and others are flagged.
        raised = f"FROM findings WHERE example_id = '{found[1]}' AND action = 'raised'"
        assert demo.query(f"SELECT count(*) {raised}") > [(0,)]
        rows = demo.get("/api/label-issues")["rows"]
        assert rows
        assert all(each["uri"].startswith("data:image/png;base64,") for each in rows)
        store = Path(demo.wait_for(r"flags --store (\S+)$")[1])
        assert store.exists()
        ended = demo.stop(signal.SIGINT)
    assert ended.exit_code == 0
    assert re.search(SCORE + "$", ended.out)
    assert re.search(r"^[\d,]+ records read; ", ended.err, re.MULTILINE)
    assert "Traceback" not in ended.err
    # Nothing is left of a store that nobody asked to keep.
    assert not store.parent.exists()
    assert not list(tmp_path.iterdir())


def test_what_to_try_next_works(tmp_path):
    """The commands that it prints, run as they stand while it goes on, answer from it."""
    with Demo(tmp_path, "--rate", "500") as demo:
        demo.wait_for("^flagged: ")
        flags = demo.wait_for(r"^  \S*labelwatch (flags) --store (\S+)$").groups()
        sql = demo.wait_for(r'^  \S*labelwatch (sql) "(.+)" (--store) (\S+)$').groups()
        assert demo.get("/api/classes")["rows"]
        ended = run_apart(flags[0], "--store", flags[1], cwd=tmp_path)
        assert ended.exit_code == 0, ended.err
        assert "digit-" in ended.out
        ended = run_apart(*sql, cwd=tmp_path)
        assert (ended.exit_code, ended.err) == (0, "")
        assert "raised,annotation" in ended.out
        assert demo.stop(signal.SIGTERM).exit_code == 0


def test_the_live_score_is_right(through):
    """What is printed is counted from the flags of the store against scikit-learn's own labels."""
    _, true = load_digits(return_X_y=True)
    rows = through.query("SELECT example_id, given_label, is_label_issue FROM annotations")
    judged = [(int(given) != true[int(e.split("-")[1])], flag) for e, given, flag in rows]
    wrong, flagged = (sum(each) for each in zip(*judged, strict=True))
    hits = sum(a and b for a, b in judged)
    shown = re.findall(SCORE, through.said)[-1]
    assert shown == (
        f"{len(judged):,} labels, {wrong} wrong, {flagged} flagged: "
        f"precision {hits / flagged:.3f}, recall {hits / wrong:.3f}"
    )


def test_when_all_is_through_it_goes_on_answering(through):
    """At the end it says so, is ready, and takes corrections, which count at once."""
    assert through.get("/readyz") is not None
    _, true = load_digits(return_X_y=True)
    issues = through.query("SELECT example_id, annotator, given_label FROM label_issues")
    truths = {example: str(true[int(example.split("-")[1])]) for example, _, _ in issues}
    worst, by = next((e, by) for e, by, given in issues if given != truths[e])
    event = {"example_id": worst, "annotator": by, "label": truths[worst]}
    assert through.post("/api/events?wait=30", event)["accepted"] == 1
    sql = f"SELECT count(*) FROM label_issues WHERE example_id = '{worst}'"
    assert through.query(sql) == [(0,)]


def test_in_a_pipe_there_are_plain_lines(through):
    """Without a terminal nothing moves the cursor, and the score comes in lines of its own."""
    assert "\x1b" not in through.said
    assert "\r" not in through.said
    assert re.search(rf"^[\d,]+ records; {SCORE}$", through.said, re.MULTILINE)


def test_on_a_terminal_one_line_changes(tmp_path):
    """On a terminal the score is one line that is written over, and flags stand above it."""
    with Demo(tmp_path, "--rate", "500", on_terminal=True, settings={}) as demo:
        demo.wait_for("flagged: ")
        demo.wait_for(r"[\d,]+ records; [\d,]+ labels, ")
        assert "\x1b[2K" in demo.said
        ended = demo.stop(signal.SIGINT)
    assert ended.exit_code == 0
    assert re.search(SCORE + "$", ended.out)


def test_a_kept_store_goes_on(tmp_path):
    """With --store a second run goes on after the first, and --once tells the rest."""
    with Demo(tmp_path, "--store", "kept.duckdb", "--rate", "200") as demo:
        demo.wait_for("^flagged: ")
        first = demo.stop(signal.SIGTERM)
    count = int(re.search(r"^([\d,]+) records read", first.err, re.MULTILINE)[1].replace(",", ""))
    second = run_apart("demo", "--once", "--store", "kept.duckdb", cwd=tmp_path)
    rest = int(re.search(r"^([\d,]+) records read", second.err, re.MULTILINE)[1].replace(",", ""))
    assert second.exit_code == 0
    third = run_apart("demo", "--once", "--store", "kept.duckdb", cwd=tmp_path)
    assert (third.exit_code, third.out) == (0, second.out)
    assert "0 records read" in third.err
    whole = run_apart("demo", "--once", cwd=tmp_path)
    assert f"{count + rest:,} records read" in whole.err
    assert whole.out == second.out


def test_a_taken_port(tmp_path):
    """A port that was asked for and is taken is told at once, in one line, as by run."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run_apart("demo", "--listen", address, "--store", "kept.duckdb", cwd=tmp_path)
    assert (ended.exit_code, ended.out) == (2, "")
    assert "is taken by another process" in ended.fault
    assert not list(tmp_path.iterdir())


def test_a_store_of_other_data(tmp_path):
    """A store that holds other records is not mixed with digits: exit code 4, and it is as it was."""
    (tmp_path / "a.jsonl").write_text(
        '{"example_id": "x", "label": "a", "pred_probs": {"a": 1}}\n'
    )
    assert run_here("replay", "a.jsonl", cwd=tmp_path).exit_code == 0
    ended = run_apart("demo", "--once", "--store", "labelwatch.duckdb", cwd=tmp_path)
    assert ended.exit_code == 4
    assert "name a new file with --store" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    ended = run_here("sql", "SELECT example_id FROM annotations", cwd=tmp_path)
    assert ended.out.split() == ["example_id", "x"]


def test_settings_of_other_data_do_not_matter(tmp_path):
    """A labelwatch.toml with classes, fields and a store of its own leaves the demo as it is."""
    (tmp_path / "labelwatch.toml").write_text(
        'store = "mine.duckdb"\nclasses = ["cat", "dog"]\n[fields]\nlabel = "a.b"\n'
    )
    ended = run_apart("demo", "--once", cwd=tmp_path)
    assert ended.exit_code == 0, ended.err
    assert re.search(SCORE + "$", ended.out)
    assert [each.name for each in tmp_path.iterdir()] == ["labelwatch.toml"]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--once", "--listen", "127.0.0.1:0"), "--once does not wait"),
        (("--once", "--rate", "5"), "--once does not wait"),
        (("--topic", "t"), "go together"),
        (("--to-kafka", "localhost:9092"), "go together"),
        (("--to-kafka", "localhost:9092", "--topic", "t", "--once"), "only sends"),
        (("--to-kafka", "nonsense:x", "--topic", "t"), "no host:port"),
        (("--listen", "nonsense"), "no host:port"),
    ],
)
def test_wrong_usage(flags, text, tmp_path):
    """Flags that do not go together are told in one line, and nothing is begun."""
    ended = run_here("demo", *flags, cwd=tmp_path)
    assert (ended.exit_code, ended.out) == (2, "")
    assert text in ended.fault
    assert not list(tmp_path.iterdir())
