"""What the page asks the store: few rows, and names cut, for a label may be megabytes."""

from __future__ import annotations

from typing import Final

NAME_MAX = 2_000
"""Characters of a name, a label or a text that the page holds; it shows fewer."""
PICTURE_MAX = 65_536
"""Characters of a `data:` address that is shown as a picture."""
MINUTES = 60
TXNS_MAX = 1_000
"""Transactions among which the latest flags are looked for."""

TOTALS: Final = """
SELECT
    (SELECT coalesce(sum(value), 0) FROM store.counter WHERE name IN ('accepted', 'rejected'))::BIGINT
        AS record_count,
    (SELECT count(*) FROM store.dead_letter) AS dead_letter_count,
    (SELECT coalesce(sum(annotation_count), 0) FROM store.class_statistics)::BIGINT AS annotation_count,
    (SELECT coalesce(sum(label_issue_count), 0) FROM store.class_statistics)::BIGINT AS label_issue_count,
    (SELECT count(*) FROM pending) AS pending_count,
    (SELECT count(*) FROM store.class) AS class_count,
    (SELECT max(committed_at) FROM store.txn) AS committed_at
"""

VERSIONS: Final = f"""
SELECT s.stratum, left(m.name, {NAME_MAX}) AS name, sum(s.annotation_count)::BIGINT AS annotation_count
FROM store.class_statistics s
JOIN store.model_version m USING (stratum)
WHERE $model_version IS NULL OR m.name = $model_version
GROUP BY s.stratum, m.name
HAVING sum(s.annotation_count) > 0
ORDER BY annotation_count DESC, s.stratum
LIMIT $rows_max
"""  # noqa: S608 - our own number

CLASSES: Final = f"""
WITH met AS (
    SELECT given AS class, annotation_count FROM store.joint WHERE stratum = $stratum AND given <> suggested
    UNION ALL
    SELECT suggested, annotation_count FROM store.joint WHERE stratum = $stratum AND given <> suggested
),
confused AS (SELECT class, sum(annotation_count) AS confused_count FROM met GROUP BY class)
SELECT k.class, left(k.label, {NAME_MAX}) AS label, coalesce(s.annotation_count, 0) AS annotation_count,
    s.class_threshold, coalesce(s.label_issue_count, 0) AS label_issue_count
FROM store.class k
LEFT JOIN store.class_statistics s ON s.class = k.class AND s.stratum = $stratum
LEFT JOIN confused c ON c.class = k.class
ORDER BY coalesce(c.confused_count, 0) DESC, coalesce(s.annotation_count, 0) DESC, k.class
LIMIT $rows_max
"""  # noqa: S608 - our own number

CELLS: Final = """
SELECT given, suggested, annotation_count FROM store.joint
WHERE stratum = $stratum AND list_contains($classes, given) AND list_contains($classes, suggested)
"""

CONFUSIONS: Final = f"""
SELECT left(g.label, {NAME_MAX}) AS given_label, left(s.label, {NAME_MAX}) AS suggested_label,
    j.annotation_count
FROM store.joint j
JOIN store.class g ON g.class = j.given
JOIN store.class s ON s.class = j.suggested
WHERE j.stratum = $stratum AND j.given <> j.suggested AND j.annotation_count > 0
ORDER BY j.annotation_count DESC, j.given, j.suggested
LIMIT $rows_max
"""  # noqa: S608 - our own number

SPAN: Final = f"""
SELECT date_diff('second', min(committed_at), max(committed_at)) AS seconds
FROM store.txn
WHERE committed_at > (SELECT max(committed_at) FROM store.txn) - INTERVAL {MINUTES} MINUTE
"""  # noqa: S608 - our own number

RATES: Final = f"""
WITH recent AS MATERIALIZED (
    SELECT txn_id, floor(epoch(committed_at) / $step_s)::BIGINT AS step
    FROM store.txn
    WHERE committed_at > (SELECT max(committed_at) FROM store.txn) - INTERVAL {MINUTES} MINUTE
),
label AS (
    SELECT r.step, count(*) AS label_count
    FROM store.annotation a JOIN recent r USING (txn_id)
    WHERE a.txn_id >= (SELECT min(txn_id) FROM recent) AND a.given >= 0
    GROUP BY r.step
),
raised AS (
    SELECT r.step, count(*) AS flag_count
    FROM store.finding f JOIN recent r USING (txn_id)
    WHERE f.txn_id >= (SELECT min(txn_id) FROM recent) AND f.kind = 'label_issue' AND f.action = 'raised'
    GROUP BY r.step
)
SELECT s.step, coalesce(l.label_count, 0) AS label_count, coalesce(f.flag_count, 0) AS flag_count
FROM (SELECT DISTINCT step FROM recent) s
LEFT JOIN label l USING (step)
LEFT JOIN raised f USING (step)
ORDER BY s.step
"""  # noqa: S608 - our own number

LATEST: Final = f"""
WITH latest AS MATERIALIZED (
    SELECT txn_id, annotation, score FROM store.finding
    WHERE kind = 'label_issue' AND action = 'raised'
        AND txn_id > (SELECT max(txn_id) FROM store.txn) - {TXNS_MAX}
    ORDER BY txn_id DESC, annotation DESC LIMIT $rows_max
)
SELECT left(e.example_id, {NAME_MAX}) AS example_id, left(w.name, {NAME_MAX}) AS annotator,
    left(g.label, {NAME_MAX}) AS given_label, l.score, t.committed_at AS found_at
FROM latest l
JOIN store.annotation a USING (annotation)
JOIN store.example e ON e.example = a.example
JOIN store.annotator w ON w.annotator = a.annotator
JOIN store.txn t ON t.txn_id = l.txn_id
LEFT JOIN store.class g ON g.class = a.given
ORDER BY l.txn_id DESC, l.annotation DESC
"""  # noqa: S608 - our own numbers

SHORT_URI: Final = (
    # Half a picture is none, and an address with an ellipsis is no picture's.
    f"CASE WHEN length(uri) <= {PICTURE_MAX} THEN uri ELSE left(uri, {NAME_MAX}) || '…' END"
)
NEXT: Final = f"""
WITH next AS MATERIALIZED (
    SELECT example, left(example_id, {NAME_MAX}) AS example_id, left(consensus_label, {NAME_MAX}) AS label,
        consensus_quality, annotation_count, is_disputed, active_learning_score AS score
    FROM store.candidate c ORDER BY c.active_learning_score, c.example_id LIMIT $rows_max
),
content AS (
    SELECT a.example, arg_min(left(d.text, {NAME_MAX}), d.annotation) AS text,
        arg_min({SHORT_URI}, d.annotation) AS uri
    FROM next JOIN store.annotation a USING (example)
    ANTI JOIN store.retracted r USING (annotation)
    JOIN store.annotation_detail d USING (annotation)
    WHERE a.given >= 0
    GROUP BY a.example
)
SELECT n.*, c.text, c.uri FROM next n LEFT JOIN content c USING (example) ORDER BY n.score, n.example_id
"""  # noqa: S608 - our own numbers
"""What to label next, with the text and the picture or link of the first label that has them."""

PRECISION: Final = """
SELECT method, reviewed_count, confirmed_count, precision FROM flag_precision WHERE given_label IS NULL
ORDER BY method = 'any', method
"""

DUPLICATES: Final = f"""
SELECT set_id, bool_or(kind = 'conflicting_labels') AS is_conflicting,
    count(DISTINCT example_id) AS example_count,
    list_slice(list_sort(list(DISTINCT left(example_id, {NAME_MAX}))), 1, 4) AS examples,
    count(*) OVER () AS set_count
FROM duplicates
GROUP BY set_id
ORDER BY is_conflicting DESC, example_count DESC, set_id
LIMIT $rows_max
"""  # noqa: S608 - our own number

ANNOTATORS: Final = f"""
SELECT left(w.name, {NAME_MAX}) AS annotator, r.annotation_count, r.consensus_issue_count, r.error_rate,
    r.error_rate_low, r.error_rate_high, count(*) OVER () AS annotator_count
FROM store.annotator_rating r
JOIN store.annotator w USING (annotator)
ORDER BY r.error_rate DESC, w.name
LIMIT $rows_max
"""  # noqa: S608 - our own number
"""Those with the highest error rates, from what is stored of them. The view counts all labels: it is dear."""

ALL_ANNOTATORS: Final = f"""
SELECT * REPLACE (
        left(annotator, {NAME_MAX}) AS annotator, left(worst_class, {NAME_MAX}) AS worst_class,
        left(confused_given, {NAME_MAX}) AS confused_given, left(confused_with, {NAME_MAX}) AS confused_with
    ), count(*) OVER () AS annotator_count
FROM annotators
ORDER BY error_rate DESC NULLS LAST, annotators.annotator
LIMIT $rows_max
"""  # noqa: S608 - our own number

REASONS: Final = """
SELECT reason, count(*) AS letter_count, (sum(count(*)) OVER ())::BIGINT AS total FROM store.dead_letter
GROUP BY reason ORDER BY letter_count DESC, reason LIMIT $rows_max
"""

LETTERS: Final = f"""
SELECT left(p.topic, {NAME_MAX}) AS topic, p.number AS kafka_partition, d.position AS kafka_offset,
    d.reason, left(d.error, {NAME_MAX}) AS error, t.committed_at AS first_seen_at
FROM (
    SELECT txn_id, source, position, reason, error FROM store.dead_letter
    ORDER BY txn_id DESC, source, position DESC LIMIT $rows_max
) d
JOIN store.partition p USING (source)
JOIN store.txn t ON t.txn_id = d.txn_id
ORDER BY d.txn_id DESC, d.source, d.position DESC
"""  # noqa: S608 - our own number

_BY_ANNOTATOR: Final = """\
SELECT annotator, annotation_count, label_issue_count, round(error_rate, 3) AS error_rate,
    round(error_rate_low, 3) AS low, round(error_rate_high, 3) AS high, worst_class
FROM annotators ORDER BY error_rate DESC"""
_BY_LABELS: Final = """\
SELECT given_label, suggested_label, count(*) AS issues
FROM label_issues GROUP BY ALL ORDER BY issues DESC"""
_LATEST: Final = """\
SELECT found_at, kind, action, cause, example_id, score
FROM findings ORDER BY found_at DESC LIMIT 50"""
_VIEWS: Final = """\
SELECT view_name, comment FROM duckdb_views()
WHERE NOT internal AND schema_name = 'main' ORDER BY view_name"""
EXAMPLES: Final = (
    ("Annotators by error rate", _BY_ANNOTATOR),
    ("Most frequent confusions", _BY_LABELS),
    ("Latest findings", _LATEST),
    ("What there is to ask", _VIEWS),
)
"""Queries to begin with: what each is about, and its text."""
