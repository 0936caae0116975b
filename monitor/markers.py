"""Deletions by example, or by example and annotator: what is older than them stays dead.

They are rare, so they are kept one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.changes import ANYBODY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.changes import MarkerWrites
    from monitor.order import OrderKeys
    from monitor.tables import Annotations, Flags, Rows

    Key = tuple[int, int, int, int]
    Ranks = NDArray[np.int64]


class Markers:
    """The newest marker of each place: an example and an annotator, or ANYBODY."""

    def __init__(self) -> None:
        self.keys: dict[tuple[int, int], Key] = {}

    def judge(self, writes: MarkerWrites, ranks: Ranks) -> tuple[NDArray[np.int64], int, int]:
        """Keep writes that are newer than the marker at their place.

        Returns the writes that stand, and how many were heard before and came too late. A deletion of
        a whole example is not counted here: it is a write to the example's prediction, too.
        """
        standing, repeated, late = {}, 0, 0
        for i in range(len(writes.example)):
            place = (int(writes.example[i]), int(writes.annotator[i]))
            key, known = _key(writes.keys, i), self.keys.get(place)
            if known is None or _is_newer(key, known, ranks):
                self.keys[place] = key
                standing[place] = i
            elif place[1] != ANYBODY:
                repeated += key == known
                late += key != known
        return np.array(sorted(standing.values()), np.int64), repeated, late

    def cover(self, table: Annotations, rows: Rows, ranks: Ranks) -> Flags:
        """Which of these annotations have a newest write that is older than a marker. Shape: (n,)."""
        return np.array([self._covers(table, row, ranks) for row in rows.tolist()], np.bool_)

    def _covers(self, table: Annotations, row: int, ranks: Ranks) -> bool:
        key, example = _key(table, row), int(table.example[row])
        places = ((example, ANYBODY), (example, int(table.annotator[row])))
        found = (self.keys.get(place) for place in places)
        return any(marker is not None and _is_newer(marker, key, ranks) for marker in found)


def _key(keys: OrderKeys | Annotations, i: int) -> Key:
    return int(keys.revision[i]), int(keys.time_us[i]), int(keys.source[i]), int(keys.offset[i])


def _is_newer(key: Key, other: Key, ranks: Ranks) -> bool:
    ranked, other_ranked = (
        (revision, time_us, int(ranks[source]), offset)
        for revision, time_us, source, offset in (key, other)
    )
    return ranked > other_ranked
