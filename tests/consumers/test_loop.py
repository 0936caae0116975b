"""From a record to a durable flag, once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.errors import SourceError, UsageError
from monitor.events import Partition
from tests.consumers.logs import Log, LogSource, feed
from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import run_apart, run_here

GOOD = b'{"example_id":"x","label":"a","pred_probs":{"a":0.5,"b":0.5}}'
BAD = b'{"example_id":"x","y":"a","pred_probs":{"a":0.5,"b":0.5}}'


def counts(path):
    """How many records are offsets, dead letters and transactions."""
    return query(
        path,
        "SELECT (SELECT coalesce(sum(next_offset), 0) FROM offsets), (SELECT count(*) FROM dead_letters), "
        "(SELECT count(*) FROM store.txn)",
    )[0]


def run_breaker(path, records, size):
    """Whether a stream of records (True: good) trips the breaker; and what is stored then."""
    log = Log.lines([GOOD if is_good else BAD for is_good in records])
    try:
        feed(path, LogSource(log), is_armed=True, batch_size_max=size)
    except SourceError as error:
        return str(error), counts(path)
    return None, counts(path)


@pytest.mark.parametrize(
    ("good", "length", "is_tripped"),
    [(0, 1, True), (1, 1, False), (1, 10, False), (0, 10, True), (1, 11, True)],
)
def test_of_a_short_stream_all_records_count(good, length, is_tripped, tmp_path):
    """A run of fewer than 1,000 records stops where over 90 % of all are rejected, and stores nothing."""
    records = [True] * good + [False] * (length - good)
    text, stored = run_breaker(tmp_path / "s.duckdb", records, 20_000)
    assert (text is not None) == is_tripped
    assert stored[:2] == ((0, 0) if is_tripped else (length, length - good))
    assert (stored[2] == 0) == is_tripped


@pytest.mark.parametrize(("good", "is_tripped"), [(100, False), (99, True)])
@pytest.mark.parametrize("size", [20_000, 300, 1_000])
def test_of_a_long_stream_the_first_thousand_count(good, is_tripped, size, tmp_path):
    """With exactly 90 % of the first 1,000 rejected a run goes on; one more, and it stops."""
    records = [True] * good + [False] * (1_000 - good) + [True] * 200
    text, stored = run_breaker(tmp_path / "s.duckdb", records, size)
    assert (text is not None) == is_tripped
    if is_tripped:
        assert stored[0] == {20_000: 0, 300: 900, 1_000: 0}[size]
        assert f"{1_000 - good} of the first 1,000 records were rejected" in text
        assert 'fields.label = "y"' in text
        assert "--keep-going" in text
    else:
        assert stored[:2] == (1_200, 900)


def test_what_comes_after_the_first_thousand_does_not_stop_a_run(tmp_path):
    """Once 1,000 records have passed, no number of bad ones stops the run."""
    text, stored = run_breaker(tmp_path / "s.duckdb", [True] * 1_000 + [False] * 3_000, 500)
    assert (text, stored[:2]) == (None, (4_000, 3_000))


def test_the_mapping_that_would_help(tmp_path):
    """A run that stops says which mapping would help; with it, the same command works."""
    events = [
        {"task": {"id": i}, "answer": "a", "scores": {"a": 0.9, "b": 0.1}} for i in range(20)
    ]
    file = write_jsonl(tmp_path / "e.jsonl", events)
    ended = run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path)
    assert ended.exit_code == 4
    assert query(tmp_path / "s.duckdb", "SELECT count(*) FROM dead_letters") == [(0,)]
    text = ended.fault
    for name, path in (("example_id", "task.id"), ("label", "answer"), ("pred_probs", "scores")):
        assert f'fields.{name} = "{path}"' in text
    hint = text.partition("would help: ")[2].partition(". To keep")[0]
    (tmp_path / "labelwatch.toml").write_text(hint.replace(", fields", "\nfields") + "\n")
    again = run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path)
    assert (again.exit_code, again.err.split(";")[0]) == (0, "20 records read")


def test_keep_going(tmp_path):
    """With --keep-going the bad records are dead letters, and the run ends as any other."""
    file = write_jsonl(tmp_path / "e.jsonl", [BAD] * 5)
    ended = run_here("replay", file, "--keep-going", "--store", "s.duckdb", cwd=tmp_path)
    assert ended.exit_code == 0
    assert "5 rejected (missing_field 5)" in ended.err
    assert counts(tmp_path / "s.duckdb")[:2] == (5, 5)
    strict = run_here("replay", file, "--strict", "--store", "s.duckdb", cwd=tmp_path)
    assert strict.exit_code == 0
    write_jsonl(file, [BAD] * 7)
    strict = run_here(
        "replay", file, "--strict", "--keep-going", "--store", "s.duckdb", cwd=tmp_path
    )
    assert strict.exit_code == 1


def test_a_pipe_of_bad_records_ends_with_the_same_verdict(tmp_path):
    """Stdin too: records came and were kept one by one, and at the end nearly all were rejected."""
    ended = run_apart("replay", "-", "--store", "s.duckdb", cwd=tmp_path, stdin=BAD + b"\n")
    assert ended.exit_code == 4, ended.err
    assert "1 of the first 1 records were rejected" in ended.fault
    assert 'fields.label = "y"' in ended.fault


@settings(max_examples=6)
@given(st.lists(st.integers(1, 4), max_size=6), st.lists(st.integers(0, 9), max_size=4))
def test_what_was_consumed_is_not_consumed_again(tmp_path_factory, sizes, rewinds):
    """Records handed out again, at a restart or within a run, count once; positions never go back."""
    path = tmp_path_factory.mktemp("again") / "s.duckdb"
    log = Log.lines([GOOD, BAD, GOOD.replace(b'"x"', b'"y"'), b"{", GOOD])

    class Rewinding(LogSource):
        def poll(self, records_max):
            if rewinds:
                for place in self.next:
                    self.next[place] = max(0, self.next[place] - rewinds.pop())
            return super().poll(records_max)

    for _ in range(2):
        feed(path, Rewinding(log, list(sizes)))
    assert counts(path)[:2] == (5, 2)
    counted = (
        "SELECT name, value FROM store.counter WHERE name IN ('accepted', 'rejected') ORDER BY 1"
    )
    assert query(path, counted) == [("accepted", 3), ("rejected", 2)]


def letters(path):
    """Coordinates, reasons and values of the dead letters."""
    return query(
        path,
        "SELECT topic, kafka_offset, reason, value FROM dead_letters ORDER BY topic, kafka_offset",
    )


def test_dead_letters_are_read_again_when_settings_change(tmp_path):
    """While a store has no accepted event its settings may change, and dead letters are read again."""
    path, log = tmp_path / "s.duckdb", Log.lines([BAD, b"{", None, BAD.replace(b'"x"', b'"y"')])
    feed(path, LogSource(log))
    assert [letter[1:3] for letter in letters(path)] == [
        (0, "missing_field"),
        (1, "malformed_json"),
        (2, "missing_field"),
        (3, "missing_field"),
    ]
    feed(path, LogSource(log), fields={"label": "y"}, classes=["b", "a"])
    assert letters(path) == [
        ("lines", 1, "malformed_json", b"{"),
        ("lines", 2, "missing_field", b""),
    ]
    assert query(path, "SELECT example_id, kafka_offset FROM annotations ORDER BY 1") == [
        ("x", 0),
        ("y", 3),
    ]
    assert query(path, "SELECT label FROM classes") == [("b",), ("a",)]


def test_letters_kept_as_a_prefix_are_not_read_again(tmp_path):
    """A value of which only the beginning was kept stays a dead letter."""
    path = tmp_path / "s.duckdb"
    large = BAD[:-1] + b',"text":"' + b"x" * (1 << 20) + b'"}'
    feed(path, LogSource(Log.lines([large, BAD])))
    feed(path, LogSource(Log.lines([])), fields={"label": "y"})
    assert [(offset, reason) for _, offset, reason, _ in letters(path)] == [(0, "missing_field")]
    size = query(path, "SELECT octet_length(value), value_size, value_sha256 FROM dead_letters")[0]
    assert size[:2] == (1 << 20, len(large))
    assert len(size[2]) == 64


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", ["b", "a"]),
        ("collision", "paper"),
        ("fields", {"label": "y"}),
        ("tombstone_key", "annotation_id"),
    ],
)
@pytest.mark.parametrize("first", [GOOD, b'{"type":"classes","classes":["a","b"]}', None])
def test_a_store_with_events_keeps_its_settings(name, value, first, tmp_path):
    """Once an event was accepted, another value of what shapes state is refused, naming the way."""
    path = tmp_path / "s.duckdb"
    log = Log({Partition("lines"): [(0, b"x", first, -1)]})
    feed(path, LogSource(log))
    with pytest.raises(UsageError, match="labelwatch rebuild") as refused:
        feed(path, LogSource(log), **{name: value})
    assert str(refused.value).startswith(f"{name}: {path} was built with ")
    feed(path, LogSource(log))


def test_settings_that_are_left_out_are_as_the_store_was_built(tmp_path):
    """What shapes state is recorded: later runs need not repeat it, and may repeat it."""
    path, log = tmp_path / "s.duckdb", Log.lines([BAD])
    feed(path, LogSource(log), fields={"label": "y"}, classes=["a", "b"])
    feed(path, LogSource(Log.lines([BAD, BAD.replace(b'"x"', b'"z"')])))
    feed(path, LogSource(log), fields={"label": "y"})
    assert query(path, "SELECT example_id FROM annotations ORDER BY 1") == [("x",), ("z",)]
