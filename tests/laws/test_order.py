from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.laws.line import Run
from tests.strategies import CLASSES, batches, streams


@given(streams(), st.data())
def test_order_of_arrival_does_not_matter(sents, data):
    """With fixed classes, any permutation of the same records, in any batches, ends in the same state."""
    shuffled = data.draw(st.permutations(sents))
    sizes = data.draw(st.lists(st.integers(0, 7), max_size=len(sents)))
    run = Run(CLASSES).feed_all([sents])
    other = Run(CLASSES).feed_all(batches(shuffled, sizes))
    assert other.picture() == run.picture()


@given(streams())
def test_the_last_record_may_come_first(sents):
    """A stream told backwards ends in the same state."""
    backwards = Run(CLASSES).feed_all([sent] for sent in reversed(sents))
    assert backwards.picture() == Run(CLASSES).feed_all([sents]).picture()
