from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.identity import IdTable, default_annotation_id, identify, identify_bytes

# Few values in each half, so that ids share their low 64 bits, their slots, or only their high bits.
HALVES = st.sampled_from([0, 1, 2, 1_023, 1_024, 2_048, 2**63, 2**64 - 1])
IDS = st.lists(st.tuples(HALVES, HALVES), max_size=30)


def as_ids(pairs):
    """Ids from their low and high halves."""
    return np.array(pairs, np.uint64).reshape(-1, 2)


def numbered(known, pairs):
    """What a dict makes of it."""
    return [known.setdefault(pair, len(known)) for pair in pairs]


@given(st.lists(IDS, max_size=5), IDS)
def test_a_table_numbers_ids_as_a_dict_does(batches, others):
    """Rows are numbered by first arrival, also where ids share 64 of their bits."""
    table, known = IdTable(), {}
    for pairs in batches:
        assert table.intern(as_ids(pairs)).tolist() == numbered(known, pairs)
    assert table.find(as_ids(others)).tolist() == [known.get(pair, -1) for pair in others]
    assert len(table) == len(known)
    assert table.ids(slice(None)).tolist() == list(map(list, known))


def test_long_probe_chains_and_growth_keep_every_id():
    """Thousands of ids that all want one slot are found again, through every growth of the table."""
    table, known = IdTable(), {}
    for start in range(0, 3_000, 250):
        pairs = [((i % 7) << 40, i) for i in range(start, start + 250)]
        assert table.intern(as_ids(pairs)).tolist() == numbered(known, pairs)
    assert table.find(as_ids(list(known))).tolist() == list(range(3_000))
    assert table.find(as_ids([(i << 40, 3_000) for i in range(7)])).tolist() == [-1] * 7


def test_one_batch_may_outgrow_the_table_many_times_over():
    """A first batch of 100,000 ids, each twice, gets dense row numbers."""
    ids = identify(map(str, range(100_000)))
    table = IdTable()
    rows = table.intern(np.concatenate((ids, ids[::-1])))
    assert (rows[:100_000] == np.arange(100_000)).all()
    assert (rows[100_000:] == np.arange(100_000)[::-1]).all()
    assert (table.find(ids) == np.arange(100_000)).all()


def test_ids_are_a_stable_public_fact():
    """An id is xxh3-128 with seed 0, of UTF-8: stored ids are found by any later version."""
    assert identify_bytes([b""])[0].tobytes().hex() == "99aa06d3014798d86001c324468d497f"
    assert (identify(["é"]) == identify_bytes(["é".encode()])).all()


PARTS = st.text(alphabet="ab\x1e\x1f", max_size=4)


@given(PARTS, PARTS, PARTS, PARTS)
def test_default_annotation_ids_do_not_collide(example, annotator, other_example, other_annotator):
    """Different pairs of example and annotator have different ids, whatever characters they hold."""
    is_same = (example, annotator) == (other_example, other_annotator)
    assert is_same == (
        default_annotation_id(example, annotator)
        == default_annotation_id(other_example, other_annotator)
    )
