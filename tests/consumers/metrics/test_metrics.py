"""What is shown, and to whom."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from consumers.board import Board
from consumers.cli.feeding import _Parity
from consumers.config import MetricsSettings, Settings
from consumers.loop import Breaker, run
from consumers.metrics import Metrics, QueryOutcome
from consumers.metrics.definitions import DEFINITIONS, OTHER
from consumers.metrics.shape import Shape
from consumers.wiring import open_line
from monitor.events import Partition, Reason
from tests.consumers.logs import Log, LogSource, feed
from tests.consumers.metrics.counted import annotation, as_bytes, by, metrics_of
from tests.metrics.live import samples, value
from tests.waiting import wait_for


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
    feed(path, LogSource(Log.lines([as_bytes(annotation(1))])))
    with open_line(chosen, "test") as line:
        parity = _Parity(line, chosen, metrics)
        parity.check()
        assert value(samples(metrics), "parity_ok") == 1
        line.store._db.execute("UPDATE store.joint SET annotation_count = annotation_count + 1")
        with pytest.raises(AssertionError, match="labelwatch rebuild"):
            parity.check()
    assert value(samples(metrics), "parity_ok") == 0


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

    def look_again():
        """The loop does not run away from a slow look."""
        known = len(seen)
        wait_for(lambda: len(seen) > known)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        with open_line(Settings(store=str(path)), "test") as line:
            source = LogSource(Log.lines([as_bytes(annotation(i)) for i in range(200)]), [4] * 50)
            watched = replace(line, observer=metrics)
            run(watched, source, Breaker(is_armed=False), lambda: False, lambda _: look_again())
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
