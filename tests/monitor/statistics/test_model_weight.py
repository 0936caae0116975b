"""How often the model counts: what foretells people best, class by class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.statistics.confusion_counts import ConfusionCounts, fixed
from monitor.statistics.model_weight import CAUTION, RATIOS, Hits
from monitor.statistics.posterior import MODEL_WEIGHT, add_labels, model_logs
from monitor.units import UNIT

K = 3


def crowd(seed, image_count, *, sharpness=1.0, label_count=3):
    """Labels by five people, 20 % wrong, and a model that knows p and says its power of `sharpness`."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(K, 0.05), size=image_count)
    true = (probs.cumsum(axis=1) < rng.random((image_count, 1))).sum(axis=1)
    probs = np.maximum(probs, 1e-9) ** sharpness
    units = np.rint(probs / probs.sum(axis=1, keepdims=True) * UNIT).astype(np.uint32)
    example = np.repeat(np.arange(image_count), label_count)
    given = true[example]
    is_wrong = rng.random(given.size) < 0.2
    given[is_wrong] = rng.integers(K, size=is_wrong.sum())
    annotator = rng.integers(5, size=given.size).astype(np.int32)
    return units, example, annotator, given.astype(np.int16)


def measured(units, example, annotator, given, parts=1):
    """The hits of a crowd, its examples in so many parts."""
    counts = ConfusionCounts()
    counts.grow_to(5, K)
    counts.update(annotator, given, units[example])
    hits = Hits(K, MODEL_WEIGHT)
    for rows in np.array_split(np.arange(len(units)), parts):
        at = np.flatnonzero(np.isin(example, rows))
        logs = counts.log_likelihoods(annotator[at], given[at])
        hits.update(units[rows], example[at] - rows[0], given[at], logs)
    return hits


def test_a_hit_is_the_consensus_of_the_others():
    """Each label is compared with the best class of the model, so weighted, and the other labels."""
    units, example, annotator, given = crowd(0, 40)
    counts = ConfusionCounts()
    counts.grow_to(5, K)
    counts.update(annotator, given, units[example])
    logs = counts.log_likelihoods(annotator, given)
    hits = measured(units, example, annotator, given)
    for g, ratio in enumerate(RATIOS):
        expected = np.zeros(K, np.int64)
        for i in range(given.size):
            others = (example == example[i]) & (np.arange(given.size) != i)
            base = model_logs(units[example[i : i + 1]], ratio * MODEL_WEIGHT)
            total = add_labels(base, np.zeros(others.sum(), np.int64), logs[others])
            expected[units[example[i]].argmax()] += total[0].argmax() == given[i]
        assert hits.count[:, g, g].tolist() == expected.tolist()


@settings(max_examples=20)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 3))
def test_parts_do_not_matter(seed, parts, label_count):
    """However examples are cut into parts, the hits are the same."""
    data = crowd(seed, 30, label_count=label_count)
    assert np.array_equal(measured(*data, parts).count, measured(*data).count)


def test_without_labels_the_default():
    """Where nothing was measured the weight is the default."""
    assert Hits(K, 2.0).weights().tolist() == [2.0] * K


def test_single_labels_say_nothing():
    """An example with one label is foretold by the model alone, whose best class no weight changes."""
    assert measured(*crowd(1, 500, label_count=1)).weights().tolist() == [MODEL_WEIGHT] * K


def test_a_few_hits_prove_nothing():
    """Up to five labels more are no reason to leave the default; a clear difference is."""
    hits = Hits(1, MODEL_WEIGHT)
    best, default = RATIOS.index(2), RATIOS.index(1)
    for more, weight in ((int(CAUTION**0.5), MODEL_WEIGHT), (40, 2 * MODEL_WEIGHT)):
        hits.count[:] = 100
        hits.count[0, best, best] = 100 + more
        assert hits.weights().tolist() == [weight]
        assert hits.count[0, default, default] == 100


def test_the_nearest_of_those_as_good():
    """Of weights that are as good as the best one, it is the nearest to the default by ratio."""
    hits = Hits(1, MODEL_WEIGHT)
    hits.count[0] = 1_000
    for i in range(RATIOS.index(4 / 3)):
        hits.count[0, i, :] = hits.count[0, :, i] = 500
    for i in range(RATIOS.index(4 / 3)):
        hits.count[0, i, i] = 500
    assert hits.weights().tolist() == pytest.approx([MODEL_WEIGHT * 4 / 3])


def test_a_model_that_is_too_sure_counts_less():
    """The surer a model says it is, for the same knowledge, the less it counts."""
    sure, fair, unsure = (
        measured(*crowd(2, 20_000, sharpness=each)).weights() for each in (4.0, 1.0, 0.5)
    )
    assert (sure < fair).all()
    assert (fair < unsure).all()


def test_one_weight_for_all_or_one_for_each_class():
    """A weight a class is that of the class which the model favours; equal ones are one."""
    units = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]) * UNIT
    units = units.astype(np.uint32)
    logs = np.log(units / UNIT)
    each = model_logs(units, np.array([1.0, 5.0, 2.0]))
    assert np.array_equal(each, fixed(logs * [[1.0], [2.0]]))
    assert np.array_equal(model_logs(units, np.full(K, 1.5)), model_logs(units, 1.5))
