"""Design section 5 as simply as it can be said: soft confusion counts, and what they make of each example.

Counts are exact fractions, logarithms are floats. It shares no code with monitor/, and knows neither
rows nor chunks: all labels are counted anew each time.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
from scipy.special import logsumexp

from tests.oracle import UNIT

OWN_PRIOR, DIAGONAL, SPREAD = 5, 20, 10
MODEL_WEIGHT, P_FLOOR, DENSE_MAX = 1.5, 1e-6, 50


class Confusion:
    """How people label. `labels` are (annotator, given label, units of all classes)."""

    def __init__(self, labels, class_count):
        self.class_count = class_count
        self.counts = defaultdict(
            lambda: [[Fraction(0)] * class_count for _ in range(class_count)]
        )
        self.label_count = defaultdict(int)
        for annotator, given, units in labels:
            self.label_count[annotator] += 1
            for j, each in enumerate(units):
                self.counts[annotator][given][j] += Fraction(int(each), UNIT)
        self.pooled = [
            [sum(own[i][j] for own in self.counts.values()) for j in range(class_count)]
            for i in range(class_count)
        ]

    def rate(self, annotator, given, true):
        """P(this annotator gives this label | class)."""
        if self.class_count > DENSE_MAX:
            right = self.accuracy(annotator)
            return right if given == true else (1 - right) / (self.class_count - 1)
        K, own = self.class_count, self.counts[annotator]
        everybody = (
            self.pooled[given][true] + DIAGONAL * (given == true) + Fraction(SPREAD, K)
        ) / (sum(self.pooled[i][true] for i in range(K)) + DIAGONAL + SPREAD)
        total = sum(own[i][true] for i in range(K))
        return (own[given][true] + OWN_PRIOR * everybody) / (total + OWN_PRIOR)

    def accuracy(self, annotator):
        """P(this annotator gives the right label), whatever it is."""
        K = self.class_count
        agreed = sum(self.pooled[i][i] for i in range(K))
        everybody = (agreed + DIAGONAL + Fraction(SPREAD, K)) / (
            sum(self.label_count.values()) + DIAGONAL + SPREAD
        )
        own = sum(self.counts[annotator][i][i] for i in range(K))
        return (own + OWN_PRIOR * everybody) / (self.label_count[annotator] + OWN_PRIOR)


def posterior(units, labels, confusion, model_weight=MODEL_WEIGHT):
    """The probability of each class; `labels` are (annotator, given label) of one example."""
    logs = [model_weight * np.log(max(each / UNIT, P_FLOOR)) for each in units]
    for annotator, given in labels:
        for j in range(len(logs)):
            logs[j] += np.log(float(confusion.rate(annotator, given, j)))
    return np.exp(np.array(logs) - logsumexp(logs))


def posteriors(rows, class_count):
    """The posterior of each labelled example of these live rows (tests/oracle.py)."""
    confusion = Confusion([(row.annotator, row.given, row.units) for row in rows], class_count)
    examples = defaultdict(list)
    for row in rows:
        examples[row.example].append(row)
    return {
        name: posterior(own[0].units, [(row.annotator, row.given) for row in own], confusion)
        for name, own in examples.items()
    }


def assert_published(opinions, rows, class_count, tolerance=1e-6):
    """Assert that what is published of each live row ({annotation_id: opinion}) is what the oracle says."""
    found = posteriors(rows, class_count)
    assert opinions.keys() == {row.annotation_id for row in rows}
    for row in rows:
        quality, label, best = opinions[row.annotation_id]
        own = found[row.example]
        np.testing.assert_allclose(quality, own[row.given], rtol=tolerance, atol=1e-30)
        np.testing.assert_allclose(best, own.max(), rtol=tolerance)
        assert own[label] > own.max() - 1e-9
