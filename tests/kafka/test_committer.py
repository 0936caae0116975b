from __future__ import annotations

import pytest

from consumers.kafka import committer
from consumers.kafka.committer import Committer
from consumers.kafka.faults import Away
from consumers.ports import Position
from monitor.events import Partition

ONE, TWO = Partition("t", 0), Partition("t", 1)
LOST = Away("the broker went away")


class Group:
    """A client whose commits end as they are told to: with a fault, or with None."""

    def __init__(self, *ends):
        self._ends = iter(ends)
        self.told = []

    def commit(self, offsets, answered):
        self.told.append(offsets)
        answered(next(self._ends))

    def commit_now(self, offsets):
        self.told.append(offsets)
        if fault := next(self._ends):
            raise fault


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nothing waits to be told."""
    monkeypatch.setattr(committer, "EVERY_S", -1.0)


def test_what_was_lost_is_told_again(caplog):
    """An answer that is lost with its broker is not worth a word: the next commit has its offsets, too."""
    group, found = Group(LOST, None, LOST, None), Committer()
    found.note({ONE: Position(5), TWO: Position(3)}, group)
    found.note({ONE: Position(7)}, group)
    found.note({TWO: Position(4)}, group)
    found.finish(group)
    assert group.told == [{ONE: 5, TWO: 3}, {ONE: 7, TWO: 3}, {TWO: 4}, {TWO: 4}]
    assert caplog.text == ""


@pytest.mark.parametrize("faults", [(LOST, LOST, LOST), (None, None, LOST)])
def test_what_fails_again_or_at_last_is_said_once(faults, caplog):
    """Lag tools are blind, and whoever reads the log knows it."""
    group, found = Group(*faults), Committer()
    for offset in (1, 2):
        found.note({ONE: Position(offset)}, group)
    found.note({ONE: Position(3)}, None)
    found.finish(group)
    assert caplog.text.count("lag tools are blind") == 1
