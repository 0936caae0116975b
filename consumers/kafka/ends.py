"""The ends of the partitions as of the start, where a run is to stop there. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.ports import Position
    from monitor.events import Partition

Taken = dict["Partition", list[Any]]


def cut(taken: Taken, ends: Mapping[Partition, int]) -> Taken:
    """Without what came after the ends."""
    found = {}
    for place, batch in taken.items():
        end = ends.get(place)
        if end is not None and batch[-1].offset >= end:
            batch = [each for each in batch if each.offset < end]  # noqa: PLW2901 - the same, shorter
        if batch:
            found[place] = batch
    return found


def reached(
    positions: Mapping[Partition, Position], ends: Mapping[Partition, int]
) -> dict[Partition, Position]:
    """The positions that are at their ends, none beyond."""
    return {
        place: replace(positions[place], next_offset=end)
        for place, end in ends.items()
        if positions[place].next_offset >= end
    }
