-- What few annotations carry moves to a table of its own, so that every other one costs less to write,
-- and an annotation_id that only repeats example and annotator is no longer stored.
DROP VIEW label_issues;
DROP VIEW annotations;
DROP VIEW pending;
DROP VIEW duplicates;
DROP VIEW findings;
DROP VIEW store.live;

-- One row per annotation that has any of it.
CREATE TABLE store.annotation_detail (
    annotation INTEGER, content_low UBIGINT, content_high UBIGINT,
    text VARCHAR, content_hash VARCHAR, embedding BLOB, uri VARCHAR, metadata VARCHAR,
    is_gold BOOLEAN, expected_label VARCHAR, lead_time_s DOUBLE
);
INSERT INTO store.annotation_detail
SELECT
    annotation, content_low, content_high, text, content_hash, embedding, uri, metadata,
    is_gold, expected_label, lead_time_s
FROM store.annotation
WHERE content_low IS NOT NULL OR text IS NOT NULL OR content_hash IS NOT NULL OR embedding IS NOT NULL
    OR uri IS NOT NULL OR metadata IS NOT NULL OR is_gold IS NOT NULL OR expected_label IS NOT NULL
    OR lead_time_s IS NOT NULL
ORDER BY annotation;
ALTER TABLE store.annotation DROP COLUMN content_low;
ALTER TABLE store.annotation DROP COLUMN content_high;
ALTER TABLE store.annotation DROP COLUMN text;
ALTER TABLE store.annotation DROP COLUMN content_hash;
ALTER TABLE store.annotation DROP COLUMN embedding;
ALTER TABLE store.annotation DROP COLUMN uri;
ALTER TABLE store.annotation DROP COLUMN metadata;
ALTER TABLE store.annotation DROP COLUMN is_gold;
ALTER TABLE store.annotation DROP COLUMN expected_label;
ALTER TABLE store.annotation DROP COLUMN lead_time_s;

-- Without an annotation_id of its own an annotation is the one that its annotator has for its example.
CREATE MACRO store.named(annotation_id, example_id, annotator) AS
    coalesce(annotation_id, example_id || chr(31) || annotator);

CREATE VIEW store.live AS
SELECT a.*, e.example_id, e.stratum, e.units, e.is_truncated, a.given + 1 AS given_at,
    coalesce(e.units[a.given + 1], 0) AS self_units
FROM store.annotation a
JOIN store.example e USING (example)
ANTI JOIN store.retracted r USING (annotation)
WHERE a.given >= 0 AND e.stratum >= 0;

-- The view `annotations`, and what only an export wants to know.
CREATE VIEW store.detailed AS
SELECT
    store.named(a.annotation_id, a.example_id, w.name) AS annotation_id,
    a.example_id,
    w.name AS annotator,
    g.label AS given_label,
    p.label AS predicted_label,
    s.label AS suggested_label,
    a.self_units / 1073741824 AS self_confidence,
    (
        a.self_units::BIGINT
        - coalesce(list_max(list_concat(a.units[: a.given_at - 1], a.units[a.given_at + 1 :])), 0)
        + 1073741824
    ) / 2147483648 AS normalized_margin,
    a.self_units / 1073741824 AS label_score,
    f.annotation IS NOT NULL AS is_label_issue,
    list_transform(
        list_resize(a.units, (SELECT count(*) FROM store.class), 0), lambda u: u / 1073741824
    ) AS pred_probs,
    a.is_truncated,
    nullif(m.name, '') AS model_version,
    nullif(a.revision, -1) AS revision,
    make_timestamp(nullif(a.time_us, 0)) AS annotated_at,
    t.committed_at AS ingested_at,
    d.text,
    d.uri,
    d.metadata::JSON AS metadata,
    d.is_gold,
    d.expected_label,
    d.lead_time_s,
    o.topic,
    o.number AS kafka_partition,
    a.position AS kafka_offset,
    a.txn_id,
    a.annotation,
    d.content_hash,
    d.embedding
FROM store.live a
JOIN store.annotator w USING (annotator)
JOIN store.class g ON g.class = a.given
JOIN store.class p ON p.class = list_position(a.units, list_max(a.units)) - 1
JOIN store.verdict v USING (example)
LEFT JOIN store.class s ON s.class = v.suggested
JOIN store.model_version m USING (stratum)
JOIN store.partition o USING (source)
JOIN store.txn t ON t.txn_id = a.txn_id
LEFT JOIN store.annotation_detail d ON d.annotation = a.annotation
LEFT JOIN store.flag f ON f.annotation = a.annotation AND f.kind = 'label_issue';

CREATE VIEW annotations AS
SELECT * EXCLUDE (annotation, content_hash, embedding)
FROM store.detailed;
COMMENT ON VIEW annotations IS 'One row per live annotation: its newest label, judged by the current prediction of its example. Times are UTC. pred_probs follow the order of the class list.';

CREATE VIEW label_issues AS
SELECT a.* EXCLUDE (is_label_issue)
FROM annotations a
WHERE a.is_label_issue
ORDER BY a.label_score, a.annotation_id;
COMMENT ON VIEW label_issues IS 'One row per annotation that is suspect now, most suspect first.';

CREATE VIEW pending AS
SELECT
    store.named(a.annotation_id, e.example_id, w.name) AS annotation_id, e.example_id,
    w.name AS annotator, g.label AS given_label, t.committed_at AS since
FROM store.annotation a
JOIN store.example e USING (example)
ANTI JOIN store.retracted r USING (annotation)
JOIN store.annotator w USING (annotator)
JOIN store.class g ON g.class = a.given
JOIN store.txn t ON t.txn_id = a.txn_id
WHERE e.stratum < 0;
COMMENT ON VIEW pending IS 'One row per annotation that waits for a prediction of its example; in no statistic.';

CREATE VIEW duplicates AS
SELECT DISTINCT
    a.example_id,
    f.score,
    printf('%016x%016x', d.content_high, d.content_low) AS set_id,
    f.kind
FROM store.flag f
JOIN store.live a ON a.annotation = f.annotation
JOIN store.annotation_detail d ON d.annotation = f.annotation
WHERE f.kind IN ('exact_duplicate', 'conflicting_labels');
COMMENT ON VIEW duplicates IS 'One row per example that shares its content with another (exact_duplicate), and again where the given labels of such a set differ (conflicting_labels). Examples of one set have one set_id.';

CREATE VIEW findings AS
SELECT
    md5(concat_ws(' ', f.txn_id, f.kind, i.annotation_id)) AS finding_id,
    f.kind, f.action, f.cause, i.example_id, i.annotation_id, f.score, f.txn_id, t.committed_at AS found_at
FROM store.finding f
JOIN (
    SELECT a.annotation, e.example_id, store.named(a.annotation_id, e.example_id, w.name) AS annotation_id
    FROM store.annotation a
    LEFT JOIN store.example e USING (example)
    LEFT JOIN store.annotator w USING (annotator)
) i USING (annotation)
JOIN store.txn t ON t.txn_id = f.txn_id;
COMMENT ON VIEW findings IS 'One row per change of a flag, in commits: raised, changed or cleared, and why.';
