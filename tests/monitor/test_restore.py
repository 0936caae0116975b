from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.ledger import Ledger
from monitor.order import OrderKeys
from monitor.restore import advance_prediction_keys
from monitor.tables import keys_of, set_keys

KEY = st.tuples(st.integers(-1, 1), st.integers(0, 1), st.integers(0, 1), st.integers(0, 2))
RANKS = np.array([1, 0])


def as_keys(keys):
    """Keys as columns."""
    revision, time_us, source, offset = np.array(keys, np.int64).reshape(-1, 4).T
    return OrderKeys(revision, time_us, source.astype(np.int32), offset)


def ranked(key):
    """The key as a tuple that Python compares."""
    return key[0], key[1], int(RANKS[key[2]]), key[3]


@given(
    st.lists(KEY, min_size=3, max_size=3), st.lists(st.tuples(st.integers(0, 2), KEY), max_size=8)
)
def test_a_prediction_has_the_key_of_its_newest_repetition(stored, repetitions):
    """Of the keys of a prediction and of the writes that only repeated it, the newest counts."""
    ledger, rows = Ledger(), np.arange(3, dtype=np.int32)
    ledger.ranks = RANKS
    ledger.examples.grow_to(3)
    set_keys(ledger.examples, rows, as_keys(stored))
    examples = np.array([example for example, _ in repetitions], np.int32)
    advance_prediction_keys(ledger, examples, as_keys([key for _, key in repetitions]))
    expected = as_keys(
        [
            max([key, *(k for at, k in repetitions if at == row)], key=ranked)
            for row, key in enumerate(stored)
        ]
    )
    found = keys_of(ledger.examples, rows)
    for name in ("revision", "time_us", "source", "offset"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
