"""How often reviews confirm flags: what counts as one, whatever comes after it."""

from __future__ import annotations

import pytest

from tests.consumers.metrics.counted import by, metrics_of
from tests.consumers.stored import query
from tests.metrics.live import samples

CLEAR = [
    {
        "example_id": f"{label}{i}",
        "label": label,
        "annotator": f"w{i % 3}",
        "pred_probs": {"a": 0.9 if label == "a" else 0.1, "b": 0.9 if label == "b" else 0.1},
    }
    for i in range(12)
    for label in "ab"
]
WRONG = [
    {
        "example_id": name,
        "label": "a",
        "annotator": who,
        "pred_probs": {"a": 0.02, "b": 0.98},
    }
    for name, who in (("x", "ann"), ("y", "ann"), ("y", "bob"))
]
FLAGGED = CLEAR + WRONG


def review(outcome, example="x", **more):
    """What a reviewer found."""
    return {"type": "review", "example_id": example, "outcome": outcome} | more


def told(path, *batches):
    """A store that has read these batches, and the metrics of that run."""
    events = [event for batch in batches for event in batch]
    return samples(metrics_of(path, events, [len(batch) for batch in batches]))


def precision(path, method="any"):
    """Reviewed and confirmed flags, in all and by given label."""
    rows = query(
        path,
        "SELECT given_label, reviewed_count, confirmed_count, precision FROM flag_precision "
        "WHERE method = ?",
        method,
    )
    assert all(share == confirmed / reviewed for _, reviewed, confirmed, share in rows)
    return {label: (reviewed, confirmed) for label, reviewed, confirmed, _ in rows}


FIXED = [review("fixed", label="b"), {"example_id": "x", "label": "b", "annotator": "ann"}]


@pytest.mark.parametrize("batches", [[FIXED], [FIXED[:1], FIXED[1:]], [FIXED[::-1]]])
def test_a_flag_counts_that_goes_with_its_correction(batches, tmp_path):
    """A label that is fixed counts as the one that was flagged, also where both come in one commit."""
    path = tmp_path / "s.duckdb"
    told(path, FLAGGED, *batches)
    assert query(path, "FROM label_issues WHERE example_id = 'x'") == []
    for method in ("confident_learning", "consensus", "any"):
        assert precision(path, method) == {None: (1, 1), "a": (1, 1)}


def test_a_flag_counts_that_comes_with_its_review(tmp_path):
    """A review in the commit that raises the flag is one of it."""
    path = tmp_path / "s.duckdb"
    told(path, [*FLAGGED, review("accepted")])
    assert precision(path) == {None: (1, 0), "a": (1, 0)}


def test_a_correction_that_came_before_leaves_nothing_to_review(tmp_path):
    """A review of a label that is not flagged any more counts for no method."""
    path = tmp_path / "s.duckdb"
    told(path, FLAGGED, FIXED[1:], FIXED[:1], [review("rejected", "a1")])
    assert precision(path) == {}


def test_the_newest_review_counts(tmp_path):
    """Whichever order they come in: by revision, then time, then place."""
    path = tmp_path / "s.duckdb"
    told(path, FLAGGED, [review("rejected", revision=2), review("accepted", revision=1)])
    assert precision(path) == {None: (1, 1), "a": (1, 1)}
    path = tmp_path / "t.duckdb"
    told(path, FLAGGED, [review("rejected")], [review("accepted")])
    assert precision(path) == {None: (1, 0), "a": (1, 0)}


def test_an_approval_of_the_correction_takes_nothing_back(tmp_path):
    """A later review of the corrected label is about another label."""
    path = tmp_path / "s.duckdb"
    told(path, FLAGGED, FIXED, [review("accepted")])
    assert precision(path) == {None: (1, 1), "a": (1, 1)}


@pytest.mark.parametrize(
    ("named", "count"),
    [
        ({}, 2),
        ({"annotator": "bob"}, 1),
        ({"annotator": "nobody"}, 0),
        ({"annotation_id": "y\x1fann"}, 1),
        ({"annotation_id": "y\x1fann", "annotator": "bob"}, 1),
        ({"annotation_id": "nobody's"}, 0),
    ],
)
def test_a_review_is_about_what_it_names(named, count, tmp_path):
    """An annotation, an annotator's part of the example, or all of it."""
    path = tmp_path / "s.duckdb"
    told(path, FLAGGED, [review("rejected", "y", **named), review("rejected", "unheard of")])
    assert precision(path) == ({None: (count, count), "a": (count, count)} if count else {})


def test_what_was_deleted_or_waits_is_no_flag(tmp_path):
    """A review of a deleted or a pending annotation counts for nothing, and does no harm."""
    path = tmp_path / "s.duckdb"
    told(
        path,
        [*FLAGGED, {"example_id": "waits", "label": "a", "annotator": "ann"}],
        [{"type": "deletion", "example_id": "x"}],
        [review("rejected"), review("rejected", "waits")],
    )
    assert precision(path) == {}
    assert query(path, "FROM store.reviewed") == []


def test_the_metric_counts_what_the_view_shows(tmp_path):
    """Each review of a flag is counted once for each method that had raised it."""
    path = tmp_path / "s.duckdb"
    found = told(path, FLAGGED, FIXED, [review("accepted", "y"), review("accepted", "b1")])
    counts = by(found, "flag_reviews_total", "method", "outcome")
    methods = query(path, "SELECT DISTINCT method FROM flag_precision ORDER BY 1")
    assert methods == [("any",), ("confident_learning",), ("consensus",)]
    for (method,) in methods:
        reviewed, confirmed = precision(path, method)[None]
        assert counts[method, "confirmed"] == confirmed == 1
        assert counts[method, "refuted"] == reviewed - confirmed == 2


def test_one_method_may_be_right_where_the_other_says_nothing(tmp_path):
    """Precision is told apart by method."""
    path = tmp_path / "s.duckdb"
    # Seven people agree against the model, so that the posterior believes them.
    agreed = [
        {
            "example_id": "z",
            "label": "a",
            "annotator": f"w{i}",
            "pred_probs": {"a": 0.08, "b": 0.92},
        }
        for i in range(7)
    ]
    told(path, [*FLAGGED, *agreed], [review("accepted", "z"), review("rejected", "x")])
    assert precision(path, "confident_learning") == {None: (8, 1), "a": (8, 1)}
    assert precision(path, "consensus") == {None: (1, 1), "a": (1, 1)}
    assert precision(path) == {None: (8, 1), "a": (8, 1)}
