"""The digits, who labelled them how, and what two models say of them. The same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ERROR_RATES = {"ann": 0.02, "bob": 0.04, "cai": 0.06, "dee": 0.10, "eli": 0.20}
"""Simulated annotators and the share of their labels that is wrong."""
CORRECTED_SHARE = 0.35
"""The share of wrong labels that a reviewer corrects."""
_SEED = 7
_FOLDS = 5
_NEIGHBOURS = 15


@dataclass(frozen=True, slots=True)
class Digits:
    """Annotated digits. `images` are 8 × 8 grey values from 0 to 16.

    `pred_probs` are those of a model that was trained on the given labels; `later_pred_probs` of one
    that was trained after some of them were corrected. Both are out of sample.
    Shape: (n,) each; `images` (n, 64), probabilities (n, 10).
    """

    images: NDArray[np.float64]
    given: NDArray[np.int64]
    true: NDArray[np.int64]
    is_corrected: NDArray[np.bool_]
    annotator: list[str]
    pred_probs: NDArray[np.float64]
    later_pred_probs: NDArray[np.float64]


def annotated_digits(number: int = 0) -> Digits:
    """The digits with planted label errors; other labels of the same digits for each number."""
    # This import takes seconds, and no other command needs it.
    from sklearn.datasets import load_digits  # noqa: PLC0415 - as above

    images, true = load_digits(return_X_y=True)
    rng = np.random.default_rng(_SEED + number)
    names = list(ERROR_RATES)
    who = rng.integers(len(names), size=true.size)
    is_wrong = rng.random(true.size) < np.array(list(ERROR_RATES.values()))[who]
    given = np.where(is_wrong, (true + rng.integers(1, 10, size=true.size)) % 10, true)
    is_corrected = is_wrong & (rng.random(true.size) < CORRECTED_SHARE)
    return Digits(
        images=images,
        given=given,
        true=true,
        is_corrected=is_corrected,
        annotator=[names[i] for i in who],
        pred_probs=_pred_probs(images, given),
        later_pred_probs=_pred_probs(images, np.where(is_corrected, true, given)),
    )


def _pred_probs(images: NDArray[np.float64], given: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a model says of each digit that has not seen it: a third of a second."""
    from sklearn.model_selection import cross_val_predict  # noqa: PLC0415 - as above
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415 - as above

    model = KNeighborsClassifier(_NEIGHBOURS, weights="distance")
    found: NDArray[np.float64] = cross_val_predict(
        model, images, given, cv=_FOLDS, method="predict_proba"
    )
    return found
