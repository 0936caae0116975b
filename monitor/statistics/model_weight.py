"""How often the model's opinion counts, for each class that it favours: so that people are best foretold.

A model may be surer, or less sure, than it should be, and of some classes more than of others. Whether it is
shows where an example has several labels: does the consensus without one of them equal that one? For
each weight the hits are counted; the nearest to the default is taken that is as good as the best, within
one standard error. Counts of hits and not likelihoods, because those also reward what a model knows
about people's errors (docs/decisions/0005-model-weight.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.statistics.posterior import add_labels, model_logs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.statistics.class_statistics import Counts
    from monitor.statistics.confusion_counts import Logs
    from monitor.units import Units

    Weights = NDArray[np.float64]

RATIOS = (1 / 3, 1 / 2, 2 / 3, 5 / 6, 1, 7 / 6, 4 / 3, 5 / 3, 2, 8 / 3)
"""The weights that are tried, as multiples of the default."""
CAUTION = 25.0
"""Added under the root: up to five labels more are no reason to leave the default."""
_BY_NEARNESS = np.argsort(np.abs(np.log(RATIOS)), kind="stable")


class Hits:
    """How many labels each pair of weights foretells together, for each class that the model favours.

    `count[k, g, h]`: labels of examples of which the model finds class k most probable, that equal the
    consensus without them under weight g, and under weight h. Shape: (K, weights, weights).
    """

    def __init__(self, class_count: int, default: float) -> None:
        self.default = default
        self.count: Counts = np.zeros((class_count, len(RATIOS), len(RATIOS)), np.int64)

    def update(
        self,
        units: Units,
        example: NDArray[np.integer],
        given: NDArray[np.int16],
        label_logs: Logs,
    ) -> None:
        """Add the labels of examples, of which all are here. Shape: units (m, K); given (n,); logs (n, K)."""
        favourite = units.argmax(axis=1)[example]
        rest = (
            add_labels(np.zeros(units.shape, np.int64), example, label_logs)[example] - label_logs
        )
        is_hit = np.empty((given.size, len(RATIOS)), np.bool_)
        for i, ratio in enumerate(RATIOS):
            logs = model_logs(units, ratio * self.default)[example] + rest
            is_hit[:, i] = logs.argmax(axis=1) == given
        for label in np.unique(favourite).tolist():
            # Whole numbers far below 2⁵³, so nothing is rounded.
            hits = is_hit[favourite == label].astype(np.float64)
            self.count[label] += (hits.T @ hits).astype(np.int64)

    def weights(self) -> Weights:
        """The weight of each class: the default, unless another one is clearly better. Shape: (K,).

        Better by more than the standard error of the difference (McNemar): of two weights that
        foretell a and b labels which the other does not, that is √(a + b); and a few labels prove
        nothing.
        """
        hits = np.einsum("kgg->kg", self.count)
        best = hits.argmax(axis=1)
        classes = np.arange(best.size)
        both = self.count[classes, best]
        gained, lost = hits[classes, best][:, None] - both, hits - both
        is_as_good = gained - lost <= np.sqrt(gained + lost + CAUTION)
        # The best one is as good as itself, so there is always one.
        first = is_as_good[:, _BY_NEARNESS].argmax(axis=1)
        weights: Weights = self.default * np.array(RATIOS)[_BY_NEARNESS[first]]
        return weights
