-- What the posterior of an example is made of, for an explanation.
CREATE VIEW store.weight AS SELECT store.model_weight() AS model_weight;
CREATE VIEW store.vote AS
SELECT
    a.annotation, store.named(a.annotation_id, a.example_id, w.name) AS annotation_id, a.example_id,
    a.annotator, w.name, a.given, a.units, a.label_quality, a.consensus, a.consensus_quality
FROM store.judged a
JOIN store.annotator w USING (annotator);

-- The live annotations that each review is about, as they were when it was read: a correction that follows
-- changes label and flags. A flag that goes with the very commit of the review still counts as one.
CREATE TABLE store.reviewed (
    source INTEGER, position BIGINT, annotation INTEGER, given_label VARCHAR,
    is_label_issue BOOLEAN, is_consensus_issue BOOLEAN
);

CREATE VIEW flag_precision AS
WITH flagged AS (
    SELECT v.*, unnest(
            list_filter(
                [
                    CASE WHEN v.is_label_issue THEN 'confident_learning' END,
                    CASE WHEN v.is_consensus_issue THEN 'consensus' END,
                    CASE WHEN v.is_label_issue OR v.is_consensus_issue THEN 'any' END
                ],
                lambda method: method IS NOT NULL
            )
        ) AS method
    FROM store.reviewed v
),
newest AS (
    SELECT f.method, f.given_label, r.outcome <> 'accepted' AS is_confirmed
    FROM flagged f
    JOIN store.review r USING (source, position)
    QUALIFY row_number() OVER (
        PARTITION BY f.method, f.annotation, f.given_label
        ORDER BY r.revision DESC, r.time_us DESC, r.source DESC, r.position DESC
    ) = 1
)
SELECT
    method, given_label, count(*) AS reviewed_count, count(*) FILTER (is_confirmed) AS confirmed_count,
    confirmed_count / reviewed_count AS precision
FROM newest
GROUP BY GROUPING SETS ((method), (method, given_label))
ORDER BY method, given_label NULLS FIRST;

COMMENT ON VIEW flag_precision IS 'One row per method, and one per method and given label: how often reviews found that a flag was right. Of several reviews of one label the newest counts.';
COMMENT ON COLUMN flag_precision.method IS 'Whose flag it was: confident_learning, consensus, or any, which is at least one of them.';
COMMENT ON COLUMN flag_precision.given_label IS 'The label that was flagged, as it was when it was reviewed; NULL in the row of all labels together.';
COMMENT ON COLUMN flag_precision.reviewed_count IS 'Flagged labels that were reviewed while the flag stood.';
COMMENT ON COLUMN flag_precision.confirmed_count IS 'How many of them were wrong: rejected, or fixed.';
COMMENT ON COLUMN flag_precision.precision IS 'Their share.';
