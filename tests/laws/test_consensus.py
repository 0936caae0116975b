from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consensus_oracle import assert_published
from tests.consumers.logs import Log, LogSource, feed
from tests.consumers.stored import difference, query, views
from tests.laws.line import Run
from tests.laws.test_revert import detours
from tests.strategies import CLASSES, cut, growing_streams, streams

RATINGS = """
SELECT name, r.* EXCLUDE (annotator) FROM store.annotator_rating r JOIN store.annotator USING (annotator)
ORDER BY name
"""
FEW = settings(max_examples=10)


def shown(path):
    """What a store says of annotations, examples and annotators, in words: no number of a row."""
    # Which record wrote an annotation last is not about the consensus.
    places = (
        "topic",
        "kafka_partition",
        "kafka_offset",
        "text",
        "metadata",
        "annotated_at",
        "revision",
    )
    found = views(path, without=places)
    return {name: found[name] for name in ("annotations", "examples", "label_issues_any")} | {
        "ratings": query(path, RATINGS)
    }


def fed(folder, name, log, sizes=(), **options):
    """What a store shows that was fed with this log."""
    path = Path(folder, name)
    feed(path, LogSource(log, sizes), classes=list(CLASSES), **options)
    return shown(path)


@given(cut(streams()))
def test_after_a_sweep_all_is_what_the_oracle_says(stream):
    """However a stream is cut, after a sweep every quality and consensus is that of the live rows alone."""
    run = Run(CLASSES).feed_all(stream[1])
    assert_published(run.picture()["opinions"], run.world.live(), len(CLASSES))


@given(cut(growing_streams()))
def test_classes_may_join(stream):
    """So it is where classes join on the way: every example is judged by all classes."""
    run = Run().feed_all(stream[1])
    assert_published(run.picture()["opinions"], run.world.live(), len(run.world.classes))


@given(cut(streams()))
def test_sweeps_on_the_way_change_nothing(stream):
    """A sweep after every batch leaves what one sweep at the end leaves; a second one says nothing."""
    swept, once = Run(CLASSES), Run(CLASSES).feed_all(stream[1])
    for batch in stream[1]:
        swept.feed(batch)
        swept.sweep()
    assert swept.picture() == once.picture()
    assert not len(once.sweep())


@FEW
@given(streams(), st.data())
def test_order_batches_and_restarts_give_the_same_tables(sents, data):
    """Through a real store, in any order, cut anywhere, stopped and started: the same to the last bit."""
    sizes = st.lists(st.integers(1, 7), min_size=1, max_size=6)
    # A log tells its partitions one after the other, so their order is the order of arrival.
    log = Log.of(sents)
    backwards = Log(dict(reversed(log.parts.items())))
    with tempfile.TemporaryDirectory() as folder:
        whole = fed(folder, "whole", log)
        assert difference(fed(folder, "cut", log, data.draw(sizes)), whole) is None
        assert difference(fed(folder, "backwards", backwards, data.draw(sizes)), whole) is None
        fed(folder, "stopped", log, data.draw(sizes), batches=data.draw(st.integers(1, 3)))
        assert difference(fed(folder, "stopped", log, data.draw(sizes)), whole) is None


@FEW
@given(detours(), st.lists(st.integers(1, 7), max_size=6))
def test_what_is_taken_back_leaves_no_trace_in_the_tables(stream, sizes):
    """Labels added and deleted, changed and changed back, scores moved and restored: the same tables."""
    base, detour = stream
    with tempfile.TemporaryDirectory() as folder:
        known = fed(folder, "base", Log.of(base))
        assert difference(fed(folder, "detour", Log.of(base + detour), sizes), known) is None
