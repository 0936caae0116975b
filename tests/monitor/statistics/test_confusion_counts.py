from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.statistics import confusion_counts
from monitor.statistics.confusion_counts import DENSE_CLASSES_MAX, LOG_UNIT, ConfusionCounts
from tests.consensus_oracle import Confusion
from tests.oracle import UNIT

K, PEOPLE = 3, 4
UNITS = st.lists(st.integers(0, UNIT), min_size=K, max_size=K)
LABELS = st.lists(st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, K - 1), UNITS), max_size=12)


def arrays(labels, width=K):
    """Labels as arrays."""
    return (
        np.array([label[0] for label in labels], np.int32),
        np.array([label[1] for label in labels], np.int16),
        np.array([label[2] for label in labels], np.uint32).reshape(-1, width),
    )


def counted(labels, people=PEOPLE, width=K):
    """Counts of these labels."""
    counts = ConfusionCounts()
    counts.grow_to(people, width)
    counts.update(*arrays(labels, width))
    return counts


def everything(counts, people=PEOPLE):
    """All that counts say, of everybody and every label, to the last bit."""
    width = counts.class_count
    pairs = np.indices((people, width)).reshape(2, -1)
    logs = counts.log_likelihoods(pairs[0].astype(np.int32), pairs[1].astype(np.int16))
    return logs.tolist(), counts.accuracies().tolist(), counts.pooled.tolist()


def likelihoods(counts, people):
    """P(annotator gives label | class). Shape: (people, K, K)."""
    width = counts.class_count
    logs = np.array(everything(counts, people)[0]).reshape(people, width, width)
    return np.exp(logs / LOG_UNIT)


def assert_equals_oracle(counts, labels, people):
    """Assert that the likelihoods of all labels and the accuracies are the oracle's."""
    width = counts.class_count
    oracle = Confusion(labels, width)
    expected = [
        [[float(oracle.rate(a, i, j)) for j in range(width)] for i in range(width)]
        for a in range(people)
    ]
    np.testing.assert_allclose(likelihoods(counts, people), expected, rtol=1e-9)
    own = [float(oracle.accuracy(a)) for a in range(people)]
    np.testing.assert_allclose(counts.accuracies(), own, rtol=1e-12)


def random_labels(count, people, width, seed=1):
    """Labels by people who are right more often than not, with the model's probabilities."""
    random = np.random.default_rng(seed)
    true = random.integers(width, size=count)
    p = random.dirichlet(np.full(width, 0.3), count)
    p[np.arange(count), true] += 1
    units = np.rint(p / 2 * UNIT).astype(np.uint32)
    given_labels = np.where(random.random(count) < 0.7, true, random.integers(width, size=count))
    annotator = random.integers(people, size=count)
    return list(zip(annotator.tolist(), given_labels.tolist(), units.tolist(), strict=True))


@given(LABELS)
def test_likelihoods_are_those_of_the_formula(labels):
    """Own counts drawn towards everybody's, as design section 5 says, for every annotator and label."""
    assert_equals_oracle(counted(labels), labels, PEOPLE)


@pytest.mark.parametrize("width", [DENSE_CLASSES_MAX, DENSE_CLASSES_MAX + 1])
def test_with_many_classes_each_has_one_rate(width):
    """Up to fifty classes everybody has a matrix; with more, one rate of being right."""
    labels = random_labels(60, 2, width)
    counts = counted(labels, 2, width)
    assert counts.is_dense == (width <= DENSE_CLASSES_MAX)
    assert_equals_oracle(counts, labels, 2)


@given(LABELS)
def test_columns_are_distributions(labels):
    """Given a class, the likelihoods of all labels sum to 1, for those without a label too."""
    np.testing.assert_allclose(likelihoods(counted(labels), PEOPLE).sum(axis=1), 1, rtol=1e-9)


@given(LABELS, LABELS, st.randoms(use_true_random=False))
def test_what_is_taken_back_leaves_no_trace(labels, others, random):
    """Labels added and reverted, in another order and in parts, leave every bit as it was."""
    counts = counted(labels + others)
    random.shuffle(others)
    for label in others:
        counts.revert(*arrays([label]))
    assert everything(counts) == everything(counted(labels))


@given(st.lists(LABELS, min_size=1, max_size=3))
def test_parts_merge_to_the_whole(parts):
    """Counts of parts of a stream, merged, are those of the whole."""
    whole = counted([label for part in parts for label in part])
    merged = ConfusionCounts()
    for part in parts:
        merged.merge(counted(part))
    assert everything(merged) == everything(whole)
    merged.merge(ConfusionCounts())
    assert everything(merged) == everything(whole)


def test_parts_of_different_size_merge():
    """A part that knows fewer annotators and classes merges into one that knows more, and vice versa."""
    small, large = random_labels(30, 100, 2), random_labels(300, 1_000, 5)
    padded = [(a, i, [*units, 0, 0, 0]) for a, i, units in small]
    whole = everything(counted(padded + large, 1_000, 5), 1_000)
    for first, second in (
        ((small, 100, 2), (large, 1_000, 5)),
        ((large, 1_000, 5), (small, 100, 2)),
    ):
        merged = counted(*first)
        # Grown more than once, so that it has room to spare.
        merged.grow_to(first[1] + 1, first[2])
        merged.merge(counted(*second))
        merged.grow_to(1_000, 5)
        assert everything(merged, 1_000)[:1] == whole[:1]
        assert everything(merged, 1_000)[2] == whole[2]


@given(LABELS, LABELS)
def test_annotators_and_classes_may_join(labels, later):
    """Grown before or after the labels came, counts are the same."""
    wide = [(a, i, [*units, 0, 0]) for a, i, units in labels]
    more = [(a + PEOPLE, i + 2, [0, 0, *units]) for a, i, units in later]
    counts = counted(labels)
    counts.grow_to(2 * PEOPLE, K + 2)
    counts.update(*arrays(more, K + 2))
    assert everything(counts, 2 * PEOPLE) == everything(
        counted(wide + more, 2 * PEOPLE, K + 2), 2 * PEOPLE
    )


def test_a_class_too_many_leaves_one_rate():
    """When the fifty-first class joins, everybody's rate is as if there had never been a matrix."""
    few = DENSE_CLASSES_MAX
    labels = random_labels(40, 3, few)
    wide = [(a, i, [*units, 0]) for a, i, units in labels]
    counts = counted(labels, 3, few)
    counts.grow_to(3, few + 1)
    later = random_labels(40, 3, few + 1, seed=2)
    counts.update(*arrays(later, few + 1))
    counts.revert(*arrays(wide[:9], few + 1))
    assert everything(counts, 3) == everything(counted(wide[9:] + later, 3, few + 1), 3)


def test_large_batches_are_counted_in_parts(monkeypatch):
    """How many labels are counted at a time changes nothing."""
    labels = random_labels(50, PEOPLE, K)
    whole = everything(counted(labels))
    monkeypatch.setattr(confusion_counts, "_CHUNK_CELLS", 7)
    assert everything(counted(labels)) == whole


def test_millions_of_labels_are_exact():
    """Sums far beyond the 2⁵³ of a float keep every bit: the order of annotators does not matter."""
    counts, width = ConfusionCounts(), DENSE_CLASSES_MAX + 1
    counts.grow_to(3, width)
    for annotator, agreement in enumerate((2**60 + 1, 3, 2**59 - 1)):
        counts._coins.agreement[annotator] = agreement
        counts._coins.count[annotator] = 2**31
    backwards = ConfusionCounts()
    backwards.grow_to(3, width)
    backwards._coins.agreement[:3] = counts._coins.agreement[:3][::-1]
    backwards._coins.count[:3] = counts._coins.count[:3]
    assert backwards.accuracies()[::-1].tolist() == counts.accuracies().tolist()


def test_a_newcomer_is_like_everybody():
    """Whoever has given no label is judged by everybody's labels, and moves away with their own."""
    labels = random_labels(400, 3, K)
    counts = counted(labels, 5)
    everybody = likelihoods(counts, 5)[4]
    assert (likelihoods(counts, 5)[3] == everybody).all()
    wrong = [(3, 1, [UNIT, 0, 0])] * 50
    counts.update(*arrays(wrong))
    assert likelihoods(counts, 5)[3][1, 0] > 0.6
