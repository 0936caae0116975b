"""The health of a data set is what cleanlab 2.9 computes from the same counts, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.count import calibrate_confident_joint, estimate_joint, estimate_latent
from cleanlab.dataset import overall_label_health_score, rank_classes_by_label_quality
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.health import assess

COLUMNS = {
    "Label Issues": "wrongly_given_count",
    "Inverse Label Issues": "wrongly_missed_count",
    "Label Noise": "label_noise",
    "Inverse Label Noise": "inverse_label_noise",
    "Label Quality Score": "label_quality",
}


@st.composite
def counts(draw):
    """A raw confident joint and class counts: empty rows, unseen classes, nothing on the diagonal."""
    K = draw(st.integers(2, 12))
    top = draw(st.sampled_from((1, 3, 40, 3_000)))
    cells = st.lists(st.integers(0, top) | st.just(0), min_size=K * K, max_size=K * K)
    joint = np.array(draw(cells)).reshape(K, K)
    if draw(st.booleans()):
        np.fill_diagonal(joint, 0)
    more = np.array(draw(st.lists(st.integers(0, top), min_size=K, max_size=K)))
    label_count = joint.sum(axis=1) + more
    unseen = draw(st.sets(st.integers(0, K - 1), max_size=K - 1))
    joint[list(unseen)] = label_count[list(unseen)] = 0
    if not label_count.sum():
        label_count[0] = 1
    return joint, label_count


def cleanlabs(joint, label_count):
    """Cleanlab's joint, as it comes out of its count: floored, in the layout of a transposed array."""
    floored = np.array(joint, order="F")
    np.fill_diagonal(floored, floored.diagonal().clip(min=1))
    return floored, np.repeat(np.arange(len(label_count)), label_count)


def assert_equals_cleanlab(joint, label_count):
    """Every figure of ours is cleanlab's."""
    ours = assess(joint, label_count, np.zeros_like(label_count))
    floored, labels = cleanlabs(joint, label_count)
    calibrated = calibrate_confident_joint(floored, labels)
    assert np.array_equal(ours.calibrated_joint, calibrated)
    theirs = estimate_joint(labels, None, confident_joint=floored)
    assert np.array_equal(ours.joint, theirs)
    prior, noise, inverse = estimate_latent(calibrated, labels)
    assert np.array_equal(ours.latent.class_prior, prior)
    assert np.array_equal(ours.latent.noise_matrix, noise)
    assert np.array_equal(ours.latent.inverse_noise_matrix, inverse)
    table = rank_classes_by_label_quality(joint=theirs, num_examples=len(labels))
    assert np.array_equal(
        ours.classes.label_quality[ours.classes.ranking], table["Label Quality Score"]
    )
    by_class = table.sort_values("Class Index")
    for theirs_name, name in COLUMNS.items():
        assert np.array_equal(getattr(ours.classes, name), by_class[theirs_name]), name
    score = overall_label_health_score(joint=theirs, num_examples=len(labels), verbose=False)
    assert ours.joint.trace() == score
    assert ours.estimated_error_count == np.round(len(labels) * (1 - score))


@given(counts())
@example((np.zeros((2, 2), np.int64), np.array([1, 0])))
@example((np.array([[0, 1], [1, 0]]), np.array([1, 1])))
@example((np.array([[0, 5, 5], [0, 0, 0], [0, 0, 0]]), np.array([11, 0, 0])))
def test_estimates_equal_cleanlabs(drawn):
    """Calibrated joint, joint, noise matrices, prior and class table are cleanlab's, bit for bit."""
    assert_equals_cleanlab(*drawn)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("K", [100, 1_000])
def test_estimates_equal_cleanlabs_for_many_classes(K, seed):
    """That holds for a thousand classes, too."""
    random = np.random.default_rng(seed)
    joint = random.poisson(0.3, (K, K)) + np.diag(random.poisson(50, K))
    joint[random.random(K) < 0.1] = 0
    label_count = joint.sum(axis=1) + random.poisson(20, K) * (random.random(K) < 0.9)
    assert_equals_cleanlab(joint, label_count)


@given(counts())
def test_a_calibrated_row_counts_the_annotations_of_its_label(drawn):
    """Rows of the calibrated joint sum to the annotations with that given label, exactly."""
    joint, label_count = drawn
    health = assess(joint, label_count, np.zeros_like(label_count))
    assert np.array_equal(health.calibrated_joint.sum(axis=1), label_count)
    assert (health.calibrated_joint >= 0).all()


def test_the_health_score_counts_label_issues():
    """The score is the share of annotations that are no label issue; the estimate is another figure."""
    health = assess(np.array([[3, 1], [0, 4]]), np.array([5, 5]), np.array([1, 0]))
    assert (health.annotation_count, health.label_issue_count) == (10, 1)
    assert health.label_health_score == 0.9
    assert health.calibrated_joint.tolist() == [[4, 1], [0, 5]]
    assert health.estimated_error_count == 1


def test_equal_classes_keep_the_order_of_the_class_list():
    """The worst class comes first; classes of the same quality as they are listed."""
    joint = np.diag([5] * 20)
    joint[7, 0] = 5
    health = assess(joint, joint.sum(axis=1), np.zeros(20, np.int64))
    assert health.classes.ranking.tolist() == [7, *range(7), *range(8, 20)]
