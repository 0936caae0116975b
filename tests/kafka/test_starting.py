from __future__ import annotations

import pytest

from consumers.errors import SourceError
from consumers.kafka.starting import Extent, begin
from consumers.ports import Position
from monitor.events import Partition

PLACE, OTHER = Partition("t", 0), Partition("t", 1)


def test_a_truncated_topic_is_no_place_to_go_on():
    """A stored offset behind the end means that records are gone which the store counts."""
    with pytest.raises(SourceError, match="ends at offset 5, but the store has read up to 9"):
        begin({PLACE: Extent(0, 5, "id")}, {PLACE: Position(9, "id")}, "stored", skip_lost=True)


def test_an_old_broker_has_no_topic_ids():
    """Where there is no id to compare, the stored one is kept."""
    found = begin(
        {PLACE: Extent(0, 9, None)}, {PLACE: Position(4, "id")}, "stored", skip_lost=False
    )
    assert found.positions == {PLACE: Position(4, "id")}
    found = begin({PLACE: Extent(0, 9, "id")}, {PLACE: Position(4)}, "stored", skip_lost=False)
    assert found.positions == {PLACE: Position(4, "id")}


@pytest.mark.parametrize(("start", "offset"), [("earliest", 2), ("latest", 9)])
def test_a_new_topic_begins_where_it_is_told_to(start, offset):
    """Without stored offsets, start decides."""
    found = begin({PLACE: Extent(2, 9, "id")}, {}, start, skip_lost=False)
    assert found.positions == {PLACE: Position(offset, "id")}


@pytest.mark.parametrize("start", ["stored", "earliest", "latest"])
def test_a_new_partition_begins_at_its_beginning(start):
    """A partition that a known topic did not have is read whole, whatever start says."""
    extents = {PLACE: Extent(0, 9, "id"), OTHER: Extent(0, 7, "id")}
    found = begin(extents, {PLACE: Position(4, "id")}, start, skip_lost=False)
    assert found.positions[OTHER] == Position(0, "id")
