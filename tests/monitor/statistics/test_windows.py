from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.statistics.class_statistics import ClassStatistics
from monitor.statistics.windows import Windows
from tests.oracle import UNIT

K = 3
LANDMARKS = (UNIT // 4, UNIT // 2, UNIT, 2_000, 2 * UNIT - 2_000)
# Where cuts and probabilities are: so near to each other that they meet, and far from the rest.
CUT = st.builds(int.__add__, st.sampled_from(LANDMARKS), st.sampled_from((0, 1, -1, 900, -900)))
NEAR_LANDMARKS = st.lists(CUT, min_size=K, max_size=K)


class Watched:
    """Examples under windows, and a scan that counts what it reads."""

    def __init__(self, cuts):
        self.units = np.zeros((0, len(cuts)), np.uint32)
        self.is_member = np.zeros(0, np.bool_)
        self.windows = Windows(np.array(cuts, np.int64))
        self.scanned_count = 0

    def scan(self):
        members = np.flatnonzero(self.is_member).astype(np.int32)
        self.scanned_count += members.size
        for rows in np.array_split(members, 2):
            yield rows, self.units[rows]

    def move(self, cuts, count):
        """Move the cuts; asserts that every example whose verdict flips is found."""
        before = self.units >= self.windows.cuts
        found = self.windows.crossed(np.array(cuts, np.int64), np.array(count), self.scan)
        assert (np.diff(found) > 0).all()
        flips = (before != (self.units >= self.windows.cuts)).any(axis=1) & self.is_member
        assert set(np.flatnonzero(flips)) <= set(found.tolist())
        return found

    def put(self, example, units):
        """A new example, or new probabilities of an old one: its old entries are ghosts."""
        if example == len(self.units):
            self.units = np.vstack((self.units, units))
            self.is_member = np.append(self.is_member, True)
        self.units[example], self.is_member[example] = units, True
        self.windows.add(np.array([example], np.int32), self.units[[example]])


@given(st.data())
def test_a_moving_cut_misses_nobody(data):
    """Every example whose status flips is found, among examples that come, go and are scored anew."""
    watched = Watched(data.draw(NEAR_LANDMARKS))
    for _ in range(data.draw(st.integers(1, 15))):
        count = data.draw(st.lists(st.sampled_from((0, 1, 100, 10**8)), min_size=K, max_size=K))
        watched.move(data.draw(NEAR_LANDMARKS), count)
        for _ in range(data.draw(st.integers(0, 3))):
            units = np.minimum(data.draw(NEAR_LANDMARKS), UNIT)
            watched.put(data.draw(st.integers(0, len(watched.units))), units)
        if data.draw(st.booleans()) and len(watched.units):
            watched.is_member[data.draw(st.integers(0, len(watched.units) - 1))] = False


@given(st.lists(CUT, min_size=1, max_size=2), st.integers(1, 3))
def test_a_new_class_is_settled_until_its_cut_moves(cuts, more):
    """Everybody has p = 0 in a new class; an example with more of it is found when the cut falls."""
    watched = Watched(cuts)
    watched.put(0, np.zeros(len(cuts), np.uint32))
    wider = np.array([*cuts, *[2 * UNIT - 1_073] * more])
    watched.windows.widen(wider)
    watched.units = np.zeros((1, wider.size), np.uint32)
    watched.put(1, np.full(wider.size, UNIT // 2, np.uint32))
    wider[-1] = 1_074
    assert watched.move(wider, np.ones(wider.size)).tolist() == [1]


@pytest.mark.parametrize("spread", [1.0, 0.05, 0.001])
@pytest.mark.parametrize("share_rescored", [0.0, 0.5])
def test_the_work_is_bounded_for_a_stationary_stream(spread, share_rescored):
    """Of 40,000 examples each is read only a few times in all while the cuts move 400 times.

    Nobody is missed, also where windows are so full that they are read anew.
    """
    rng = np.random.default_rng(7)
    watched, statistics = Watched([2 * UNIT - 1_073] * K), ClassStatistics.empty(K)
    units = (rng.dirichlet(np.full(K, spread), 40_000) * UNIT).astype(np.uint32)
    watched.units = np.zeros_like(units)
    watched.is_member = np.zeros(len(units), np.bool_)
    candidate_count = 0
    for start in range(0, len(units), 100):
        fresh = np.arange(start, start + 100)
        again = rng.choice(start + 1, int(100 * share_rescored))
        rows = np.unique(np.concatenate((fresh, again))).astype(np.int32)
        given = units[fresh].argmax(axis=1)
        statistics = statistics.update(given, units[fresh, given])
        candidate_count += watched.move(statistics.cuts(), statistics.count).size
        units[again] = units[rng.integers(0, len(units), again.size)]
        watched.units[rows], watched.is_member[rows] = units[rows], True
        watched.windows.add(rows, units[rows])
    assert watched.scanned_count < 3 * len(units)
    assert candidate_count < 0.3 * len(units)
