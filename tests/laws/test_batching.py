from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from monitor.events import Event, EventType, Partition
from tests.laws.line import Run
from tests.strategies import CLASSES, PARTITIONS, cut, growing_streams, in_order, streams

FILES = (Partition("file:/b"), Partition("file:/a"), *PARTITIONS[:2])
NAMED_BY_A_DELETION = in_order(
    Event(type=EventType.DELETION, example_id="x0", annotator="eve"),
    Event(example_id="x0", label="a", annotator="ann"),
)


def assert_same(sents, batches, classes=()):
    """Assert that batches, one batch and one event at a time end in the same state."""
    at_once = Run(classes).feed_all([sents])
    one_by_one = Run(classes).feed_all([sent] for sent in sents)
    assert Run(classes).feed_all(batches).arrays() == at_once.arrays() == one_by_one.arrays()


@given(cut(streams()))
@example((NAMED_BY_A_DELETION, [NAMED_BY_A_DELETION]))
def test_poll_boundaries_do_not_matter(stream):
    """However poll() cuts the stream, the state is the same, numbering and counts included."""
    assert_same(*stream, CLASSES)


@given(cut(streams(partitions=FILES)))
def test_poll_boundaries_do_not_matter_to_files(stream):
    """Files rank by when they were first read, wherever the stream was cut."""
    assert_same(*stream, CLASSES)


@given(cut(growing_streams()))
def test_poll_boundaries_do_not_matter_to_classes(stream):
    """Classes that join on the way get the same numbers, wherever the stream was cut."""
    assert_same(*stream)


@given(streams(), st.data())
def test_everything_delivered_again_changes_nothing(sents, data):
    """Redelivery from any offset on leaves the state as it was, and raises no flag."""
    run = Run(CLASSES).feed_all([sents])
    before = run.arrays() | {"heard": None}
    step = run.feed(sents[data.draw(st.integers(0, len(sents))) :])
    assert run.arrays() | {"heard": None} == before
    assert not any(map(len, step.flags))
    assert not len(step.opinions)
