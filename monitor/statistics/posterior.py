"""What the label of an example is, given the model's probabilities and everybody's labels.

The posterior of a class is proportional to p^model_weight times the likelihood of each label. Logarithms
are integers (LOG_UNIT), so it is the same to the last bit in whatever order the labels came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.distinct import run_of
from monitor.statistics.confusion_counts import LOG_UNIT, fixed
from monitor.units import UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.statistics.confusion_counts import Logs
    from monitor.units import Probabilities, Units

MODEL_WEIGHT = 1.5
"""How often the model's opinion counts.

Above 1, because a model trained on noisy labels is less sure than it could be, and because counting
with its probabilities makes annotators look worse than they are: the weight makes up for both.
"""
P_FLOOR = 1e-6
"""No model rules a class out altogether."""


def model_logs(units: Units, weight: float | NDArray[np.float64] = MODEL_WEIGHT) -> Logs:
    """The model's part: weight · log p; the weight may be one for each class that the model favours.

    Shape: units (m, K), weight (K,), result (m, K). Unit: 1 / LOG_UNIT.
    """
    logs = np.log(np.maximum(units / UNIT, P_FLOOR))
    if isinstance(weight, np.ndarray):
        return fixed(weight[units.argmax(axis=1), None] * logs)
    return fixed(weight * logs)


def add_labels(logs: Logs, example: NDArray[np.integer], label_logs: Logs) -> Logs:
    """With each label's part added to its example's. `example` (n,) indexes the rows of `logs`."""
    at = run_of(example)
    if isinstance(at, slice):
        # One label each, in order: the common case of a growing stream.
        logs[at] += label_logs
        return logs
    order = np.argsort(example, kind="stable")
    example = example[order]
    starts = np.flatnonzero(np.diff(example, prepend=-1))
    logs[example[starts]] += np.add.reduceat(label_logs[order], starts, axis=0)
    return logs


def posteriors(logs: Logs) -> Probabilities:
    """The probability of each class. Shape: (m, K); rows sum to 1."""
    likelihoods = np.exp((logs - logs.max(axis=1, keepdims=True)) / LOG_UNIT)
    probabilities: Probabilities = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    return probabilities
