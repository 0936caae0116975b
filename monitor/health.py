"""What the confident joint says of a data set: which class is given for which, and how good labels are.

Every estimate follows from three counts of a stratum, and is made anew when it is asked for. Steps,
numpy calls and memory layouts are cleanlab's: a sum in another order may round otherwise, and then a
calibrated count moves by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.statistics.class_statistics import Counts

    Probabilities = NDArray[np.float64]

_TINY = 1e-100
_LEAST_SHARE = 1e-6
_NOISE_MAX = 0.9999


@dataclass(frozen=True, slots=True)
class Latent:
    """How given labels and true ones depend on one another, as estimated.

    `noise_matrix`: P(given | true), rows given. `inverse_noise_matrix`: P(true | given), rows true.
    Columns of both sum to 1, or to 0 where a class has nothing. `class_prior`: P(true), sums to 1.
    """

    noise_matrix: Probabilities
    inverse_noise_matrix: Probabilities
    class_prior: Probabilities


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """Of each class, in the order of the class list. Shape: (K,) each.

    `label_noise`: share of the annotations given this label whose true label is another one.
    `inverse_label_noise`: share of those that truly are of this class and were given another label.
    The counts estimate how many that are.
    """

    wrongly_given_count: Counts
    wrongly_missed_count: Counts
    label_noise: Probabilities
    inverse_label_noise: Probabilities
    label_quality: Probabilities

    @property
    def ranking(self) -> Counts:
        """Class numbers, the worst label quality first; equal ones in the order of the class list.

        Source: cleanlab.dataset.rank_classes_by_label_quality, where the order of equal ones depends
        on the processor.
        """
        return np.argsort(self.label_quality, kind="stable")


@dataclass(frozen=True, slots=True)
class Health:
    """The health of the labels of one stratum that has annotations.

    `calibrated_joint`: the confident joint as counts of all annotations, rows given, columns true.
    `joint`: the same as probabilities. `estimated_error_count`: see `count_wrong`.
    """

    annotation_count: int
    label_issue_count: int
    calibrated_joint: Counts
    joint: Probabilities
    estimated_error_count: int
    latent: Latent
    classes: ClassQuality

    @property
    def label_health_score(self) -> float:
        """Share of annotations that are no label issue.

        Source: cleanlab.dataset.overall_label_health_score of labels and pred_probs.
        """
        return 1 - self.label_issue_count / self.annotation_count


def assess(confident_joint: Counts, label_count: Counts, label_issue_count: Counts) -> Health:
    """The health of a stratum, from raw counts. Shape: (K, K), rows given; (K,); (K,).

    Source: cleanlab.count.estimate_joint, cleanlab.dataset.health_summary, to the last bit on one
    processor.
    """
    calibrated = calibrate(confident_joint, label_count)
    joint = calibrated / max(float(calibrated.sum()), _TINY)
    annotation_count = int(label_count.sum())
    return Health(
        annotation_count,
        int(label_issue_count.sum()),
        calibrated,
        joint,
        count_wrong(calibrated),
        estimate_latent(calibrated, label_count),
        class_quality(joint, annotation_count),
    )


def calibrate(confident_joint: Counts, label_count: Counts) -> Counts:
    """The confident joint as counts of all annotations: each row sums to those with its given label.

    A class whose annotations are confident nowhere counts as right. Shape: (K, K), (K,) → (K, K).
    Source: cleanlab.count.compute_confident_joint and calibrate_confident_joint, bit for bit on one
    processor: among equal remainders np.argsort chooses, as its instructions have it.

    >>> calibrate(np.array([[1, 1], [0, 0]]), np.array([4, 0])).tolist()
    [[2, 2], [0, 0]]
    """
    # cleanlab transposes what scikit-learn counts, so its sums run down the columns.
    floored = np.array(confident_joint, order="F")
    np.fill_diagonal(floored, floored.diagonal().clip(min=1))
    row_sums = np.maximum(floored.sum(axis=1), _TINY)
    scaled = (floored.T / row_sums * label_count).T
    scaled = scaled / max(scaled.sum(), _TINY) * label_count.sum()
    return np.array([_rounded(row) for row in scaled])


def count_wrong(calibrated_joint: Counts) -> int:
    """Estimated annotations whose given label is not the true one: those off the diagonal.

    Source: cleanlab.dataset.overall_label_health_score of a joint; its score is the other share.

    >>> count_wrong(np.array([[2, 2], [1, 3]]))
    3
    """
    return int(calibrated_joint.sum() - calibrated_joint.trace())


def _rounded(row: Probabilities) -> Counts:
    """Whole numbers whose sum is that of the row; those change that are nearest to the next one."""
    rounded = row.round()
    total = row.sum().round()
    while missing := int(total - rounded.sum()):
        order = np.argsort(row - rounded)
        nearest = order[::-1] if missing > 0 else order
        rounded[nearest[: abs(missing)]] += np.sign(missing)
    return rounded.astype(np.int64)


def estimate_latent(calibrated_joint: Counts, label_count: Counts) -> Latent:
    """Noise matrices and prior of the true classes. Shape: (K, K), (K,).

    Source: cleanlab.count.estimate_latent with its defaults, as CleanLearning calls it.
    """
    shares = label_count / float(label_count.sum())
    true_count = calibrated_joint.sum(axis=0).astype(float)
    given_count = calibrated_joint.sum(axis=1).astype(float)
    noise = calibrated_joint / np.maximum(true_count, _TINY)
    inverse = calibrated_joint.T / np.maximum(given_count, _TINY)
    prior = inverse.diagonal() / np.maximum(noise.diagonal(), _TINY) * shares
    prior = np.clip(prior, _LEAST_SHARE, 1.0)
    return Latent(_clipped(noise), _clipped(inverse), prior / max(prior.sum(), _TINY))


def _clipped(noise: Probabilities) -> Probabilities:
    """Without certainty off the diagonal, columns summing to 1 again."""
    clipped = np.clip(noise, 0, _NOISE_MAX)
    np.fill_diagonal(clipped, noise.diagonal())
    clipped /= np.maximum(clipped.sum(axis=0), _TINY)
    return clipped


def class_quality(joint: Probabilities, annotation_count: int) -> ClassQuality:
    """How many labels of each class are wrong, by the estimated joint. Shape: (K, K).

    Source: cleanlab.dataset.rank_classes_by_label_quality.
    """
    given, true = joint.sum(axis=1), joint.sum(axis=0)
    given_wrong, true_wrong = given - joint.diagonal(), true - joint.diagonal()
    label_noise = given_wrong / np.maximum(given, _LEAST_SHARE)
    return ClassQuality(
        (given_wrong * annotation_count).round().astype(np.int64),
        (true_wrong * annotation_count).round().astype(np.int64),
        label_noise,
        true_wrong / np.maximum(true, _LEAST_SHARE),
        1 - label_noise,
    )
