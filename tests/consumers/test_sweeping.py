"""Passes through all examples: when they begin, how much time they take, and what they leave behind."""

from __future__ import annotations

import contextlib

import pytest

from consumers import sweeping
from consumers.config import Settings
from consumers.loop import Breaker, advance
from consumers.store import Arrival
from consumers.sweeping import QUIET_S, RATED_EVERY_S, SHARE_MAX, Sweep
from consumers.wiring import open_line
from monitor.events import Event
from tests.consumers.logs import CLASSES, Log, LogSource, feed
from tests.consumers.stored import tables

PART_S = 0.002
EXAMPLES = 60
# Four examples at a time; a pass measures all of them first, and then judges them.
PASS = 2 * EXAMPLES // 4


def labels(start, stop, by="ann"):
    """Labels of so many examples, one in seven wrong."""
    for i in range(start, stop):
        given, p = CLASSES[(i + (i % 7 == 0)) % 3], [0.1, 0.1, 0.1]
        p[i % 3] = 0.8
        yield Event(example_id=f"x{i % EXAMPLES}", annotator=by, label=given, pred_probs=p)


class Line:
    """A line with a clock of its own: each part of a sweep takes PART_S, nothing else takes any time."""

    def __init__(self, line, clock_s=100.0):
        self.line, self.now, self.parts, self.sent = line, clock_s, 0, []
        consensus = line.state.consensus
        consensus.measure = self._timed(consensus.measure)
        consensus.sweep = self._timed(consensus.sweep)
        self.sweep = Sweep(line.store, line.state, clock=lambda: self.now)

    def _timed(self, do):
        def part(*args):
            self.parts += 1
            self.now += PART_S
            return do(*args)

        return part

    def tell(self, events):
        """One batch."""
        done = len(self.sent)
        self.sent += events
        source = LogSource(Log.lines(self.sent), [done])
        source.seek({})
        source.poll(done)
        polled = source.poll(10**6)
        arrival = Arrival(polled.records, polled.positions)
        advance(self.line, arrival, Breaker(is_armed=False), is_last=False)

    def turns(self, count, *, is_idle, apart_s=0.0):
        """So many turns, this long apart; how many parts of a pass they did."""
        before = self.parts
        for _ in range(count):
            self.now += apart_s
            self.sweep.turn(is_idle=is_idle)
        return self.parts - before

    @property
    def txn_id(self):
        """The last transaction."""
        return self.line.store.txn_id


@contextlib.contextmanager
def started(path):
    """A line that was told of 60 examples."""
    with open_line(Settings(store=str(path), classes=CLASSES), "test") as opened:
        line = Line(opened)
        line.tell(list(labels(0, EXAMPLES)))
        yield line


@pytest.fixture
def line(tmp_path, monkeypatch):
    """Such a line, which sweeps four examples at a time."""
    monkeypatch.setattr(sweeping, "PART_EXAMPLES", 4)
    with started(tmp_path / "s.duckdb") as line:
        yield line


def test_an_end_makes_all_current(tmp_path, monkeypatch):
    """After `finish` what is published is that of any other run over the same records."""
    monkeypatch.setattr(sweeping, "LAST_PART_EXAMPLES", 7)
    one, other = tmp_path / "one.duckdb", tmp_path / "other.duckdb"
    with started(one) as line:
        line.turns(3, is_idle=False, apart_s=1.0)
        line.tell(list(labels(0, EXAMPLES, "bob")))
        assert not line.sweep.is_current
        line.sweep.finish()
        assert line.sweep.is_current
        assert not len(line.line.state.consensus.sweep(line.line.state.ledger, 0, EXAMPLES))
    feed(other, LogSource(Log.lines(line.sent), [7]), classes=CLASSES)
    ours, theirs = tables(one), tables(other)
    for name in ("opinion", "annotator_rating", "flag"):
        assert ours[name] == theirs[name]
        assert ours[name]


def test_nothing_new_nothing_done(line):
    """While nothing changes no pass begins and nothing is written, however long it idles."""
    line.sweep.finish()
    txn_id = line.txn_id
    assert line.turns(50, is_idle=True, apart_s=QUIET_S) == 0
    assert line.txn_id == txn_id


def test_a_start_begins_with_a_pass(line):
    """What an earlier run left undone is not known: the first pass begins at once."""
    assert line.turns(1, is_idle=False) == 1


def test_idle_time_is_used(line):
    """While nothing comes a turn does several parts, and gives way in time to look for records."""
    assert 1 < line.turns(1, is_idle=True) < PASS
    assert line.turns(3, is_idle=True) < PASS
    assert line.sweep.is_current


def test_passes_take_their_share_at_most(line):
    """While records come all parts together take no more than SHARE_MAX of the time."""
    began_at, apart_s, parts = line.now, 0.005, 0
    for i in range(40):
        line.tell(list(labels(i, i + 3, f"w{i}")))
        parts += line.turns(25, is_idle=False, apart_s=apart_s)
    assert parts > PASS, "more than one pass"
    assert parts * PART_S <= SHARE_MAX * (line.now - began_at) + PART_S


def test_a_change_during_a_pass_leads_to_another(line):
    """A pass under way judges by what it finds; what came meanwhile is judged by the next one."""
    assert line.turns(3, is_idle=False, apart_s=1.0) == 3
    line.tell(list(labels(0, 30, "bob")))
    assert line.turns(PASS - 3, is_idle=False, apart_s=1.0) == PASS - 3
    assert not line.sweep.is_current
    assert line.turns(PASS, is_idle=False, apart_s=1.0) == PASS
    assert line.sweep.is_current
    assert line.turns(PASS, is_idle=False, apart_s=1.0) == 0
    state = line.line.state
    assert not len(state.consensus.sweep(state.ledger, 0, EXAMPLES))


def test_a_trifle_waits_for_quiet(line, monkeypatch):
    """While records come a pass waits until enough has changed; when none come, it waits no longer."""
    line.sweep.finish()
    monkeypatch.setattr(sweeping, "CHANGED_SHARE_MIN", 0.5)
    line.tell(list(labels(0, 2, "bob")))
    assert line.turns(5, is_idle=False, apart_s=1.0) == 0
    assert line.turns(1, is_idle=True, apart_s=QUIET_S / 2) == 0
    assert line.turns(5, is_idle=True, apart_s=QUIET_S / 2) > 0
    assert line.sweep.is_current


def test_ratings_are_written_once_in_a_while(line):
    """Annotators are rated anew at most once in RATED_EVERY_S, and the last change is not forgotten."""
    line.sweep.finish()
    line.now += RATED_EVERY_S
    txn_id, ratings = line.txn_id, []
    line.line.store.rate = lambda rated, _: ratings.append(rated)
    for i in range(20):
        line.tell(list(labels(i, i + 1, "bob")))
        line.turns(1, is_idle=False, apart_s=RATED_EVERY_S / 4)
    assert 5 <= len(ratings) <= 6
    assert line.txn_id > txn_id
    line.turns(40, is_idle=True, apart_s=RATED_EVERY_S)
    assert ratings[-1].annotation_count.sum() == EXAMPLES + 20
    known = len(ratings)
    line.turns(40, is_idle=True, apart_s=RATED_EVERY_S)
    assert len(ratings) == known
