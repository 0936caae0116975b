from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.names import Names

NAMES = st.lists(st.sampled_from("abcdef"), max_size=8)


@given(NAMES, st.lists(NAMES, max_size=4))
def test_names_are_numbered_by_first_arrival(known, batches):
    """A name keeps the number it got first, however the names are cut into batches."""
    known = list(dict.fromkeys(known))
    names, expected = Names(known), list(known)
    for batch in batches:
        expected += [name for name in dict.fromkeys(batch) if name not in expected]
        assert names.numbers(batch).tolist() == [expected.index(name) for name in batch]
    assert names.names == expected
    assert len(names) == len(expected)
    assert [names.find(name) for name in expected] == list(range(len(expected)))
    assert names.find("unheard of") == -1
