"""What the consensus is for: better labels than a vote, better flags than the model alone finds."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from sklearn.metrics import average_precision_score

from consumers.demo.digits import annotated_digits
from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import run_here

CROWDLAB = {
    "pred_probs": (0.859, 0.931, 0.9422),
    "pred_probs_aggregate": (0.915, 0.970, 0.9638),
}
"""F1 of its flags, average precision of its scores, accuracy of its consensus, on all of CIFAR-10N."""


class Labels:
    """Labels of a crowd; row i of each column is about example `example[i]`. `true` is by example."""

    def __init__(self, folder, labels, pred_probs, true):
        self.example, self.annotator, self.given = labels
        self.true, self.bad = true, self.given != true[self.example]
        self.pred_probs = pred_probs
        self.store = folder / "s.duckdb"
        p = pred_probs.tolist()
        events = (
            {
                "example_id": str(example),
                "annotation_id": str(i),
                "annotator": str(annotator),
                "label": str(given),
                "pred_probs": p[example],
            }
            for i, (example, annotator, given) in enumerate(zip(*labels, strict=True))
        )
        names = ",".join(map(str, range(10)))
        file = write_jsonl(folder / "e.jsonl", events)
        ended = run_here("replay", file, "--store", self.store, "--classes", names, cwd=folder)
        assert ended.exit_code == 0, ended.err
        rows = query(
            self.store,
            "SELECT label_quality, is_consensus_issue FROM annotations ORDER BY annotation_id::INT",
        )
        self.quality, self.is_issue = np.array(rows).T

    def f1(self, flags):
        """How well these flags find the wrong labels."""
        return 2 * (flags * self.bad).sum() / (flags.sum() + self.bad.sum())

    def consensus_accuracy(self):
        """The share of examples whose consensus label is the true one."""
        found = dict(
            query(self.store, "SELECT example_id::INT, consensus_label::INT FROM examples")
        )
        return np.mean([found[i] == true for i, true in enumerate(self.true)])

    def vote_accuracy(self):
        """That of a vote of the majority; of a tie, the label that comes first."""
        votes = [Counter() for _ in self.true]
        for example, given in zip(self.example, self.given, strict=True):
            votes[example][int(given)] += 1
        right = [
            vote.most_common(1)[0][0] == true for vote, true in zip(votes, self.true, strict=True)
        ]
        return np.mean(right)


def test_digits(tmp_path):
    """On digits labelled by three of five people the consensus beats a vote, its flags cleanlab's filter."""
    parts = [annotated_digits(number) for number in range(3)]
    count = parts[0].true.size
    labels = (
        np.tile(np.arange(count), 3),
        np.concatenate([part.annotator for part in parts]),
        np.concatenate([part.given for part in parts]),
    )
    crowd = Labels(tmp_path, labels, parts[0].pred_probs, parts[0].true)
    assert crowd.consensus_accuracy() > crowd.vote_accuracy()
    p = crowd.pred_probs[crowd.example]
    of_model = find_label_issues(crowd.given, p, filter_by="confident_learning", n_jobs=1)
    assert crowd.f1(crowd.is_issue) > crowd.f1(of_model)
    score = average_precision_score(crowd.bad, -crowd.quality)
    assert score > average_precision_score(crowd.bad, -p[np.arange(p.shape[0]), crowd.given])
    # The annotators, from the best to the worst, as they were made.
    ranked = query(
        crowd.store,
        "SELECT name FROM store.annotator_rating JOIN store.annotator USING (annotator) ORDER BY error_rate",
    )
    assert [name for (name,) in ranked] == ["ann", "bob", "cai", "dee", "eli"]


@pytest.mark.slow
@pytest.mark.parametrize("model", CROWDLAB)
def test_cifar_10n(model, tmp_path):
    """On 150,000 real labels by 747 people it is as good as CROWDLAB in all three figures, or better."""
    if "LABELWATCH_DATA" not in os.environ:
        pytest.skip("LABELWATCH_DATA names no folder of data")
    with np.load(Path(os.environ["LABELWATCH_DATA"], "cifar10n.npz")) as data:
        p, true = data[model].astype(float), data["true_labels"].astype(int)
        labels = (
            np.repeat(np.arange(true.size), 3),
            data["annotators"].ravel(),
            data["labels"].ravel().astype(int),
        )
    crowd = Labels(tmp_path, labels, p / p.sum(axis=1, keepdims=True), true)
    found = (
        crowd.f1(crowd.is_issue),
        average_precision_score(crowd.bad, -crowd.quality),
        crowd.consensus_accuracy(),
    )
    assert all(np.greater_equal(found, CROWDLAB[model])), (found, CROWDLAB[model])
