"""Every number behind the judgement of one annotation, and behind the consensus of one example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.statistics.class_statistics import SLACK
from monitor.statistics.confident_joint import CLOSE_UNITS, Collision
from monitor.statistics.confusion_counts import LOG_UNIT
from monitor.statistics.posterior import add_labels, model_logs, posteriors
from monitor.units import UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.statistics.confusion_counts import ConfusionCounts
    from monitor.tables import Rows
    from monitor.units import Probabilities, Units

    Parts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an annotation is a label issue, or is not.

    `is_confident` says for each class whether p ≥ threshold − 1e-6. `rule` is a sentence.
    """

    is_confident: tuple[bool, ...]
    suggested_label: str | None
    is_label_issue: bool
    rule: str


def explain(
    labels: Sequence[str],
    pred_probs: Sequence[float],
    class_thresholds: Sequence[float],
    given_label: str,
    collision: Collision,
) -> Explanation:
    """Judge one annotation from what the views show, and say by which rule. All sequences: (K,).

    >>> explain(["cat", "dog"], [0.2, 0.8], [0.7, 0.6], "cat", Collision.CLEANLAB).rule
    'dog is the only confident class, and cat was given'
    """
    p, t = np.array(pred_probs), np.array(class_thresholds)
    is_confident = p >= t - SLACK
    top = int(p.argmax())
    given = labels.index(given_label)
    count = int(is_confident.sum())
    if count == 0:
        rule = "no class reaches its threshold: nothing is suggested"
        return Explanation(tuple(is_confident.tolist()), None, is_label_issue=False, rule=rule)
    if count == 1:
        suggested = int(is_confident.argmax())
        because = f"{labels[suggested]} is the only confident class"
    elif collision is Collision.CLEANLAB:
        suggested = top
        because = f"{count} classes are confident and {labels[top]} is the most probable of all"
    else:
        suggested = int(np.where(is_confident, p, -1).argmax())
        because = f"{labels[suggested]} is the most probable of {count} confident classes"
    is_close = (p[top] - p[given]) * UNIT <= CLOSE_UNITS
    is_issue = suggested != given and not is_close
    if suggested == given:
        end = ", and it was given"
    elif is_close:
        end = f", but {given_label} is the most probable within 1e-6: too close to call"
    else:
        end = f", and {given_label} was given"
    return Explanation(tuple(is_confident.tolist()), labels[suggested], is_issue, because + end)


@dataclass(frozen=True, slots=True)
class Posterior:
    """What speaks for each class of one example: the model, and each of n labels.

    `model` (K,) is model_weight · log p, `labels` (n, K) the log of P(this annotator gives this label |
    class): natural logarithms. The sum over all of them, as `probabilities` (K,), is the posterior.
    """

    model: Parts
    labels: Parts
    probabilities: Probabilities


def explain_posterior(
    units: Units,
    labels: tuple[Rows, NDArray[np.int16]],
    counts: ConfusionCounts,
    model_weight: float,
) -> Posterior:
    """Judge one example by its probabilities and its labels (annotators, given). Shape: (K,); (n,) each.

    It is what monitor/consensus.py would publish with these counts, to the last bit.
    """
    annotator, given = labels
    likelihoods = counts.log_likelihoods(annotator, given)
    model = model_logs(units[None], model_weight)
    logs = add_labels(model.copy(), np.zeros(given.size, np.int64), likelihoods)
    return Posterior(model[0] / LOG_UNIT, likelihoods / LOG_UNIT, posteriors(logs)[0])
