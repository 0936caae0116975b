-- Who labels, and how well. What is estimated comes from store.annotator_rating; all else is counted here, in one
-- pass over the live annotations, most of it from their counts by annotator, given and consensus label.
CREATE VIEW annotators AS
WITH judged AS MATERIALIZED (
    SELECT
        a.annotator, a.annotation, a.given, a.time_us, a.txn_id,
        store.said(v.consensus, v.annotation, a.annotation) AS consensus,
        store.said(v.label_quality, v.annotation, a.annotation) < 0.5 AS is_issue,
        a.given = store.said(v.consensus, v.annotation, a.annotation) AS is_consensus,
        a.given = e.predicted AS is_predicted
    FROM store.annotation a
    JOIN (
        SELECT example, (list_position(units, list_max(units)) - 1)::SMALLINT AS predicted
        FROM store.example WHERE stratum >= 0
    ) e USING (example)
    ANTI JOIN store.retracted r USING (annotation)
    LEFT JOIN store.opinion v ON v.block = store.block(a.example)
    WHERE a.given >= 0
),
cell AS MATERIALIZED (
    SELECT
        annotator, given, consensus, count(*) AS label_count, count(*) FILTER (is_issue) AS issue_count,
        count(*) FILTER (is_consensus) AS consensus_count, count(consensus) AS known_count,
        count(*) FILTER (is_predicted) AS predicted_count, max(time_us) AS time_us, max(txn_id) AS txn_id
    FROM judged GROUP BY ALL
),
total AS (
    SELECT
        annotator, sum(label_count)::BIGINT AS annotation_count, sum(issue_count)::BIGINT AS consensus_issue_count,
        sum(consensus_count) / nullif(sum(known_count), 0) AS agreement_with_consensus,
        sum(predicted_count) / sum(label_count) AS agreement_with_model,
        max(time_us) AS time_us, max(txn_id) AS txn_id
    FROM cell GROUP BY ALL
),
worst AS (
    SELECT annotator, first(label ORDER BY issue_count / label_count DESC, label_count DESC, label) AS label
    FROM (
        SELECT annotator, given AS class, sum(label_count) AS label_count, sum(issue_count) AS issue_count
        FROM cell GROUP BY ALL HAVING sum(issue_count) > 0
    )
    JOIN store.class USING (class)
    GROUP BY ALL
),
confused AS (
    SELECT annotator,
        first({'given': g.label, 'consensus': k.label} ORDER BY label_count DESC, g.label, k.label) AS pair
    FROM cell c
    JOIN store.class g ON g.class = c.given
    JOIN store.class k ON k.class = c.consensus
    WHERE c.given <> c.consensus
    GROUP BY ALL
),
flagged AS (
    SELECT annotator, count(*) AS label_issue_count
    FROM store.flag f JOIN judged j USING (annotation)
    WHERE f.kind = 'label_issue' GROUP BY ALL
),
worked AS (
    SELECT annotator, hour, max(hour) OVER (PARTITION BY annotator) - hour AS hours_ago, count(*) AS label_count
    FROM (SELECT annotator, time_us // 3600000000 AS hour FROM judged WHERE time_us <> 0)
    GROUP BY annotator, hour
),
pace AS (
    SELECT annotator, sum(label_count) / count(*) AS labels_per_hour FROM worked WHERE hours_ago < 24 GROUP BY ALL
),
detailed AS MATERIALIZED (
    SELECT j.annotator, d.lead_time_s, d.expected_label = k.label AS is_right
    FROM judged j
    JOIN store.annotation_detail d USING (annotation)
    LEFT JOIN store.class k ON k.class = j.given AND d.is_gold AND d.expected_label IS NOT NULL
    WHERE d.lead_time_s IS NOT NULL OR d.is_gold
),
own AS MATERIALIZED (
    SELECT annotator, median(lead_time_s) AS lead_time_s, count(is_right) AS gold_count,
        avg(is_right::INT) AS gold_accuracy
    FROM detailed GROUP BY ALL
),
fast AS (
    SELECT annotator, avg((d.lead_time_s < u.lead_time_s / 3)::INT) AS too_fast_share
    FROM detailed d CROSS JOIN (SELECT median(lead_time_s) AS lead_time_s FROM own) u
    WHERE d.lead_time_s IS NOT NULL GROUP BY ALL
),
place AS (
    SELECT source, row_number() OVER (
        ORDER BY contains(topic, ':') DESC, CASE WHEN NOT contains(topic, ':') THEN topic END,
            CASE WHEN NOT contains(topic, ':') THEN number END, source
    ) AS place
    FROM store.partition
),
reviewed AS (
    SELECT a.annotator, arg_max(r.outcome, (r.revision, r.time_us, p.place, r.position)) AS outcome
    FROM store.review r
    JOIN place p USING (source)
    JOIN store.example e USING (example_id)
    JOIN store.annotation a USING (example)
    JOIN store.annotator w ON w.annotator = a.annotator
    WHERE coalesce(r.annotator = w.name, true)
        AND coalesce(r.annotation_id = store.named(a.annotation_id, e.example_id, w.name), true)
    GROUP BY a.annotation, a.annotator
    HAVING a.annotation IN (SELECT annotation FROM store.finding WHERE kind IN ('label_issue', 'consensus_issue'))
),
confirmed AS (
    SELECT annotator, count(*) AS review_count, avg((outcome <> 'accepted')::INT) AS confirmed_share
    FROM reviewed GROUP BY ALL
)
SELECT
    w.name AS annotator,
    t.annotation_count,
    coalesce(f.label_issue_count, 0) AS label_issue_count,
    t.consensus_issue_count,
    g.error_rate,
    g.error_rate_low,
    g.error_rate_high,
    g.annotator_quality,
    t.agreement_with_consensus,
    t.agreement_with_model,
    o.label AS worst_class,
    c.pair.given AS confused_given,
    c.pair.consensus AS confused_with,
    p.labels_per_hour,
    d.lead_time_s,
    s.too_fast_share,
    coalesce(d.gold_count, 0) AS gold_count,
    d.gold_accuracy,
    coalesce(r.review_count, 0) AS review_count,
    r.confirmed_share,
    coalesce(make_timestamp(nullif(t.time_us, 0)), x.committed_at) AS last_seen_at
FROM total t
JOIN store.annotator w USING (annotator)
JOIN store.txn x USING (txn_id)
LEFT JOIN store.annotator_rating g USING (annotator)
LEFT JOIN worst o USING (annotator)
LEFT JOIN confused c USING (annotator)
LEFT JOIN flagged f USING (annotator)
LEFT JOIN pace p USING (annotator)
LEFT JOIN own d USING (annotator)
LEFT JOIN fast s USING (annotator)
LEFT JOIN confirmed r USING (annotator);

COMMENT ON VIEW annotators IS 'One row per annotator with live annotations. A person, a model or a rule: whatever the events name. Those that name none are one row, unknown.';
COMMENT ON COLUMN annotators.annotator IS 'The name that was sent; unknown where none was.';
COMMENT ON COLUMN annotators.annotation_count IS 'Live annotations.';
COMMENT ON COLUMN annotators.label_issue_count IS 'How many of them confident learning suspects.';
COMMENT ON COLUMN annotators.consensus_issue_count IS 'How many of them have a label_quality below a half.';
COMMENT ON COLUMN annotators.error_rate IS 'Estimated share of wrong labels: consensus issues, drawn towards the share of everybody where labels are few. NULL until it is first computed, at most a second after a commit.';
COMMENT ON COLUMN annotators.error_rate_low IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN annotators.error_rate_high IS 'Upper end of it.';
COMMENT ON COLUMN annotators.annotator_quality IS 'Mean probability that a label of theirs is right, drawn in the same way.';
COMMENT ON COLUMN annotators.agreement_with_consensus IS 'Share of the labels that are the consensus label of their example.';
COMMENT ON COLUMN annotators.agreement_with_model IS 'Share of the labels that are the predicted label of their example.';
COMMENT ON COLUMN annotators.worst_class IS 'The given label with the largest share of consensus issues, of several the one with more labels; NULL without issues.';
COMMENT ON COLUMN annotators.confused_given IS 'With confused_with the most frequent pair of a given label and another consensus label; NULL without one.';
COMMENT ON COLUMN annotators.confused_with IS 'The consensus label of that pair.';
COMMENT ON COLUMN annotators.labels_per_hour IS 'Labels per hour of the clock in which there were any, over the 24 hours up to the newest; NULL without times.';
COMMENT ON COLUMN annotators.lead_time_s IS 'Median of the seconds spent on a label; NULL where none was sent.';
COMMENT ON COLUMN annotators.too_fast_share IS 'Share of labels with lead times below a third of what is usual: of the median of all annotators'' lead_time_s. NULL where none was sent.';
COMMENT ON COLUMN annotators.gold_count IS 'Labels with is_gold and an expected_label.';
COMMENT ON COLUMN annotators.gold_accuracy IS 'Share of those that are the expected one. Each is compared with what came with it, even where others expect another label; NULL without any.';
COMMENT ON COLUMN annotators.review_count IS 'Labels that were reviewed and, at any time, a label issue or a consensus issue.';
COMMENT ON COLUMN annotators.confirmed_share IS 'Share of those that the newest review found wrong: rejected or fixed. NULL without any.';
COMMENT ON COLUMN annotators.last_seen_at IS 'Time of the newest label, or of its commit where none has a time. UTC.';
