"""What to label next: a ranking of all examples with a prediction."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitor.statistics.posterior import MODEL_WEIGHT, model_logs, posteriors
from tests.consumers.logs import Log, LogSource, feed
from tests.consumers.stored import query

ROWS = """
SELECT example_id, active_learning_score, consensus_label, consensus_quality, annotation_count, is_disputed
FROM next_labels
"""
CLASSES = ("a", "b", "c")


def prediction(example_id, *p):
    """What the model says of an example."""
    probs = dict(zip(CLASSES, p, strict=True))
    return {"type": "prediction", "example_id": example_id, "pred_probs": probs}


def label(example_id, given, annotator="ann"):
    """What somebody says of it."""
    return {"example_id": example_id, "label": given, "annotator": annotator}


def known(count=30):
    """Ordinary examples, so that it is known how people label."""
    for i in range(count):
        k = i % 3
        yield prediction(f"known-{i}", *(0.9 if j == k else 0.05 for j in range(3)))
        for annotator in ("ann", "bob", "cai"):
            yield label(f"known-{i}", CLASSES[k], annotator)


@pytest.fixture
def ranked(tmp_path):
    """The rows of the view by example, in order, after these events."""

    def rank(*events):
        lines = [json.dumps(event).encode() for event in (*known(), *events)]
        store = tmp_path / "s.duckdb"
        feed(store, LogSource(Log.lines(lines), [len(lines)]))
        return {row[0]: row[1:] for row in query(store, ROWS)}

    return rank


def test_every_example_with_a_prediction_is_in_order(filled):
    """One row for each of the view `predictions`, by score, ties by id; labelled ones as in `examples`."""
    rows = query(filled, ROWS)
    assert sorted(row[0] for row in rows) == [
        name for (name,) in query(filled, "SELECT example_id FROM predictions ORDER BY ALL")
    ]
    assert [(row[1], row[0]) for row in rows] == sorted((row[1], row[0]) for row in rows)
    columns = ROWS.replace("SELECT", "").split("FROM")[0]
    labelled = query(filled, f"SELECT {columns} FROM examples ORDER BY example_id")
    assert sorted(row for row in rows if row[4]) == labelled
    assert 0 < len(labelled) < len(rows)


def test_without_labels_the_model_judges(filled):
    """The quality of an example without labels is the posterior's, as the statistics compute it."""
    rows = query(
        filled,
        "SELECT p.pred_probs, n.consensus_quality, n.consensus_label, p.predicted_label "
        "FROM next_labels n JOIN predictions p USING (example_id) WHERE n.annotation_count = 0",
    )
    probs, quality, label, predicted = zip(*rows, strict=True)
    posterior = posteriors(model_logs(np.array(probs) * 2**30))
    assert quality == pytest.approx(posterior.max(axis=1), rel=1e-6)
    assert label == predicted


def test_the_score_weighs_quality_by_labels(filled):
    """The quality counts for the model and each label, one over the number of classes for the next label."""
    ((class_count,),) = query(filled, "SELECT count(DISTINCT label) FROM classes")
    for _, score, _, quality, count, _ in query(filled, ROWS):
        weight = MODEL_WEIGHT + count
        assert score == pytest.approx((quality * weight + 1 / class_count) / (weight + 1))


def test_more_labels_that_agree_come_later(ranked):
    """Each label that agrees makes an example less urgent."""
    predictions = [prediction(f"x{n}", 0.5, 0.3, 0.2) for n in range(4)]
    labels = [label(f"x{n}", "a", who) for n in range(4) for who in ("ann", "bob", "cai")[:n]]
    rows = ranked(*predictions, *labels)
    assert [name for name in rows if name.startswith("x")] == ["x0", "x1", "x2", "x3"]


def test_disputed_examples_come_before_those_that_all_agree_on(ranked):
    """Of two examples with as many labels, the one whose labels differ is more urgent."""
    both = [prediction(name, 0.4, 0.4, 0.2) for name in ("agreed", "disputed")]
    labels = [
        label("agreed", "a", "ann"), label("agreed", "a", "bob"),
        label("disputed", "a", "ann"), label("disputed", "b", "bob"),
    ]  # fmt: skip
    rows = ranked(*both, *labels)
    assert list(rows).index("disputed") < list(rows).index("agreed")
    assert (rows["disputed"][-1], rows["agreed"][-1]) == (True, False)


def test_unlabelled_examples_that_the_model_is_unsure_of_come_first(ranked):
    """The less sure the model is of an example without labels, the sooner it comes."""
    rows = ranked(
        prediction("sure", 0.98, 0.01, 0.01),
        prediction("torn", 0.5, 0.49, 0.01),
        prediction("clueless", 0.34, 0.33, 0.33),
    )
    assert list(rows)[:2] == ["clueless", "torn"]
    assert list(rows).index("sure") > 1


def test_what_is_deleted_need_not_be_labelled(ranked):
    """A deleted example is not in the ranking; one whose labels are deleted is unlabelled again."""
    rows = ranked(
        prediction("gone", 0.4, 0.3, 0.3),
        label("gone", "a"),
        {"type": "deletion", "example_id": "gone"},
        prediction("bare", 0.4, 0.3, 0.3),
        label("bare", "b"),
        {"type": "deletion", "example_id": "bare", "annotator": "ann"},
        label("pending", "a"),
    )
    assert "gone" not in rows
    assert "pending" not in rows
    assert rows["bare"][1:2] + rows["bare"][3:] == ("a", 0, False)
