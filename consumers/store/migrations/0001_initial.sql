-- The schema. Files here are never edited, only added.
-- Facts and state live in schema `store` and are private; the views in `main` are the public contract.
-- In steady state tables see only INSERT, or DELETE and INSERT of a few rows, and have no indexes:
-- an UPDATE or an index would block checkpoints while anybody reads.
CREATE SCHEMA store;

-- One row a commit. A txn_id stands on every row that a commit wrote.
CREATE TABLE store.txn (txn_id BIGINT, committed_at TIMESTAMP);
-- Settings that shape state, and counters. Values are JSON.
CREATE TABLE store.setting (name VARCHAR, value VARCHAR);
CREATE TABLE store.counter (name VARCHAR, value BIGINT);

-- Numbers for things that come again and again.
CREATE TABLE store.partition (source INTEGER, topic VARCHAR, number INTEGER);
CREATE TABLE store.position (source INTEGER, next_offset BIGINT, fingerprint VARCHAR);
CREATE TABLE store.class (class SMALLINT, label VARCHAR);
CREATE TABLE store.annotator (annotator INTEGER, name VARCHAR);
CREATE TABLE store.model_version (stratum INTEGER, name VARCHAR);

-- The newest write of each annotation ever named. A deletion has given = -1.
CREATE TABLE store.annotation (
    annotation INTEGER, annotation_id VARCHAR, id_low UBIGINT, id_high UBIGINT,
    example INTEGER, annotator INTEGER, given SMALLINT,
    revision BIGINT, time_us BIGINT, source INTEGER, position BIGINT,
    content_low UBIGINT, content_high UBIGINT,
    text VARCHAR, content_hash VARCHAR, embedding BLOB, uri VARCHAR, metadata VARCHAR,
    is_gold BOOLEAN, expected_label VARCHAR, lead_time_s DOUBLE, txn_id BIGINT
);
-- The current prediction of each example ever named; stratum = -1 where there is none.
-- Units are probabilities times 2^30. A row may be shorter than the class list: the rest is 0.
CREATE TABLE store.example (
    example INTEGER, example_id VARCHAR, id_low UBIGINT, id_high UBIGINT,
    stratum INTEGER, units UINTEGER[], is_truncated BOOLEAN,
    revision BIGINT, time_us BIGINT, source INTEGER, position BIGINT, txn_id BIGINT
);
-- Newer writes that repeated an example's prediction: only the key moved on.
CREATE TABLE store.prediction_key (
    example INTEGER, revision BIGINT, time_us BIGINT, source INTEGER, position BIGINT
);
-- Deletions of an example (annotator = -1) or of one annotator's part of it: older writes stay dead.
CREATE TABLE store.marker (
    example INTEGER, annotator INTEGER, revision BIGINT, time_us BIGINT, source INTEGER, position BIGINT
);
-- Annotations whose newest write is covered by a newer marker.
CREATE TABLE store.retracted (annotation INTEGER);

-- State that follows from the facts above; kept so that reading is cheap, checked when it is loaded.
CREATE TABLE store.verdict (example INTEGER, suggested SMALLINT);
CREATE TABLE store.flag (kind VARCHAR, annotation INTEGER, score DOUBLE, txn_id BIGINT);
CREATE TABLE store.class_statistics (
    stratum INTEGER, class SMALLINT, annotation_count BIGINT, self_confidence_sum BIGINT,
    class_threshold DOUBLE, label_issue_count BIGINT
);
CREATE TABLE store.joint (stratum INTEGER, given SMALLINT, suggested SMALLINT, annotation_count BIGINT);

CREATE TABLE store.finding (
    txn_id BIGINT, kind VARCHAR, action VARCHAR, cause VARCHAR, annotation INTEGER, score DOUBLE
);
CREATE TABLE store.dead_letter (
    source INTEGER, position BIGINT, record_key BLOB, time_us BIGINT, value BLOB, is_null BOOLEAN,
    size BIGINT, sha256 VARCHAR, reason VARCHAR, error VARCHAR, txn_id BIGINT
);
CREATE TABLE store.review (
    source INTEGER, position BIGINT, revision BIGINT, time_us BIGINT, example_id VARCHAR,
    annotation_id VARCHAR, annotator VARCHAR, outcome VARCHAR, label VARCHAR, txn_id BIGINT
);

CREATE VIEW store.live AS
SELECT a.*, e.example_id, e.stratum, e.units, e.is_truncated, a.given + 1 AS given_at,
    coalesce(e.units[a.given + 1], 0) AS self_units
FROM store.annotation a
JOIN store.example e USING (example)
ANTI JOIN store.retracted r USING (annotation)
WHERE a.given >= 0 AND e.stratum >= 0;

CREATE VIEW annotations AS
SELECT
    a.annotation_id,
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
    a.text,
    a.uri,
    a.metadata::JSON AS metadata,
    a.is_gold,
    a.expected_label,
    a.lead_time_s,
    o.topic,
    o.number AS kafka_partition,
    a.position AS kafka_offset,
    a.txn_id
FROM store.live a
JOIN store.annotator w USING (annotator)
JOIN store.class g ON g.class = a.given
JOIN store.class p ON p.class = list_position(a.units, list_max(a.units)) - 1
JOIN store.verdict v USING (example)
LEFT JOIN store.class s ON s.class = v.suggested
JOIN store.model_version m USING (stratum)
JOIN store.partition o USING (source)
JOIN store.txn t ON t.txn_id = a.txn_id
LEFT JOIN store.flag f ON f.annotation = a.annotation AND f.kind = 'label_issue';
COMMENT ON VIEW annotations IS 'One row per live annotation: its newest label, judged by the current prediction of its example. Times are UTC. pred_probs follow the order of the class list.';

CREATE VIEW label_issues AS
SELECT a.* EXCLUDE (is_label_issue)
FROM annotations a
WHERE a.is_label_issue
ORDER BY a.label_score, a.annotation_id;
COMMENT ON VIEW label_issues IS 'One row per annotation that is suspect now, most suspect first.';

CREATE VIEW pending AS
SELECT
    a.annotation_id, e.example_id, w.name AS annotator, g.label AS given_label, t.committed_at AS since
FROM store.annotation a
JOIN store.example e USING (example)
ANTI JOIN store.retracted r USING (annotation)
JOIN store.annotator w USING (annotator)
JOIN store.class g ON g.class = a.given
JOIN store.txn t ON t.txn_id = a.txn_id
WHERE e.stratum < 0;
COMMENT ON VIEW pending IS 'One row per annotation that waits for a prediction of its example; in no statistic.';

CREATE VIEW predictions AS
SELECT
    e.example_id,
    nullif(m.name, '') AS model_version,
    p.label AS predicted_label,
    list_transform(
        list_resize(e.units, (SELECT count(*) FROM store.class), 0), lambda u: u / 1073741824
    ) AS pred_probs
FROM store.example e
JOIN store.model_version m USING (stratum)
JOIN store.class p ON p.class = list_position(e.units, list_max(e.units)) - 1;
COMMENT ON VIEW predictions IS 'One row per example with a current prediction, labelled or not.';

CREATE VIEW classes AS
SELECT
    c.label,
    coalesce(s.annotation_count, 0) AS annotation_count,
    coalesce(s.class_threshold, 2) AS class_threshold,
    coalesce(s.label_issue_count, 0) AS label_issue_count,
    nullif(m.name, '') AS model_version
FROM store.model_version m
SEMI JOIN store.class_statistics u USING (stratum)
CROSS JOIN store.class c
LEFT JOIN store.class_statistics s ON s.stratum = m.stratum AND s.class = c.class
ORDER BY m.stratum, c.class;
COMMENT ON VIEW classes IS 'One row per class and model version, in the order of the class list. A class without annotations has the unreachable threshold 2.';

CREATE VIEW confident_joint AS
SELECT
    g.label AS given_label, s.label AS suggested_label, j.annotation_count, nullif(m.name, '') AS model_version
FROM store.joint j
JOIN store.class g ON g.class = j.given
JOIN store.class s ON s.class = j.suggested
JOIN store.model_version m USING (stratum)
WHERE j.annotation_count > 0
ORDER BY j.stratum, j.given, j.suggested;
COMMENT ON VIEW confident_joint IS 'Counts of annotations by given and suggested label, per model version; zero cells are left out.';

CREATE VIEW duplicates AS
SELECT DISTINCT
    a.example_id,
    f.score,
    printf('%016x%016x', a.content_high, a.content_low) AS set_id,
    f.kind
FROM store.flag f
JOIN store.live a ON a.annotation = f.annotation
WHERE f.kind IN ('exact_duplicate', 'conflicting_labels');
COMMENT ON VIEW duplicates IS 'One row per example that shares its content with another (exact_duplicate), and again where the given labels of such a set differ (conflicting_labels). Examples of one set have one set_id.';

CREATE VIEW findings AS
SELECT
    md5(concat_ws(' ', f.txn_id, f.kind, a.annotation_id)) AS finding_id,
    f.kind, f.action, f.cause, e.example_id, a.annotation_id, f.score, f.txn_id, t.committed_at AS found_at
FROM store.finding f
JOIN store.annotation a ON a.annotation = f.annotation
LEFT JOIN store.example e ON e.example = a.example
JOIN store.txn t ON t.txn_id = f.txn_id;
COMMENT ON VIEW findings IS 'One row per change of a flag, in commits: raised, changed or cleared, and why.';

CREATE VIEW dead_letters AS
SELECT
    p.topic, p.number AS kafka_partition, d.position AS kafka_offset, d.reason, d.error, d.value,
    t.committed_at AS first_seen_at, d.record_key AS key, d.size AS value_size, d.sha256 AS value_sha256
FROM store.dead_letter d
JOIN store.partition p USING (source)
JOIN store.txn t ON t.txn_id = d.txn_id;
COMMENT ON VIEW dead_letters IS 'One row per record that could not be used, with its bytes: whole up to 1 MiB, else the beginning, the size and the SHA-256.';

CREATE VIEW offsets AS
SELECT p.topic, p.number AS kafka_partition, s.next_offset
FROM store.position s
JOIN store.partition p USING (source);
COMMENT ON VIEW offsets IS 'One row per topic partition or file: the next record to read.';
