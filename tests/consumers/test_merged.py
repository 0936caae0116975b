from __future__ import annotations

import contextlib
import time

import pytest

from consumers.config import Settings
from consumers.errors import SourceError
from consumers.loop import Breaker, run
from consumers.merged import Merged
from consumers.ports import Polled
from consumers.store import INBOX
from consumers.store.inbox import InboxClosed
from consumers.store.inbox_source import InboxSource
from consumers.wiring import open_line
from monitor.events import Partition
from tests.consumers.logs import CLASSES, Log, LogSource
from tests.consumers.stored import query

MAIN, SENT = "m", "i"


def event(name, label="a"):
    """An annotation as bytes."""
    return b'{"example_id": "%s", "label": "%s", "pred_probs": [0.5, 0.25, 0.25]}' % (
        name.encode(),
        label.encode(),
    )


class Silent(LogSource):
    """A log that has nothing so far."""

    def poll(self, records_max):
        return Polled(self.take([]).records, {})


@contextlib.contextmanager
def merged(path, main, sent):
    """A line, and its source with these events in the inbox, one request each."""
    with open_line(Settings(store=str(path), classes=CLASSES), "test") as line:
        for i in range(sent):
            line.store.inbox.put([event(f"i{i}")], None)
        source = Merged(main, InboxSource(line.store.inbox))
        source.seek(line.store.positions(line.state))
        yield line, source


def order(source, polls, records_max=1):
    """From which of the two the records came, poll by poll."""
    taken = [source.poll(records_max) for _ in range(polls)]
    return "".join(
        SENT if INBOX in each.positions else MAIN * bool(each.positions) for each in taken
    )


def test_both_take_turns(tmp_path):
    """While both have records, neither is held up by the other."""
    main = LogSource(Log.lines([event(f"m{i}") for i in range(6)]))
    with merged(tmp_path / "s.duckdb", main, 4) as (_, source):
        assert order(source, 10) == "imimimimmm"


def test_the_inbox_is_read_while_the_other_is_silent(tmp_path):
    """Though Kafka has nothing, or is away, what was sent comes with the next polls."""
    with merged(tmp_path / "s.duckdb", Silent(Log({})), 4) as (line, source):
        assert order(source, 4) == "iiii"
        assert order(source, 3) == ""
        line.store.inbox.put([event("late")], None)
        assert order(source, 1) == "i"


def test_it_ends_with_the_other_once_the_inbox_is_empty(tmp_path):
    """What was acknowledged comes before the end, and nothing more is taken."""
    main = LogSource(Log.lines([event("m0")]))
    with merged(tmp_path / "s.duckdb", main, 3) as (line, source):
        polls = [source.poll(1) for _ in range(5)]
        assert [len(each.records) for each in polls] == [1, 1, 1, 1, 0]
        assert [each.is_exhausted for each in polls] == [False] * 4 + [True]
        with pytest.raises(InboxClosed):
            line.store.inbox.put([event("late")], None)


def test_an_empty_inbox_changes_nothing(tmp_path):
    """The last poll of the main source is the last one."""
    main = LogSource(Log.lines([event("m0")]))
    with merged(tmp_path / "s.duckdb", main, 0) as (_, source):
        assert [source.poll(1).is_exhausted] == [True]
        assert source.end_offsets() == main.end_offsets()


def test_the_inbox_does_not_hide_a_stream_of_bad_records(tmp_path):
    """Whether a run's records are nearly all rejected is asked of the main source alone."""
    main = LogSource(Log.lines([b"{}"] * 5))
    with (
        merged(tmp_path / "s.duckdb", main, 20) as (line, source),
        pytest.raises(SourceError, match="5 of the first 5 records were rejected"),
    ):
        run(line, source, Breaker(is_armed=True), lambda: False, lambda _: None)
    assert query(tmp_path / "s.duckdb", "SELECT count(*) FROM annotations") == [(20,)]


@pytest.mark.parametrize(("later_s", "label"), [(-1, "b"), (3_600, "a")])
def test_a_correction_is_as_new_as_its_arrival(later_s, label, tmp_path):
    """Of a record of Kafka and a correction the later one wins, whichever is read first."""
    time_us = time.time_ns() // 1_000 + later_s * 1_000_000
    main = LogSource(Log({Partition("topic"): [(7, None, event("x"), time_us)]}))
    with merged(tmp_path / "s.duckdb", main, 0) as (line, source):
        line.store.inbox.put([event("x", "b")], None)
        run(line, source, Breaker(is_armed=True), lambda: False, lambda _: None)
    assert query(tmp_path / "s.duckdb", "SELECT given_label FROM annotations") == [(label,)]
