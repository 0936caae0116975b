"""What goes into the ledger (writes), and what comes out (changes)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.order import OrderKeys
    from monitor.tables import Flags, Rows
    from monitor.units import Units

ANYBODY = -1
"""Annotator of a marker that covers everybody's annotations of an example."""


class Cause(IntEnum):
    """Why an annotation was touched; the lowest that applies."""

    ANNOTATION = 0
    RELABEL = 1
    DELETION = 2
    PREDICTION = 3
    THRESHOLD = 4


@dataclass(frozen=True, slots=True)
class Side:
    """Annotations as they stand at one moment. Shape: (t,) each.

    `given` is -1 and `stratum` -1 where the annotation is not live. `self_units` is the
    probability of the given label (unit 2⁻³⁰, 0 where not live). `content` is -1 where there is
    none. A pending annotation would be live if its example had a prediction.
    """

    is_live: Flags
    is_pending: Flags
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    stratum: Rows
    self_units: NDArray[np.int64]
    content: Rows

    @staticmethod
    def nothing(count: int) -> Side:
        """Annotations that do not exist."""
        no, zero = np.zeros(count, np.bool_), np.zeros(count, np.int64)
        none = np.full(count, -1, np.int32)
        return Side(no, no, none, none, none.astype(np.int16), none, zero, none)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one batch did to annotations: each touched one as it was and as it is.

    `annotations` are distinct rows; `cause` says why each was touched. `rescored` are the examples
    whose current prediction is another one than before, `arrived` those that have a live
    annotation now and had none before. `replaced` are those of the rescored that had a prediction
    before, ascending, and `units_before` what it was: (r, K).
    """

    annotations: Rows
    before: Side
    after: Side
    cause: NDArray[np.int8]
    rescored: Rows
    arrived: Rows
    replaced: Rows
    units_before: Units


@dataclass(frozen=True, slots=True)
class AnnotationWrites:
    """Writes to annotations in order of arrival. Shape: (n,). `example` is -1 in a deletion."""

    annotation: Rows
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    content: Rows
    keys: OrderKeys


@dataclass(frozen=True, slots=True)
class PredictionWrites:
    """Writes to examples' predictions in order of arrival. Shape: (n,); `units` (n, K).

    `stratum` numbers the model version; -1 with zero units says that nothing is left (a deletion).
    """

    example: Rows
    stratum: Rows
    units: Units
    is_truncated: Flags
    keys: OrderKeys


@dataclass(frozen=True, slots=True)
class MarkerWrites:
    """Deletions of an example (annotator ANYBODY) or of one annotator's part of it. Shape: (n,)."""

    example: Rows
    annotator: Rows
    keys: OrderKeys


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the writes: which stand, and how many were heard before or came too late.

    `annotation_wins`, `prediction_wins` index the writes that are now the newest of their row;
    `prediction_is_news` says which of the latter changed the prediction and not only its key.
    `markers` are the marker writes that stand.
    """

    changes: Changes
    annotation_wins: NDArray[np.int64]
    prediction_wins: NDArray[np.int64]
    prediction_is_news: Flags
    markers: NDArray[np.int64]
    redelivery_count: int
    stale_count: int
