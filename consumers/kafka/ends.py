"""Positions that move on, and the ends where a run is to stop. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.ports import Position
    from monitor.events import Partition, Records

_NO_END = np.iinfo(np.int64).max


def cut(records: Records, ends: Mapping[Partition, int]) -> Records:
    """Without what came after the ends."""
    limits = np.array([ends.get(place, _NO_END) for place in records.partitions], np.int64)
    is_within = records.offsets < limits[records.partition_index]
    return records if is_within.all() else records.take(np.flatnonzero(is_within))


def moved(
    positions: Mapping[Partition, Position], next_offsets: Mapping[Partition, int]
) -> dict[Partition, Position]:
    """The positions, none further back than it was."""
    return dict(positions) | {
        place: replace(positions[place], next_offset=offset)
        for place, offset in next_offsets.items()
        if offset > positions[place].next_offset
    }


def reached(
    positions: Mapping[Partition, Position], ends: Mapping[Partition, int]
) -> dict[Partition, Position]:
    """The positions that are at their ends, none beyond."""
    return {
        place: replace(positions[place], next_offset=end)
        for place, end in ends.items()
        if positions[place].next_offset >= end
    }
