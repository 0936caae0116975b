"""What is counted, compared with what the store holds."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from consumers.board import Board
from consumers.cli.feeding import _Progress
from consumers.config import MetricsSettings, Settings
from consumers.loop import Breaker, run
from consumers.metrics import Metrics, QueryOutcome
from consumers.metrics.definitions import DEFINITIONS, OTHER, Shape
from consumers.metrics.names import LABELS_MAX
from consumers.wiring import open_line
from monitor.events import Partition, Reason
from tests.consumers.logs import Log, LogSource, feed
from tests.consumers.stored import query
from tests.consumers.streams import busy_stream
from tests.metrics.live import samples, value

CUT = frozenset(
    {"findings_total", "retractions_total", "label_flags_total", "annotator_flags_total"}
)
"""Changes are those from commit to commit: a flag may come and go between two."""
IGNORED = {
    "redelivery": "redelivered",
    "stale": "stale",
    "unlabelled_overflow": "predictions_dropped",
}


def annotation(number, label="a", **more):
    """An ordinary event, as JSON would have it."""
    return {
        "example_id": f"x{number}",
        "label": label,
        "pred_probs": {"a": 0.75, "b": 0.25},
    } | more


def metrics_of(path, values, sizes=(), *, show="capped", **options):
    """The metrics of one run."""
    metrics = Metrics(MetricsSettings(annotators=show, salt="s"), Board(), path)
    with open_line(Settings(store=str(path), **options), "test") as line:
        source = LogSource(Log.lines(map(_json, values)), sizes)
        watched = replace(line, observer=metrics)
        run(watched, source, Breaker(is_armed=False), lambda: False, lambda _: None)
    return metrics


def _json(each):
    return each if isinstance(each, bytes) else json.dumps(each).encode()


def by(found, name, *labels):
    """The values of one metric that are not 0, by its labels."""
    rows = {
        tuple(dict(pairs)[label] for label in labels): each
        for (sample, pairs), each in found.items()
        if sample == f"labelwatch_{name}"
    }
    return {key: each for key, each in rows.items() if each}


def counted(path, sql):
    """The rows of a query as a table from all but the last column to the last."""
    return {tuple(row[:-1]): row[-1] for row in query(path, sql)}


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
    counters = dict(query(path, "SELECT name, value FROM store.counter"))
    ignored = {cause: counters.get(name, 0) for cause, name in IGNORED.items()}
    assert any(ignored.values())
    for cause, count in ignored.items():
        assert value(found, "writes_ignored_total", cause=cause) == count
    versions = query(path, "SELECT count(DISTINCT coalesce(model_version, '')) FROM annotations")
    assert value(found, "model_versions_active") == versions[0][0]


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


@pytest.mark.parametrize("show", ["capped", "hashed", "off"])
def test_names_that_are_awkward(show, tmp_path):
    """Quotes, newlines, long names and our own __other__ come back as they are, as hashes, or not at all."""
    names = ['"', "\\", "\n", "a\nb\\n", "é☃", "x" * 5_000, "x" * 5_001, OTHER, "{}", "a,b=c"]
    events = [annotation(i, annotator=name) for i, name in enumerate(names)]
    metrics = metrics_of(tmp_path / "s.duckdb", events, show=show)
    found = by(samples(metrics), "annotator_annotations_total", "annotator")
    assert sum(found.values()) == (0 if show == "off" else len(names))
    for accept, parse in (("", plain_text), ("application/openmetrics-text", open_metrics)):
        body = metrics.render(accept)[0].decode()
        assert len(body) < 100_000
        parsed = [s for f in parse(body) for s in f.samples if "annotator_annotations" in s.name]
        assert {(s.labels["annotator"],): s.value for s in parsed if s.value} == found
        if show != "capped":
            assert "é☃" not in body
    if show == "capped":
        assert all((name,) in found for name in names if len(name) < 100)


def test_what_is_there_from_the_start(tmp_path):
    """Before anything is loaded, each metric has its type, and known label values are at 0."""
    metrics = Metrics(MetricsSettings(), Board(), tmp_path / "none.duckdb")
    found = samples(metrics)
    for each in DEFINITIONS:
        for labels in each.known:
            name = each.name + ("_count" if each.shape is Shape.HISTOGRAM else "")
            key = name, tuple(sorted(zip(each.labels, labels, strict=True)))
            assert found[key] == 0 or "disk_free" in each.name, key
    assert len(by(found, "dead_letters_total", "reason")) == 0
    assert ("labelwatch_dead_letters_total", (("reason", str(Reason.UNREADABLE)),)) in found
    body = metrics.render("")[0].decode()
    assert all(f"# TYPE {each.name} {each.shape}\n" in body for each in DEFINITIONS)


def test_two_monitors_share_nothing(tmp_path):
    """Metrics of one run do not appear in those of another in the same process."""
    one, other = (Metrics(MetricsSettings(), Board(), tmp_path / name) for name in ("a", "b"))
    one.took_in(5)
    assert value(samples(one), "inbox_events_total") == 5
    assert value(samples(other), "inbox_events_total") == 0


def test_queries_are_counted(tmp_path):
    """A query is in flight until it ends, in one of the ways there are."""
    metrics = Metrics(MetricsSettings(), Board(), tmp_path / "s.duckdb")
    metrics.query_began()
    metrics.query_began()
    metrics.query_ended(QueryOutcome.TIME_UP, 10.5)
    found = samples(metrics)
    assert value(found, "queries_in_flight") == 1
    assert by(found, "queries_total", "outcome") == {("time_up",): 1}
    assert value(found, "query_duration_seconds_sum") == 10.5
    assert value(found, "query_duration_seconds_bucket", le="10.0") == 0


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


def test_buckets(tmp_path):
    """A bucket holds what is at most its bound, and the last one everything."""
    metrics = Metrics(MetricsSettings(), Board(), tmp_path / "s.duckdb")
    for elapsed_s in (0.25, 0.250001, 11.0):
        metrics.query_began()
        metrics.query_ended(QueryOutcome.OK, elapsed_s)
    found = samples(metrics)
    for bound, count in (("0.1", 0), ("0.25", 1), ("0.5", 2), ("10.0", 2), ("+Inf", 3)):
        assert value(found, "query_duration_seconds_bucket", le=bound) == count


def test_lag_is_what_the_board_says(tmp_path):
    """A partition lags by what it has and nobody has read; a source that is away says so."""
    board = Board(
        next_offsets={Partition("t"): 3}, end_offsets={Partition("t"): 10, Partition("t", 1): 4}
    )
    metrics = Metrics(MetricsSettings(), board, tmp_path / "s.duckdb")
    lag = by(samples(metrics), "consumer_lag_messages", "topic", "partition")
    assert lag == {("t", "0"): 7, ("t", "1"): 4}
    assert value(samples(metrics), "source_away") == 0
    board.away = "nobody answers"
    assert value(samples(metrics), "source_away") == 1


def test_parity(tmp_path):
    """A recount that differs is shown, and leaves the time of the last one that agreed."""
    metrics = metrics_of(tmp_path / "s.duckdb", [annotation(1)])
    before = samples(metrics)
    assert value(before, "parity_ok") == 1
    metrics.recounted(is_equal=False)
    after = samples(metrics)
    assert value(after, "parity_ok") == 0
    last = "parity_last_success_timestamp_seconds"
    assert value(after, last) == value(before, last) > 0


def test_a_recount_that_differs_is_shown_before_it_ends_the_run(tmp_path):
    """The recount of a run tells its metrics, whether it agrees or not."""
    path = tmp_path / "s.duckdb"
    metrics = Metrics(MetricsSettings(), Board(), path)
    chosen = Settings(store=str(path))
    feed(path, LogSource(Log.lines([_json(annotation(1))])))
    with open_line(chosen, "test") as line:
        progress = _Progress(line, chosen, metrics)
        progress.check_parity()
        assert value(samples(metrics), "parity_ok") == 1
        line.store._db.execute("UPDATE store.joint SET annotation_count = annotation_count + 1")
        with pytest.raises(AssertionError, match="labelwatch rebuild"):
            progress.check_parity()
    assert value(samples(metrics), "parity_ok") == 0


def test_freshness(tmp_path):
    """An event's latency is from its own time to its commit; events without a time have none."""
    events = [annotation(1, annotated_at=1_700_000_000), annotation(2)]
    found = samples(metrics_of(tmp_path / "s.duckdb", events))
    assert value(found, "event_latency_seconds_count") == 1
    now = value(found, "last_processed_timestamp_seconds")
    assert value(found, "event_latency_seconds_sum") == pytest.approx(now - 1.7e9, abs=1e-3)
    assert value(found, "last_event_timestamp_seconds") == 1.7e9


def test_stages(tmp_path):
    """Each batch times its stages; a checkpoint is timed where there was one."""
    events = [annotation(i) for i in range(9)]
    usual = samples(metrics_of(tmp_path / "usual.duckdb", events, [3, 3, 3]))
    eager = samples(metrics_of(tmp_path / "eager.duckdb", events, [3, 3, 3], checkpoint_bytes=1))
    for stage in ("read", "step", "commit"):
        assert value(usual, "stage_duration_seconds_count", stage=stage) == 3
    assert value(usual, "stage_duration_seconds_count", stage="checkpoint") == 0
    assert value(eager, "stage_duration_seconds_count", stage="checkpoint") == 3
    assert value(eager, "checkpoint_last_success_timestamp_seconds") > 0
    assert value(usual, "batch_records_sum") == 9


def test_a_scrape_sees_whole_batches(tmp_path):
    """While the loop commits, what is read, processed and shown as state belongs to one commit."""
    path = tmp_path / "s.duckdb"
    metrics = Metrics(MetricsSettings(), Board(), path)
    is_over, seen = threading.Event(), []

    def look():
        while not is_over.is_set():
            seen.append(samples(metrics))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        with open_line(Settings(store=str(path)), "test") as line:
            source = LogSource(Log.lines([_json(annotation(i)) for i in range(200)]), [4] * 50)
            watched = replace(line, observer=metrics)
            run(watched, source, Breaker(is_armed=False), lambda: False, lambda _: None)
    finally:
        is_over.set()
        looking.join()
    assert len(seen) > 3
    for found in seen:
        count = value(found, "batch_records_sum")
        accepted = value(
            found, "events_processed_total", event_type="annotation", outcome="accepted"
        )
        assert accepted == count
        assert by(found, "annotations_live") == ({(): count} if count else {})
