"""Rejected records: looked at, and read again as what they were when they came."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.consumers.logs import parity
from tests.consumers.stored import assert_findings_add_up, difference, query, views, write_jsonl
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_here

CLASSES = "a,b,c,d,e,f"
COLUMNS = ["topic", "kafka_partition", "kafka_offset", "reason", "error", "value", "first_seen_at"]
GOOD = {"example_id": "x", "label": "a", "pred_probs": {"a": 0.5, "b": 0.5}}
LARGE = {"text": "x" * 300}
TIGHT = {"VALUE_BYTES_MAX": 200}


def replay(folder, lines, name="e.jsonl", **settings):
    """Read these lines as a file; the store."""
    file = write_jsonl(folder / name, lines)
    flags = ("--classes", "a,b", "--keep-going", "--store", "s.duckdb")
    ended = run_here("replay", file, *flags, cwd=folder, settings=settings)
    assert ended.exit_code == 0, ended
    return folder / "s.duckdb"


def letters(store, *args):
    """What `dead-letters` says to these arguments."""
    ended = run_here("dead-letters", *args, "--store", store, cwd=store.parent)
    assert ended.exit_code == 0, ended
    return ended


def listed(store, *args):
    """The rows of `dead-letters list`."""
    return json.loads(letters(store, "list", *args, "--format", "json").out)


def stored(store, what):
    """A column of dead_letters, by offset."""
    return query(store, f"SELECT {what} FROM dead_letters ORDER BY topic, kafka_offset")


def test_the_list_says_where_and_why(filled):
    """`list` has a row for each dead letter, in the order they came, and says the same in every format."""
    rows = listed(filled)
    assert [list(row) for row in rows] == [COLUMNS] * len(rows)
    assert sorted((row["kafka_offset"], row["reason"], row["error"]) for row in rows) == query(
        filled, "SELECT kafka_offset, reason, error FROM dead_letters ORDER BY kafka_offset"
    )
    assert [row["first_seen_at"] for row in rows] == sorted(row["first_seen_at"] for row in rows)
    as_csv = letters(filled, "list", "--format", "csv").out
    found = list(csv.DictReader(io.StringIO(as_csv, newline="")))
    assert [row["value"] for row in found] == [row["value"] for row in rows]


def test_the_list_is_narrowed_down(filled):
    """--reason and --topic choose, --limit cuts and says so."""
    everything = listed(filled)
    for name in ("reason", "topic"):
        for value in {row[name] for row in everything}:
            chosen = [row for row in everything if row[name] == value]
            assert listed(filled, f"--{name}", value) == chosen
    assert listed(filled, "--topic", "nope'") == []
    ended = letters(filled, "list", "--limit", "2", "--format", "table")
    assert ended.out.count("\n") == 3
    assert ended.err == f"2 of {len(everything)} dead letters; see more with --limit\n"


def test_values_are_safe_to_look_at(tmp_path):
    """Of a value the beginning is shown: bytes that are no text, or steer a terminal, as escapes."""
    long = b'["' + "é".encode() * 400 + b'"]'
    values = [b'["\xff\xfe"]', b'"\x1b[31m"', b'["a', "[日本]".encode(), long]
    store = replay(tmp_path, values)
    shown = [row["value"] for row in listed(store)]
    assert shown == [r'["\xff\xfe"]', r'"\x1b[31m"', '["a', "[日本]", '["' + "é" * 99]
    for style in ("csv", "table"):
        out = letters(store, "list", "--format", style).out
        assert out.replace("\n", "").isprintable()


def test_what_became_readable_is_accepted(tmp_path):
    """`redrive` says what became of the letters; those that still fail stay, with their new reason."""
    lines = [GOOD, GOOD | LARGE | {"example_id": "y"}, b"{", GOOD | LARGE | {"label": "q"}]
    store = replay(tmp_path, lines, **TIGHT)
    assert stored(store, "reason") == [("too_large",), ("malformed_json",), ("too_large",)]
    ended = letters(store, "redrive")
    assert ended.err == (
        "3 read again: 1 accepted, 2 still rejected (malformed_json 1, unknown_label 1)\n"
    )
    assert stored(store, "kafka_offset, reason") == [(2, "malformed_json"), (3, "unknown_label")]
    assert query(store, "SELECT kafka_offset FROM annotations WHERE example_id = 'y'") == [(1,)]
    again = letters(store, "redrive")
    assert again.err.startswith("2 read again: 0 accepted, 2 still rejected")
    assert parity(store) == 0


def test_letters_of_one_reason(tmp_path):
    """--reason reads only those again; the others are as they were."""
    lines = [GOOD, GOOD | LARGE | {"example_id": "y"}, b"{"]
    store = replay(tmp_path, lines, **TIGHT)
    assert letters(store, "redrive", "--reason", "malformed_json").err.startswith("1 read again")
    assert stored(store, "reason") == [("too_large",), ("malformed_json",)]
    ended = letters(store, "redrive", "--reason", "too_large")
    assert ended.err == "1 read again: 1 accepted\n"
    assert letters(store, "redrive", "--reason", "too_large").err == "0 read again: 0 accepted\n"


def test_letters_kept_in_part_are_counted(tmp_path):
    """A letter of which only the beginning is kept stays, and is counted."""
    store = replay(tmp_path, [GOOD, GOOD | {"text": "x" * (1 << 20)}, b"{"], **TIGHT)
    before = stored(store, "*")
    ended = letters(store, "redrive")
    assert ended.err == (
        "1 read again: 0 accepted, 1 still rejected (malformed_json 1); 1 kept only in part\n"
    )
    assert letters(store, "redrive", "--reason", "malformed_json").err.endswith("json 1)\n")
    assert stored(store, "*") == before


def test_a_letter_keeps_the_time_it_was_first_seen(tmp_path):
    """Reading a letter again changes its reason, not since when it is there."""
    store = replay(tmp_path, [GOOD, GOOD | LARGE | {"label": "q"}], **TIGHT)
    before = stored(store, "first_seen_at, reason")
    replay(tmp_path, [GOOD], name="more.jsonl")
    letters(store, "redrive")
    ((seen_at, _),) = before
    assert stored(store, "first_seen_at, reason") == [(seen_at, "unknown_label")]


def test_every_record_is_counted_once(tmp_path):
    """However often letters are read again, a record is accepted or rejected, once."""
    lines = [GOOD, GOOD | LARGE | {"example_id": "y"}, b"{", GOOD | LARGE | {"label": "q"}]
    store = replay(tmp_path, lines, **TIGHT)
    for _ in range(2):
        letters(store, "redrive")
        counters = dict(query(store, "FROM store.counter"))
        assert (counters["accepted"], counters["rejected"]) == (2, 2)
        assert len(stored(store, "reason")) == 2


def test_an_older_letter_changes_nothing(tmp_path):
    """A letter is judged by when it came: what was said later about the same thing stands."""
    lines = [GOOD | LARGE | {"label": "a"}, GOOD | {"label": "b"}]
    store = replay(tmp_path, lines, **TIGHT)
    assert letters(store, "redrive").err == "1 read again: 1 accepted\n"
    assert query(store, "SELECT given_label, kafka_offset FROM annotations") == [("b", 1)]
    assert query(store, "SELECT value FROM store.counter WHERE name = 'stale'")[0][0] >= 1


@pytest.mark.parametrize("size", [7, 20_000])
def test_read_late_is_as_good_as_read_in_time(size, tmp_path):
    """A store whose letters became readable equals one that never rejected them."""
    folders = [tmp_path / name for name in ("late", "once")]
    for folder, settings in zip(folders, (TIGHT, {}), strict=True):
        folder.mkdir()
        lines = busy_stream(7, 600)
        padded = [b" " * (i % 3 * 150) + line for i, line in enumerate(lines)]
        file = write_jsonl(folder / "e.jsonl", padded)
        flags = ("--classes", CLASSES, "--keep-going", "--store", folder / "s.duckdb")
        assert run_here("replay", file, *flags, cwd=tmp_path, settings=settings).exit_code == 0
    late, once = (folder / "s.duckdb" for folder in folders)
    assert len(listed(late)) > 200
    ended = run_here(
        *("dead-letters", "redrive", "--store", late),
        cwd=tmp_path,
        settings={"BATCH_SIZE_MAX": size},
    )
    assert ended.exit_code == 0, ended
    # A review counts where a flag stood at any time, which depends on what was known then.
    without = ("topic", "review_count", "confirmed_share")
    assert difference(views(late, without=without), views(once, without=without)) is None
    assert parity(late) == 0
    assert_findings_add_up(late)


def test_a_store_that_is_not_there(tmp_path):
    """Neither command makes a store."""
    for args, code in ((("list",), 3), (("redrive",), 2)):
        ended = run_here("dead-letters", *args, "--store", "s.duckdb", cwd=tmp_path)
        assert ended.exit_code == code
        assert "does not exist; name the database with --store" in ended.fault
    assert not list(tmp_path.iterdir())


def test_an_unknown_reason_is_wrong_usage(filled):
    """A reason that does not exist ends with exit code 2 and a list of those that do."""
    for command in ("list", "redrive"):
        ended = run_here(
            "dead-letters", command, "--reason", "nope", "--store", filled, cwd=filled.parent
        )
        assert ended.exit_code == 2
        assert "malformed_json" in ended.err
