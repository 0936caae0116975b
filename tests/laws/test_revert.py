from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.laws.line import Run
from tests.strategies import CLASSES, batches, detours


@given(detours(), st.lists(st.integers(0, 7), max_size=10))
def test_what_is_taken_back_leaves_no_trace(stream, sizes):
    """Labels added and deleted, changed and changed back, scores moved and restored: all as before."""
    base, detour = stream
    run = Run(CLASSES).feed_all([base])
    before = run.picture()
    run.feed_all(batches(detour, sizes))
    assert run.picture() == before
