"""What is counted, compared with what the store holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.health import QUERY, strata_of
from consumers.metrics.definitions import DEFINITIONS, OTHER
from consumers.metrics.names import LABELS_MAX
from consumers.metrics.shape import Shape
from tests.consumers.metrics.counted import annotation, by, counted, metrics_of
from tests.consumers.stored import query
from tests.consumers.streams import busy_stream
from tests.metrics.live import samples, value

CUT = frozenset(
    {
        "findings_total",
        "retractions_total",
        "label_flags_total",
        "annotator_flags_total",
        "flag_reviews_total",
    }
)
"""Changes are those from commit to commit: a flag may come and go between two."""
IGNORED = {
    "redelivery": "redelivered",
    "stale": "stale",
    "unlabelled_overflow": "predictions_dropped",
}


def test_counters_and_gauges_are_what_the_store_holds(tmp_path):
    """After a stream of everything, in batches, the metrics agree with the views."""
    path = tmp_path / "s.duckdb"
    found = samples(metrics_of(path, busy_stream(3, 900), [37] * 30))
    reasons = counted(path, "SELECT reason, count(*) FROM dead_letters GROUP BY ALL")
    assert by(found, "dead_letters_total", "reason") == reasons
    findings = counted(path, "SELECT kind, action, count(*) FROM findings GROUP BY ALL")
    assert by(found, "findings_total", "kind", "action") == findings
    raised = findings["label_issue", "raised"]
    assert sum(by(found, "label_flags_total", "label").values()) == raised
    assert sum(by(found, "annotator_flags_total", "annotator").values()) == raised
    assert value(found, "label_issues") == query(path, "SELECT count(*) FROM label_issues")[0][0]
    issues = query(path, "SELECT count(*) FROM annotations WHERE is_consensus_issue")[0][0]
    assert value(found, "consensus_issues") == issues > 0
    rates = counted(path, "SELECT annotator, error_rate FROM annotators")
    assert by(found, "annotator_error_ratio", "annotator") == rates
    assert (
        value(found, "annotations_live") == query(path, "SELECT count(*) FROM annotations")[0][0]
    )
    pending = query(path, "SELECT count(*) FROM pending")[0][0]
    assert value(found, "pending_joins", side="annotation") == pending
    assert value(found, "events_consumed_total", topic="lines") == 900
    types = by(found, "events_processed_total", "event_type", "outcome")
    assert sum(types.values()) == 900
    assert types["unknown", "rejected"] == sum(reasons.values())
    reviews = counted(path, "SELECT outcome, count(*) FROM store.review GROUP BY ALL")
    assert by(found, "reviews_total", "outcome") == reviews
    flags = counted(
        path,
        """
        SELECT CASE WHEN outcome = 'accepted' THEN 'refuted' ELSE 'confirmed' END,
            count(*) FILTER (is_label_issue OR is_consensus_issue)
        FROM store.reviewed JOIN store.review USING (source, position) GROUP BY ALL
        """,
    )
    any_method = by(found, "flag_reviews_total", "method", "outcome")
    assert {outcome: n for (method, outcome), n in any_method.items() if method == "any"} == {
        outcome: n for (outcome,), n in flags.items()
    }
    counters = dict(query(path, "SELECT name, value FROM store.counter"))
    ignored = {cause: counters.get(name, 0) for cause, name in IGNORED.items()}
    assert any(ignored.values())
    for cause, count in ignored.items():
        assert value(found, "writes_ignored_total", cause=cause) == count
    versions = query(path, "SELECT count(DISTINCT coalesce(model_version, '')) FROM annotations")
    assert value(found, "model_versions_active") == versions[0][0]


def test_the_share_of_wrong_labels_is_what_health_says(tmp_path):
    """The estimates of all model versions, as `labelwatch health` makes them, over all annotations."""
    path = tmp_path / "s.duckdb"
    found = samples(metrics_of(path, busy_stream(5, 900), [37] * 30))
    strata = [each.health for each in strata_of(query(path, QUERY))]
    assert len(strata) > 1
    wrong = sum(each.estimated_error_count for each in strata)
    count = sum(each.annotation_count for each in strata)
    assert value(found, "estimated_label_error_ratio") == wrong / count > 0


def test_the_first_look_equals_the_last(tmp_path):
    """After a restart gauges are as of the last commit, and counters begin at 0."""
    path = tmp_path / "s.duckdb"
    last = samples(metrics_of(path, busy_stream(3, 300)))
    again = samples(metrics_of(path, []))
    for name in ("label_issues", "annotations_live", "estimated_label_error_ratio"):
        assert value(again, name) == value(last, name) > 0
    assert by(again, "class_threshold_ratio", "label") == by(
        last, "class_threshold_ratio", "label"
    )
    assert by(again, "events_processed_total", "event_type", "outcome") == {}
    assert by(again, "annotations_total", "label") == {}


@settings(max_examples=4)
@given(st.lists(st.integers(1, 60), max_size=6))
def test_poll_boundaries_do_not_matter(tmp_path_factory, sizes):
    """However poll() cuts the stream, the same events are counted."""
    folder, lines = tmp_path_factory.mktemp("cut"), busy_stream(11, 120)
    whole, cut = (
        samples(metrics_of(folder / f"{name}.duckdb", lines, parts))
        for name, parts in (("whole", ()), ("cut", sizes))
    )
    for each in DEFINITIONS:
        name = each.name.removeprefix("labelwatch_")
        if each.shape is Shape.COUNTER and name not in CUT:
            assert by(whole, name, *each.labels) == by(cut, name, *each.labels), name


def test_thresholds_are_those_of_the_view(tmp_path):
    """With one model version, the threshold of a class is what the view `classes` says."""
    path = tmp_path / "s.duckdb"
    events = [annotation(i, "ab"[i % 3 == 0]) for i in range(30)]
    found = samples(metrics_of(path, events, classes=["a", "b", "unused"]))
    view = counted(path, "SELECT label, class_threshold FROM classes WHERE annotation_count > 0")
    assert by(found, "class_threshold_ratio", "label") == view
    assert value(found, "annotations_total", label="unused") == 0


def test_classes_beyond_the_cap_are_one(tmp_path):
    """Two hundred classes have series of their own, the others share one, and nothing is lost."""
    names = [f"c{i}" for i in range(LABELS_MAX + 50)]
    events = [
        {"example_id": name, "label": name, "pred_probs": {"top_k": [{"label": name, "p": 1.0}]}}
        for name in names
    ]
    found = samples(metrics_of(tmp_path / "s.duckdb", events, classes=names))
    labels = by(found, "annotations_total", "label")
    assert len(labels) == LABELS_MAX + 1
    assert labels[OTHER,] == 50
    assert by(found, "class_threshold_ratio", "label")[OTHER,] == 1.0


def test_flags_by_class_and_annotator(tmp_path):
    """A label issue counts for its given label and its annotator."""
    good = [annotation(i, annotator="ann") for i in range(8)]
    probs = {"a": 0.25, "b": 0.75}
    good += [annotation(i, "b", annotator="ann", pred_probs=probs) for i in range(8, 16)]
    wrong = [annotation(99, "b", annotator="bob")]
    found = samples(metrics_of(tmp_path / "s.duckdb", good + wrong))
    assert by(found, "label_flags_total", "label") == {("b",): 1}
    assert by(found, "annotator_flags_total", "annotator") == {("bob",): 1}
    assert by(found, "annotator_annotations_total", "annotator") == {("ann",): 16, ("bob",): 1}
    assert value(found, "annotators_active") == 2


def test_relabels_and_deletions_are_retractions(tmp_path):
    """What is taken back is counted, by why."""
    events = [annotation(1), annotation(2), annotation(3)]
    again = [annotation(1, "b"), {"type": "deletion", "example_id": "x2"}]
    found = samples(metrics_of(tmp_path / "s.duckdb", events + again, [3]))
    assert by(found, "retractions_total", "cause") == {("update",): 1, ("delete",): 1}


def test_what_waits_for_its_other_half(tmp_path):
    """Both sides are shown; what is turned away is a dead letter, or counted where it is dropped."""
    alone = [{"example_id": f"x{i}", "label": "a"} for i in range(3)]
    predictions = [
        {"type": "prediction", "example_id": f"y{i}", "pred_probs": {"a": 0.5, "b": 0.5}}
        for i in range(4)
    ]
    caps = {"pending_max": 2, "unlabelled_max": 3}
    metrics = metrics_of(tmp_path / "s.duckdb", [*alone, *predictions], [1] * 7, **caps)
    found = samples(metrics)
    assert value(found, "pending_joins", side="annotation") == 2
    assert value(found, "pending_joins", side="prediction") == 3
    assert by(found, "dead_letters_total", "reason") == {("pending_overflow",): 1}
    assert by(found, "writes_ignored_total", "cause") == {("unlabelled_overflow",): 1}
    assert by(found, "events_processed_total", "event_type", "outcome") == {
        ("annotation", "accepted"): 2,
        ("prediction", "accepted"): 4,
        ("unknown", "rejected"): 1,
    }
    assert by(found, "annotations_total", "label") == {("a",): 2}


def test_freshness(tmp_path):
    """An event's latency is from its own time to its commit; events without a time have none."""
    events = [annotation(1, annotated_at=1_700_000_000), annotation(2)]
    found = samples(metrics_of(tmp_path / "s.duckdb", events))
    assert value(found, "event_latency_seconds_count") == 1
    now = value(found, "last_processed_timestamp_seconds")
    assert value(found, "event_latency_seconds_sum") == pytest.approx(now - 1.7e9, abs=1e-3)
    assert value(found, "last_event_timestamp_seconds") == 1.7e9
