"""Probabilities as integers: units of 2⁻³⁰.

Every float64 sum of up to 2²³ such numbers is exact and independent of order, so thresholds
computed here equal cleanlab's on the same stored numbers bit for bit, and every contribution can
be taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.events import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Probabilities = NDArray[np.float64]
    Units = NDArray[np.uint32]

UNIT = 1 << 30
_SUM_MIN, _SUM_MAX = UNIT * (1 - 0.02), UNIT * (1 + 0.02)
_RESCALE_ABOVE = 1_074  # 1e-6 in units


def quantise(probabilities: Probabilities, is_partial: NDArray[np.bool_]) -> Units:
    """Integer units of valid probabilities; rows whose sum is off by more than about 1e-6 are rescaled.

    A partial row (the top of a longer list) is scaled down where its sum exceeds 1 but never up.
    Shape: (n, K). Unit: 2⁻³⁰. Quantising the result divided by 2³⁰ gives the same units again.
    """
    units = np.rint(probabilities * UNIT)
    total = units.sum(axis=1)
    excess = total - UNIT
    tolerance = max(_RESCALE_ABOVE, units.shape[1])
    off = np.flatnonzero((excess > tolerance) | ((excess < -tolerance) & ~is_partial))
    if off.size:
        units[off] = np.rint(units[off] * (UNIT / total[off])[:, None])
    return units.astype(np.uint32)


def fault_of(probabilities: Probabilities, is_partial: NDArray[np.bool_]) -> NDArray[np.object_]:
    """The Reason why each row is not a distribution, None where it is one. Shape: (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.rint(probabilities * UNIT).sum(axis=1)
        faults = np.full(len(probabilities), None, np.object_)
        if _are_fine(probabilities, total):
            return faults
        is_in_range = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
        is_sum_fine = (total <= _SUM_MAX) & np.where(is_partial, total > 0, total >= _SUM_MIN)
    faults[~is_sum_fine] = Reason.PROBS_NOT_NORMALISED
    faults[~is_in_range] = Reason.PROBS_OUT_OF_RANGE
    faults[~np.isfinite(probabilities).all(axis=1)] = Reason.PROBS_NOT_FINITE
    return faults


def _are_fine(probabilities: Probabilities, total: NDArray[np.float64]) -> bool:
    """Whether all are whole distributions, as nearly always: asked of the extremes, NaN included."""
    return bool(
        probabilities.size
        and probabilities.min() >= 0
        and probabilities.max() <= 1
        and total.min() >= _SUM_MIN
        and total.max() <= _SUM_MAX
    )
