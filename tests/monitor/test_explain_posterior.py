"""The parts of a posterior, from counts that were summed up elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.explain import explain_posterior
from monitor.statistics.confusion_counts import DENSE_CLASSES_MAX, ConfusionCounts, Sums
from monitor.statistics.posterior import add_labels, model_logs, posteriors
from monitor.units import UNIT

PEOPLE, SHOWN, LABELS = 9, 4, 500


def made(width, seed):
    """Labels: who gave them, what was given, and the probabilities of their examples."""
    random = np.random.default_rng(seed)
    units = np.rint(random.dirichlet(np.full(width, 0.2), LABELS) * UNIT).astype(np.uint32)
    annotator = random.integers(0, PEOPLE, LABELS).astype(np.int32)
    return annotator, random.integers(0, width, LABELS).astype(np.int16), units


def summed(annotator, given, units):
    """The labels summed up as SQL does it: those of people beyond SHOWN as one."""
    who = np.minimum(annotator, SHOWN)
    pairs = np.unique(np.stack((who, given), axis=1), axis=0)
    at = [(who == a) & (given == i) for a, i in pairs]
    whole = units.astype(np.int64)
    return Sums(
        pairs[:, 0].astype(np.int32),
        pairs[:, 1].astype(np.int16),
        np.array([each.sum() for each in at]),
        np.array([whole[each, i].sum() for each, (_, i) in zip(at, pairs, strict=True)]),
        np.array([whole[each].sum(axis=0) for each in at]),
    )


@pytest.mark.parametrize("width", [1, 2, 7, DENSE_CLASSES_MAX, DENSE_CLASSES_MAX + 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_sums_do_as_well_as_the_labels_themselves(width, seed):
    """Likelihoods and posterior are the same to the last bit, with matrices and with coins."""
    annotator, given, units = made(width, seed)
    whole = ConfusionCounts()
    whole.grow_to(PEOPLE, width)
    whole.update(annotator, given, units)
    part = ConfusionCounts.of_sums(summed(annotator, given, units), width)
    at = np.flatnonzero(annotator < SHOWN)[:5]
    likelihoods = whole.log_likelihoods(annotator[at], given[at])
    assert np.array_equal(part.log_likelihoods(annotator[at], given[at]), likelihoods)
    found = explain_posterior(units[0], (annotator[at], given[at]), part, 1.5)
    logs = add_labels(model_logs(units[:1], 1.5), np.zeros(at.size, np.int64), likelihoods)
    assert np.array_equal(found.probabilities, posteriors(logs)[0])
    together = np.exp(found.model + found.labels.sum(axis=0))
    assert np.allclose(together / together.sum(), found.probabilities, rtol=0, atol=1e-9)
