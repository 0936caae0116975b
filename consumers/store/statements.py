"""Every SQL statement of the store. What is called batch_… is a batch of rows (consumers/store/tables.py)."""

from __future__ import annotations

SETTINGS = "SELECT name, value FROM store.setting"
PARTITIONS = "SELECT topic, number FROM store.partition ORDER BY source"
POSITIONS = "SELECT source, next_offset, fingerprint FROM store.position"
CLASSES = "SELECT label FROM store.class ORDER BY class"
ANNOTATORS = "SELECT name FROM store.annotator ORDER BY annotator"
MODEL_VERSIONS = "SELECT name FROM store.model_version ORDER BY stratum"
COUNTERS = "SELECT name, value FROM store.counter"
LAST_TXN = "SELECT coalesce(max(txn_id), 0) FROM store.txn"
HAS_EVENTS = "SELECT EXISTS (FROM store.counter WHERE name = 'accepted' AND value > 0)"

ANNOTATIONS = """
SELECT annotation, id_low, id_high, example, annotator, given, revision, time_us, source, position
FROM store.annotation
"""
ROW_COUNTS = "SELECT (SELECT count(*) FROM store.example), (SELECT count(*) FROM store.annotation)"
CONTENTS = """
SELECT annotation, content_low, content_high FROM store.annotation_detail WHERE content_low IS NOT
NULL ORDER BY annotation
"""
EXAMPLES = """
SELECT example, id_low, id_high, stratum, is_truncated, revision, time_us, source, position, units
FROM store.example
"""
PREDICTION_KEYS = "SELECT example, revision, time_us, source, position FROM store.prediction_key"
MARKERS = "SELECT example, annotator, revision, time_us, source, position FROM store.marker"
STORED_STATISTICS = """
SELECT stratum, class, annotation_count, self_confidence_sum, class_threshold,
    label_issue_count
FROM store.class_statistics
"""
JOINT = "SELECT stratum, given, suggested, annotation_count FROM store.joint"
MODEL_WEIGHTS = "SELECT model_weight FROM store.class_weight ORDER BY class"
OPINIONS = """
SELECT unnest(annotation) AS annotation, unnest(label_quality) AS label_quality,
    unnest(consensus) AS consensus, unnest(consensus_quality) AS consensus_quality
FROM store.opinion
"""
FLAG_SUMS = """
SELECT kind, count(*), sum(annotation), sum(annotation::BIGINT * annotation) FROM store.flag GROUP BY kind
"""
LETTERS_IN_PART = """
SELECT count(*) FROM store.dead_letter
WHERE size <> octet_length(value) AND ($reason IS NULL OR reason = $reason)
"""
LETTER_SIZES = """
SELECT d.txn_id, d.source, d.position, least(d.size, $kept_bytes)
FROM store.dead_letter d
WHERE d.txn_id >= $txn_id AND (d.txn_id, d.source, d.position) > ($txn_id, $source, $position)
    AND ($reason IS NULL OR d.reason = $reason)
    AND (NOT $is_whole OR d.size = octet_length(d.value))
ORDER BY d.txn_id, d.source, d.position
LIMIT $rows_max
"""
LETTERS = """
SELECT d.txn_id, d.source, d.position, p.topic, p.number, d.record_key, d.time_us,
    CASE WHEN NOT d.is_null THEN d.value END AS value, d.size, d.sha256, d.reason, d.error,
    t.committed_at
FROM store.dead_letter d
JOIN batch b ON d.txn_id = b.txn_id AND d.source = b.source AND d.position = b.position
JOIN store.partition p ON p.source = d.source
JOIN store.txn t ON t.txn_id = d.txn_id
WHERE d.txn_id BETWEEN $first AND $last
ORDER BY d.txn_id, d.source, d.position
"""
FINDINGS = """
WITH page AS MATERIALIZED (
    SELECT * FROM store.finding
    WHERE txn_id BETWEEN $txn_id AND $last AND (txn_id, kind, annotation) > ($txn_id, $kind, $annotation)
    ORDER BY txn_id, kind, annotation
    LIMIT $rows_max
)
SELECT f.annotation, md5(concat_ws(' ', f.txn_id, f.kind, store.named(a.annotation_id,
    e.example_id, w.name))) AS finding_id,
    f.kind, f.action, f.cause, e.example_id,
    store.named(a.annotation_id, e.example_id, w.name) AS annotation_id, f.score, f.txn_id,
    t.committed_at AS found_at
FROM page f
JOIN store.annotation a ON a.annotation = f.annotation
LEFT JOIN store.example e ON e.example = a.example
LEFT JOIN store.annotator w ON w.annotator = a.annotator
JOIN store.txn t ON t.txn_id = f.txn_id
ORDER BY f.txn_id, f.kind, f.annotation
"""
"""A page of the view `findings`, in the order of publishing. The view itself would join before it limits."""

NEXT_ENDS = """
SELECT (SELECT coalesce(max(example), -1) FROM store.example),
    (SELECT coalesce(max(txn_id), 0) FROM store.txn)
"""
NEXT = """
SELECT * EXCLUDE (example) FROM store.candidate WHERE example BETWEEN ? AND ?
ORDER BY active_learning_score, example_id LIMIT ?
"""
"""The first rows of the view `next_labels`, among some of the examples."""

INBOX_ENDS = """
SELECT coalesce(s.next_offset, 0), greatest(coalesce(s.next_offset, 0),
        coalesce((SELECT max(seq) FROM store.inbox), -1) + 1,
        coalesce((SELECT max(last_seq) FROM store.inbox_key), -1) + 1),
    greatest(coalesce((SELECT max(received_us) FROM store.inbox), 0),
        coalesce((SELECT max(received_us) FROM store.inbox_key), 0)),
    coalesce((SELECT sum(size) FROM store.inbox), 0)::BIGINT,
    (SELECT coalesce(max(txn_id), 0) FROM store.txn)
FROM (SELECT 1) LEFT JOIN store.partition p ON p.topic = ?
LEFT JOIN store.position s USING (source)
"""
INBOX = "SELECT seq, value, received_us FROM store.inbox WHERE seq >= ? AND seq < ?"
INBOX_KEY = """
SELECT request, first_seq, last_seq FROM store.inbox_key
WHERE key_hash = ? AND key = ? AND received_us >= ?
"""
FORGET_KEYS = "DELETE FROM store.inbox_key WHERE received_us < ?"
DELETE_COUNTED = "DELETE FROM store.inbox WHERE seq < ?"
ISSUE_KEYS = """
SELECT f.annotation,
    coalesce(store.said(v.label_quality, v.annotation, a.annotation), f.score) AS label_score,
    store.named(a.annotation_id, e.example_id, w.name) AS annotation_id, e.example_id,
    w.name AS annotator, g.label AS given_label, nullif(m.name, '') AS model_version,
    u.labels[store.suggested(e.units, u.cuts, u.collision) + 1] AS suggested_label
FROM store.flag f
JOIN store.annotation a USING (annotation)
JOIN store.example e USING (example)
JOIN store.annotator w USING (annotator)
JOIN store.class g ON g.class = a.given
JOIN store.model_version m USING (stratum)
JOIN store.cuts u USING (stratum)
LEFT JOIN store.opinion v ON v.block = store.block(a.example)
WHERE f.kind = 'label_issue'
"""
"""What orders and selects rows of the view `label_issues`. The view itself would compute all rows first."""

DELETE = {
    table: f"DELETE FROM store.{table} WHERE {which} IN (SELECT value FROM batch_rows)"  # noqa: S608 - our own names
    for table, which in {
        "annotation": "annotation",
        "annotation_detail": "annotation",
        "example": "example",
        "opinion": "block",
        "retracted": "annotation",
        "flag": "kind = ? AND annotation",
    }.items()
}
DELETE_BY = {
    "class_statistics": """
DELETE FROM store.class_statistics s USING batch_class_statistics_keys b
WHERE s.stratum = b.stratum AND s.class = b.class
""",
    "joint": """
DELETE FROM store.joint j USING batch_joint_keys b
WHERE j.stratum = b.stratum AND j.given = b.given AND j.suggested = b.suggested
""",
    "dead_letter": """
DELETE FROM store.dead_letter d USING batch_dead_letter_keys b
WHERE d.source = b.source AND d.position = b.position
""",
}
DERIVED = ("flag", "class_statistics", "joint", "opinion", "annotator_rating", "class_weight")
"""Tables that follow from the facts: emptied and written anew by `labelwatch rebuild`."""

THRESHOLDS = "SELECT stratum, class, class_threshold FROM store.class_statistics"
LABELS = """
SELECT example_id, annotator, given_label, suggested_label, label_score, is_label_issue
FROM annotations
"""
PARITY_SIZES = """
SELECT (SELECT count(*) FROM store.model_version), (SELECT count(*) FROM store.class),
    (SELECT coalesce(max(example), -1) FROM store.example)
"""
PARITY = """
WITH confident AS (
    SELECT stratum, given, units, self_units,
        list_filter(range(len(units)), lambda k: units[k + 1] >= $cuts[stratum + 1][k + 1]) AS classes
    FROM store.live WHERE example BETWEEN $first AND $last
)
SELECT stratum, given,
    CASE WHEN len(classes) = 0 THEN NULL WHEN len(classes) = 1 THEN classes[1]
    WHEN $collision = 'cleanlab' THEN list_position(units, list_max(units)) - 1
    ELSE list_reduce(classes, lambda a, b: CASE WHEN units[b + 1] > units[a + 1] THEN b ELSE a
    END) END AS suggested, count(*), sum(self_units::BIGINT)::BIGINT
FROM confident GROUP BY ALL
"""

USED_CLASSES = """
SELECT label FROM store.class WHERE class IN (
    SELECT given FROM store.annotation
    UNION SELECT unnest(list_filter(range(len(units)), lambda k: units[k + 1] > 0)) FROM
    store.example
) ORDER BY class
"""
RENUMBER_GIVEN = "UPDATE store.annotation SET given = $moved[given + 1] WHERE given >= 0"
RENUMBER_UNITS = """
UPDATE store.example
SET units = list_transform($back, lambda k: CASE WHEN k = 0 THEN 0 ELSE coalesce(units[k], 0) END)
"""
REMEMBER_FLAGS = (
    "CREATE OR REPLACE TEMP TABLE flag_before AS SELECT kind, annotation, score FROM store.flag"
)
FLAG_DIFFERENCES = """
INSERT INTO store.finding
SELECT $txn_id, coalesce(n.kind, b.kind), CASE WHEN b.kind IS NULL THEN 'raised' ELSE 'cleared'
END,
    'threshold', coalesce(n.annotation, b.annotation), coalesce(n.score, b.score)
FROM store.flag n FULL JOIN flag_before b ON n.kind = b.kind AND n.annotation = b.annotation
WHERE n.kind IS NULL OR b.kind IS NULL
"""

SCHEMA_VERSION = "SELECT max(version) FROM labelwatch_schema"
LAST_COMMIT = "SELECT max(committed_at) FROM store.txn"
PLACES = """
SELECT p.topic, p.number, s.next_offset, s.fingerprint
FROM store.position s JOIN store.partition p USING (source)
"""
REASONS = "SELECT reason, count(*) FROM store.dead_letter GROUP BY reason ORDER BY ALL"
LETTER_SAMPLES = """
SELECT value FROM store.dead_letter WHERE reason = ? AND octet_length(value) = size LIMIT 1000
"""
