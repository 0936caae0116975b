"""The public contract: the views, their columns, and that what they show is what cleanlab says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from cleanlab.rank import get_label_quality_scores
from hypothesis import given, settings

from monitor.opinions import ISSUE_BELOW
from tests.consensus_oracle import assert_published
from tests.consumers.logs import CLASSES, Log, LogSource, feed
from tests.consumers.stored import UNIT, opened, query, tamper
from tests.laws.world import World
from tests.oracle import cleanlab_verdict, plain_suggestion, plain_thresholds
from tests.strategies import streams

COLUMNS = {
    "annotations": "annotation_id example_id annotator given_label predicted_label suggested_label "
    "self_confidence normalized_margin label_score is_label_issue label_quality is_consensus_issue "
    "pred_probs is_truncated "
    "model_version revision annotated_at ingested_at text uri metadata is_gold expected_label "
    "lead_time_s topic kafka_partition kafka_offset txn_id",
    "pending": "annotation_id example_id annotator given_label since",
    "predictions": "example_id model_version predicted_label pred_probs",
    "label_issues": "annotation_id example_id annotator given_label predicted_label suggested_label "
    "self_confidence normalized_margin label_score label_quality is_consensus_issue "
    "pred_probs is_truncated "
    "model_version revision annotated_at ingested_at text uri metadata is_gold expected_label "
    "lead_time_s topic kafka_partition kafka_offset txn_id methods votes",
    "examples": "example_id consensus_label consensus_quality annotation_count is_disputed "
    "active_learning_score model_version",
    "annotators": "annotator annotation_count label_issue_count consensus_issue_count error_rate "
    "error_rate_low error_rate_high annotator_quality agreement_with_consensus agreement_with_model "
    "worst_class confused_given confused_with labels_per_hour lead_time_s too_fast_share gold_count "
    "gold_accuracy review_count confirmed_share last_seen_at",
    "classes": "label annotation_count class_threshold label_issue_count model_version",
    "confident_joint": "given_label suggested_label annotation_count model_version",
    "duplicates": "example_id score set_id kind",
    "findings": "finding_id kind action cause example_id annotation_id score txn_id found_at",
    "dead_letters": "topic kafka_partition kafka_offset reason error value first_seen_at key "
    "value_size value_sha256",
    "flag_precision": "method given_label reviewed_count confirmed_count precision",
    "next_labels": "example_id active_learning_score consensus_label consensus_quality annotation_count "
    "is_disputed model_version",
    "offsets": "topic kafka_partition next_offset",
}
COLUMNS |= {
    # Those that more methods suspect, or fewer.
    f"label_issues_{how}": COLUMNS["annotations"] + " methods votes"
    for how in ("any", "all")
}


@pytest.mark.parametrize("view", COLUMNS)
def test_the_columns_of_a_view(view, filled):
    """Names and order of the columns are a public contract, and each view says what its rows are."""
    with opened(filled, read_only=True) as db:
        found = [row[0] for row in db.execute(f"DESCRIBE {view}").fetchall()]
    assert found == COLUMNS[view].split()
    ((comment,),) = query(filled, "SELECT comment FROM duckdb_views() WHERE view_name = ?", view)
    assert comment.startswith(("One row per ", "Counts of "))


def test_the_views_are_all_there_is(filled):
    """Nothing but the contract stands in the main schema."""
    views = query(
        filled, "SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
    )
    tables = query(filled, "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'")
    assert {name for (name,) in views} == COLUMNS.keys()
    assert tables == [("labelwatch_schema",)]


@settings(max_examples=8)
@given(streams())
def test_the_views_show_what_the_events_amount_to(sents):
    """Live rows, pending ones, predictions, and per model version cleanlab's thresholds, joint and issues."""
    log, world = Log.of(sents), World(CLASSES)
    for place, records in log.parts.items():
        for offset, *_ in records:
            world.tell(next(s for s in sents if (s.partition, s.offset) == (place, offset)))
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "s.duckdb")
        feed(store, LogSource(log, [5, 5, 5]), classes=CLASSES)
        _check_rows(store, world)
        _check_opinions(store, world)
        for version, rows in world.strata().items():
            _check_stratum(store, version or None, rows)


def _check_rows(store, world):
    live = world.live()
    shown = query(
        store,
        "SELECT annotation_id, example_id, annotator, given_label, coalesce(model_version, ''), pred_probs, "
        "is_truncated FROM annotations ORDER BY annotation_id",
    )
    assert shown == [
        (
            row.annotation_id,
            row.example,
            row.annotator,
            CLASSES[row.given],
            row.version,
            [units / UNIT for units in row.units],
            row.is_truncated,
        )
        for row in live
    ]
    pending = query(store, "SELECT annotation_id FROM pending")
    assert {name for (name,) in pending} == world.pending()
    predictions = {
        name: [units / UNIT for units in world.dense(prediction)]
        for name in world.predictions
        if (prediction := world.prediction_of(name)) is not None
    }
    assert dict(query(store, "SELECT example_id, pred_probs FROM predictions")) == predictions


def _check_opinions(store, world):
    shown = query(
        store,
        "SELECT annotation_id, label_quality, k.class, e.consensus_quality, label_score, is_consensus_issue "
        "FROM annotations JOIN examples e USING (example_id) JOIN store.class k ON k.label = consensus_label",
    )
    assert_published({name: said for name, *said, _, _ in shown}, world.live(), len(CLASSES))
    for _, quality, _, _, score, is_issue in shown:
        assert (score, is_issue) == (quality, quality < ISSUE_BELOW)
    rows = world.live()
    counts = {
        example: len([row for row in rows if row.example == example])
        for example in {row.example for row in rows}
    }
    assert dict(query(store, "SELECT example_id, annotation_count FROM examples")) == counts
    disputed = {
        example
        for example in counts
        if len({row.given for row in rows if row.example == example}) > 1
    }
    found = query(store, "SELECT example_id FROM examples WHERE is_disputed")
    assert {example for (example,) in found} == disputed


def _check_stratum(store, version, rows):
    of_version = "model_version IS NOT DISTINCT FROM ?"
    given = np.array([row.given for row in rows])
    p = np.array([row.units for row in rows]) / UNIT
    shown = query(
        store,
        "SELECT self_confidence, normalized_margin, predicted_label, suggested_label, is_label_issue "
        f"FROM annotations WHERE {of_version} ORDER BY annotation_id",
        version,
    )
    self_confidence, margin, predicted, suggested, is_issue = zip(*shown, strict=True)
    assert list(self_confidence) == get_label_quality_scores(given, p).tolist()
    assert list(margin) == get_label_quality_scores(given, p, method="normalized_margin").tolist()
    assert list(predicted) == [CLASSES[k] for k in p.argmax(axis=1)]
    thresholds = plain_thresholds(rows, len(CLASSES))
    expected = [plain_suggestion(row, thresholds, "cleanlab") for row in rows]
    assert list(suggested) == [None if k is None else CLASSES[k] for k in expected]
    verdict = cleanlab_verdict(rows)
    flagged = {row.annotation_id for row, flag in zip(rows, is_issue, strict=True) if flag}
    assert flagged == verdict.issues
    classes = query(
        store,
        f"SELECT label, annotation_count, class_threshold, label_issue_count FROM classes WHERE {of_version}",
        version,
    )
    issues = [
        sum(row.annotation_id in flagged and row.given == k for row in rows) for k in range(3)
    ]
    assert classes == [
        (name, int((given == k).sum()), thresholds[k], issues[k]) for k, name in enumerate(CLASSES)
    ]
    assert [t for t in thresholds if t < 2] == [
        t for k, t in enumerate(verdict.thresholds) if k in given
    ]
    joint = dict.fromkeys(((a, b) for a in CLASSES for b in CLASSES), 0)
    joint |= {
        (row[0], row[1]): row[2]
        for row in query(
            store,
            f"SELECT given_label, suggested_label, annotation_count FROM confident_joint WHERE {of_version}",
            version,
        )
    }
    # cleanlab's joint has a diagonal of at least 1.
    raised = [[max(joint[a, b], int(a == b)) for b in CLASSES] for a in CLASSES]
    assert raised == [list(row) for row in verdict.joint]


def test_every_method_votes(filled):
    """Whoever suspects an annotation is named; any and all of them are views of their own."""
    methods = (
        "list_filter([CASE WHEN is_label_issue THEN 'confident_learning' END, "
        "CASE WHEN label_quality < 0.5 THEN 'consensus' END, "
        "CASE WHEN predicted_label <> given_label THEN 'predicted_neq_given' END], "
        "lambda method: method IS NOT NULL)"
    )
    expected = query(
        filled,
        f"SELECT annotation_id, {methods}, len({methods}) FROM annotations ORDER BY annotation_id",
    )
    by_name = {
        "label_issues": lambda methods: "confident_learning" in methods,
        "label_issues_any": len,
        "label_issues_all": lambda methods: len(methods) == 3,
    }
    for view, is_in in by_name.items():
        shown = query(filled, f"SELECT annotation_id, methods, votes FROM {view} ORDER BY 1")
        assert shown == [row for row in expected if is_in(row[1])]
        assert shown


def test_label_issues_come_most_suspect_first(filled):
    """The view of label issues is in order: by label score, ties by annotation_id."""
    shown = query(filled, "SELECT label_score, annotation_id FROM label_issues")
    assert shown
    assert shown == sorted(shown)
    assert (
        len(shown) == query(filled, "SELECT count(*) FROM annotations WHERE is_label_issue")[0][0]
    )


def test_a_class_that_joined_after_the_prediction(tmp_path):
    """A label that was named after its example was predicted has probability 0, not none."""
    lines = [
        b'{"type":"prediction","example_id":"x","pred_probs":{"a":0.75,"b":0.25}}',
        b'{"example_id":"x","label":"late"}',
        b'{"example_id":"y","label":"a","pred_probs":{"a":1.0}}',
    ]
    store = tmp_path / "s.duckdb"
    feed(store, LogSource(Log.lines(lines), [1, 1, 1]))
    columns = "self_confidence, normalized_margin, pred_probs"
    assert query(store, f"SELECT {columns} FROM annotations WHERE given_label = 'late'") == [
        (0.0, 0.125, [0.75, 0.25, 0.0])
    ]
    assert query(store, "SELECT label, class_threshold FROM classes") == [
        ("a", 1.0),
        ("b", 2.0),
        ("late", 2e-6),
    ]


def test_an_annotation_that_left_a_deleted_example(tmp_path):
    """An annotation that moves from a deleted example to another one is live there."""
    lines = [
        b'{"example_id":"x","annotation_id":"n","label":"a","pred_probs":{"a":1.0}}',
        b'{"type":"deletion","example_id":"x"}',
        b'{"example_id":"y","annotation_id":"n","label":"a","pred_probs":{"a":1.0}}',
    ]
    store = tmp_path / "s.duckdb"
    feed(store, LogSource(Log.lines(lines), [1, 1, 1]))
    assert query(store, "SELECT annotation_id, example_id FROM annotations") == [("n", "y")]
    assert query(store, "SELECT annotation_count FROM classes") == [(1,)]


def test_the_views_ask_for_no_write(filled):
    """Everything the views show can be read without writing; what they show follows from the tables alone."""
    before = query(filled, "FROM findings ORDER BY ALL")
    tamper(filled, "CHECKPOINT")
    assert query(filled, "FROM findings ORDER BY ALL") == before
