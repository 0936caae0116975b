"""Ways to say which labels are wrong, and what is right, given labels and a model: ours and cleanlab's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.multiannotator import get_label_quality_multiannotator, get_majority_vote_label
from sklearn.metrics import average_precision_score, f1_score

from monitor.statistics.confusion_counts import ConfusionCounts
from monitor.statistics.model_weight import Hits
from monitor.statistics.posterior import MODEL_WEIGHT, add_labels, model_logs, posteriors
from monitor.units import quantise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.people import Crowd
    from monitor.units import Probabilities

    Judge = Callable[[], "Verdict"]

FIGURES = ("F1", "AUPRC", "consensus")
OURS, POOLED, CROWDLAB = "labelwatch", "one matrix for all", "CROWDLAB"
FILTERS = ("prune_by_noise_rate", "confident_learning", "predicted_neq_given")
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """Flags and quality of labels (n,), consensus (m,), quality of people by number; None: not said."""

    is_flagged: NDArray[np.bool_] | None = None
    label_quality: NDArray[np.float64] | None = None
    consensus: NDArray[np.int64] | None = None
    people: dict[str, NDArray[np.float64]] | None = None


def ours(crowd: Crowd, pred_probs: Probabilities, *, is_pooled: bool = False) -> Verdict:
    """Confusion counts, then the posterior of each image; `is_pooled`: as if one person gave all labels."""
    annotator = np.zeros_like(crowd.annotator) if is_pooled else crowd.annotator
    units = quantise(pred_probs, np.zeros(len(pred_probs), np.bool_))
    counts = ConfusionCounts()
    counts.grow_to(int(annotator.max()) + 1, pred_probs.shape[1])
    counts.update(annotator, crowd.given, units[crowd.example])
    logs = counts.log_likelihoods(annotator, crowd.given)
    hits = Hits(pred_probs.shape[1], MODEL_WEIGHT)
    hits.update(units, crowd.example, crowd.given, logs)
    posterior = posteriors(add_labels(model_logs(units, hits.weights()), crowd.example, logs))
    quality = posterior[crowd.example, crowd.given]
    label_count = np.maximum(np.bincount(annotator), 1)
    mean_quality = np.bincount(annotator, quality) / label_count
    people = {"agreement with the model": counts.accuracies(), "mean label quality": mean_quality}
    return Verdict(quality < _HALF, quality, posterior.argmax(axis=1), people)


def as_table(crowd: Crowd) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Labels as cleanlab wants them: images × people, NaN where there is none; and each label's column."""
    people, column = np.unique(crowd.annotator, return_inverse=True)
    labels = np.full((crowd.true.size, people.size), np.nan)
    labels[crowd.example, column] = crowd.given
    return pd.DataFrame(labels, columns=people), column


def crowdlab(
    crowd: Crowd, table: pd.DataFrame, column: NDArray[np.int64], pred_probs: Probabilities
) -> Verdict:
    """CROWDLAB with its defaults. It flags what is not its consensus: quality below a half does worse."""
    np.random.seed(0)  # noqa: NPY002 - it breaks ties with this
    found = get_label_quality_multiannotator(table, pred_probs, verbose=False)
    quality = found["detailed_label_quality"].to_numpy()[crowd.example, column]
    consensus = found["label_quality"]["consensus_label"].to_numpy()
    people = found["annotator_stats"]["annotator_quality"]
    by_number = np.full(int(crowd.annotator.max()) + 1, np.nan)
    by_number[people.index.to_numpy()] = people.to_numpy()
    flags = crowd.given != consensus[crowd.example]
    return Verdict(flags, quality, consensus, {"annotator quality": by_number})


def below_half(verdict: Verdict) -> Verdict:
    """The same, but flagged where quality is below a half."""
    assert verdict.label_quality is not None
    return Verdict(verdict.label_quality < _HALF, verdict.label_quality, verdict.consensus)


def filtered(crowd: Crowd, pred_probs: Probabilities, name: str) -> Verdict:
    """A filter of cleanlab, label by label, and self-confidence; of who gave a label it knows nothing."""
    given, probs = crowd.given.astype(np.int64), pred_probs[crowd.example]
    flags = find_label_issues(given, probs, filter_by=name, n_jobs=1)
    return Verdict(flags, probs[np.arange(given.size), given])


def majority(table: pd.DataFrame, pred_probs: Probabilities) -> Verdict:
    """The most frequent label; of equals the one that the model prefers."""
    np.random.seed(0)  # noqa: NPY002 - it breaks ties with this
    return Verdict(consensus=get_majority_vote_label(table.to_numpy(), pred_probs, verbose=False))


def scored(crowd: Crowd, verdict: Verdict) -> dict[str, float]:
    """F1 of the flags, area under precision and recall of the quality, share of right consensus."""
    found = {}
    if verdict.is_flagged is not None:
        found["F1"] = f1_score(crowd.is_wrong, verdict.is_flagged)
    if verdict.label_quality is not None:
        found["AUPRC"] = average_precision_score(crowd.is_wrong, -verdict.label_quality)
    if verdict.consensus is not None:
        found["consensus"] = (verdict.consensus == crowd.true).mean()
    return {name: float(value) for name, value in found.items()}
