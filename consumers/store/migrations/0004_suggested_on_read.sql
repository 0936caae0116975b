-- The suggested label is computed when it is read. It follows from units and thresholds, which are in one
-- transaction; a stored one cost a scan of all of them whenever a threshold moved.
DROP VIEW label_issues;
DROP VIEW annotations;
DROP VIEW store.detailed;
DROP TABLE store.verdict;

-- The least units with which an example is confident of each class: the class threshold with cleanlab's
-- slack, and more than there can be where a class has no annotation. And what decides between several.
CREATE VIEW store.cuts AS
SELECT m.stratum, any_value(o.collision) AS collision, list(k.label ORDER BY k.class) AS labels,
    list(coalesce(ceil((c.class_threshold - 1e-6) * 1073741824), 2147483648)::UINTEGER ORDER BY k.class) AS cuts
FROM store.model_version m
CROSS JOIN store.class k
CROSS JOIN (SELECT max(value ->> 'collision') AS collision FROM store.setting WHERE name = 'shape') o
LEFT JOIN store.class_statistics c ON c.stratum = m.stratum AND c.class = k.class
GROUP BY m.stratum;

-- A class number, or NULL where no class is confident. Where several are, cleanlab takes the most probable
-- class of all, the paper the first of the most probable confident ones.
CREATE MACRO store.suggested(units, cuts, collision) AS list_transform(
    [list_filter(range(len(units)), lambda k: units[k + 1] >= cuts[k + 1])],
    lambda classes: CASE
        WHEN len(classes) < 2 THEN classes[1]
        WHEN collision = 'cleanlab' THEN list_position(units, list_max(units)) - 1
        ELSE list_reduce(classes, lambda a, b: CASE WHEN units[b + 1] > units[a + 1] THEN b ELSE a END)
    END
)[1];

-- The view `annotations`, and what only an export wants to know.
CREATE VIEW store.detailed AS
SELECT
    store.named(a.annotation_id, a.example_id, w.name) AS annotation_id,
    a.example_id,
    w.name AS annotator,
    u.labels[a.given_at] AS given_label,
    u.labels[list_position(a.units, list_max(a.units))] AS predicted_label,
    u.labels[store.suggested(a.units, u.cuts, u.collision) + 1] AS suggested_label,
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
JOIN store.cuts u USING (stratum)
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
