"""Records that stand for what cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.events import Records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.kafka.starting import Lost

_NO_TIME = -1


def letters(lost: Sequence[Lost]) -> Records:
    """Values that cannot be read, at their offsets, as records that will be rejected."""
    partitions = tuple(dict.fromkeys(each.partition for each in lost))
    return Records(
        values=[each.value for each in lost],
        keys=[None] * len(lost),
        offsets=np.array([each.offset for each in lost], np.int64),
        timestamps_us=np.full(len(lost), _NO_TIME, np.int64),
        partition_index=np.array([partitions.index(each.partition) for each in lost], np.int64),
        partitions=partitions,
    )
