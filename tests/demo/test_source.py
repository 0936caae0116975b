from __future__ import annotations

import itertools

import pytest

from consumers.demo.pace import Pace
from consumers.demo.source import DIGITS, DemoSource
from consumers.demo.story import Story
from consumers.errors import SourceError
from consumers.ports import Position
from monitor.events import Partition

STORY = Story([b'{"n": %d}' % n for n in range(120)], [None] * 120, {})


def source(new_pace=None, story=STORY):
    """A source of a short story."""
    return DemoSource(lambda: story, new_pace)


def test_at_full_speed_it_ends():
    """Without a pace everything comes once, in order, and then the source ends."""
    found, values = source(), []
    found.seek({})
    while True:
        polled = found.poll(1_000)
        values += polled.records.values
        assert polled.positions[DIGITS].next_offset == len(values)
        if polled.is_exhausted:
            break
    assert values == STORY.values
    assert found.is_through


def test_at_a_pace_it_never_ends():
    """With a pace all of it comes, not all at once, and then the source goes on without records."""
    now = itertools.count(step=0.1)
    found = source(lambda: Pace(200, lambda: next(now)))
    found.seek({})
    values = list(found.poll(1_000).records.values)
    assert 0 < len(values) < len(STORY.values)
    while not found.is_through:
        values += found.poll(1_000).records.values
    assert values == STORY.values
    polled = found.poll(1_000)
    assert (len(polled.records), polled.positions, polled.is_exhausted) == (0, {}, False)


def test_it_goes_on_where_the_store_is():
    """A stored position is gone on from; an inbox beside it is no matter."""
    found = source()
    position = Position(100, STORY.fingerprint)
    found.seek({DIGITS: position, Partition("inbox:"): Position(3)})
    polled = found.poll(1_000)
    assert polled.records.values == STORY.values[100:]
    assert polled.records.offsets.tolist() == list(range(100, 120))
    assert polled.is_exhausted


@pytest.mark.parametrize(
    ("positions", "held"),
    [
        ({Partition("annotations", 2): Position(5)}, "records of annotations"),
        ({DIGITS: Position(5, "0123")}, "another demo"),
    ],
)
def test_a_store_of_other_data_is_left_alone(positions, held):
    """The demo never adds its digits to somebody's data."""
    with pytest.raises(SourceError, match=f"holds {held}; name a new file with --store"):
        source().seek(positions)


def test_a_pace_does_not_catch_up():
    """After an hour in which nobody took anything, at most a hundred records are due, or a second's."""
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    assert [pace.take(10), pace.take(10)] == [1, 0]
    now[0] = 2.0
    assert pace.take(100) == 10
    now[0] = 3_600.0
    assert pace.take(1_000) == 100
    now[0] = 3_602.0
    assert [pace.take(20), pace.take(20)] == [20, 10]
