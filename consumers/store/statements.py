"""Every SQL statement of the store. Statements with `batch` read a registered Arrow table."""

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
SELECT annotation, id_low, id_high, example, annotator, given, revision, time_us, source, position,
    content_low IS NOT NULL AS has_content,
    coalesce(content_low, 0)::UBIGINT AS content_low, coalesce(content_high, 0)::UBIGINT AS
    content_high
FROM store.annotation
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
STORED_JOINT = "SELECT stratum, given, suggested, annotation_count FROM store.joint"
FLAG_SUMS = """
SELECT kind, count(*), sum(annotation), sum(annotation::BIGINT * annotation) FROM store.flag GROUP BY kind
"""
VERDICT_SUMS = """
SELECT count(*), coalesce(sum(example), 0), coalesce(sum(example::BIGINT * (example + suggested)), 0)
FROM store.verdict
"""
DEAD_LETTERS = """
SELECT p.topic, p.number, d.position, d.record_key, d.time_us, CASE WHEN NOT d.is_null THEN d.value
END FROM store.dead_letter d JOIN store.partition p USING (source) WHERE d.size =
octet_length(d.value) ORDER BY d.txn_id, d.source, d.position
"""

DELETE_ANNOTATIONS = "DELETE FROM store.annotation WHERE annotation IN (SELECT value FROM batch)"
DELETE_EXAMPLES = "DELETE FROM store.example WHERE example IN (SELECT value FROM batch)"
DELETE_VERDICTS = "DELETE FROM store.verdict WHERE example IN (SELECT value FROM batch)"
DELETE_RETRACTED = "DELETE FROM store.retracted WHERE annotation IN (SELECT value FROM batch)"
DELETE_FLAGS = "DELETE FROM store.flag WHERE kind = ? AND annotation IN (SELECT value FROM batch)"
DELETE_STATISTICS = """
DELETE FROM store.class_statistics s USING batch b WHERE s.stratum = b.stratum AND s.class =
b.class
"""
DELETE_JOINT = """
DELETE FROM store.joint j USING batch b
WHERE j.stratum = b.stratum AND j.given = b.given AND j.suggested = b.suggested
"""
DELETE_POSITIONS = "DELETE FROM store.position WHERE source IN (SELECT source FROM batch)"
DELETE_COUNTERS = "DELETE FROM store.counter WHERE name IN (SELECT name FROM batch)"
DELETE_SETTINGS = "DELETE FROM store.setting WHERE name IN (SELECT name FROM batch)"
DELETE_DEAD_LETTERS = """
DELETE FROM store.dead_letter d USING batch b WHERE d.source = b.source AND d.position = b.position
"""
DERIVED = ("verdict", "flag", "class_statistics", "joint")
"""Tables that follow from the facts: emptied and written anew by `labelwatch rebuild`."""

PARITY = """
WITH self AS (
    SELECT stratum, given AS class, count(*) AS n, sum(self_units::BIGINT)::BIGINT AS total
    FROM store.live GROUP BY ALL
), cut AS (
    SELECT m.stratum, c.class,
        CASE WHEN s.n IS NULL THEN 2.0 ELSE greatest(s.total::DOUBLE / 1073741824 / s.n, 2e-6) END
        AS threshold
    FROM store.model_version m CROSS JOIN store.class c
    LEFT JOIN self s ON s.stratum = m.stratum AND s.class = c.class
), cuts AS (
    SELECT stratum, list(ceil((threshold - 1e-6) * 1073741824)::BIGINT ORDER BY class) AS cut
    FROM cut GROUP BY stratum
), confident AS (
    SELECT l.stratum, l.given, l.units,
        list_filter(range(len(l.units)), lambda k: l.units[k + 1] >= c.cut[k + 1]) AS classes
    FROM store.live l JOIN cuts c USING (stratum)
), suggested AS (
    SELECT stratum, given,
        CASE WHEN len(classes) = 1 THEN classes[1]
        WHEN $collision = 'cleanlab' THEN list_position(units, list_max(units)) - 1
        ELSE list_reduce(classes, lambda a, b: CASE WHEN units[b + 1] > units[a + 1] THEN b ELSE a
        END) END AS suggested
    FROM confident WHERE len(classes) > 0
), recounted AS (
    SELECT stratum, given, suggested, count(*) AS n FROM suggested GROUP BY ALL
)
SELECT
    (SELECT count(*) FROM recounted r FULL JOIN (FROM store.joint WHERE annotation_count > 0) j
        ON r.stratum = j.stratum AND r.given = j.given AND r.suggested = j.suggested
        WHERE r.n IS DISTINCT FROM j.annotation_count)
    + (SELECT count(*) FROM cut c LEFT JOIN store.class_statistics s USING (stratum, class)
        WHERE c.threshold <> coalesce(s.class_threshold, 2.0))
"""
"""A second opinion: how many cells of the joint and thresholds differ when recounted from the facts."""

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
