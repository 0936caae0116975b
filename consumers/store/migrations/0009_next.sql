-- What to label next: every example that a model has judged, labelled or not.

-- The probability of the most probable class where only the model is asked: as monitor/statistics/posterior.py
-- has it of an example without labels. No probability is below 1e-6, also of classes beyond the end of the units.
-- `best` is the highest of the units; powers of its shares do not get too small to add.
CREATE MACRO store.model_quality(units, best, weight, class_count) AS
    1 / (
        list_sum(list_transform(units, lambda u: (greatest(u, 1073.741824) / best) ** weight))
        + (class_count - len(units)) * (1073.741824 / best) ** weight
    );

-- In no order, and with the example's number. What was not judged with its labels yet has the model's word.
CREATE VIEW store.candidate AS
SELECT
    c.example,
    c.example_id,
    store.learning_score(c.consensus_quality, c.annotation_count) AS active_learning_score,
    k.label AS consensus_label,
    c.consensus_quality,
    c.annotation_count,
    c.is_disputed,
    nullif(m.name, '') AS model_version
FROM (
    SELECT
        e.example, e.example_id, e.stratum,
        coalesce(l.consensus, list_position(e.units, e.best) - 1) AS consensus,
        coalesce(l.consensus_quality, store.model_quality(e.units, e.best, coalesce(w.model_weight, o.weight), o.class_count))
            AS consensus_quality,
        coalesce(l.annotation_count, 0) AS annotation_count,
        coalesce(l.is_disputed, false) AS is_disputed
    FROM (SELECT *, list_max(units) AS best FROM store.example WHERE stratum >= 0) e
    CROSS JOIN (SELECT store.model_weight() AS weight, (SELECT count(*) FROM store.class) AS class_count) o
    LEFT JOIN store.class_weight w ON w.class = list_position(e.units, e.best) - 1
    LEFT JOIN (
        SELECT
            a.example, count(*) AS annotation_count, min(a.given) <> max(a.given) AS is_disputed,
            any_value(store.said(v.consensus, v.annotation, a.annotation)) AS consensus,
            any_value(store.said(v.consensus_quality, v.annotation, a.annotation))::DOUBLE AS consensus_quality
        FROM store.annotation a
        ANTI JOIN store.retracted r USING (annotation)
        LEFT JOIN store.opinion v ON v.block = store.block(a.example)
        WHERE a.given >= 0
        GROUP BY a.example
    ) l USING (example)
) c
JOIN store.model_version m USING (stratum)
LEFT JOIN store.class k ON k.class = c.consensus;

CREATE VIEW next_labels AS
SELECT * EXCLUDE (example) FROM store.candidate ORDER BY active_learning_score, example_id;
COMMENT ON VIEW next_labels IS 'One row per example with a prediction, labelled or not, best labelled next first: where one more label would tell most.';
COMMENT ON COLUMN next_labels.example_id IS 'The thing to label.';
COMMENT ON COLUMN next_labels.active_learning_score IS 'Between 0 and 1: low where the best label is not sure, and few labels stand behind it.';
COMMENT ON COLUMN next_labels.consensus_label IS 'The most probable class, given the model and all labels.';
COMMENT ON COLUMN next_labels.consensus_quality IS 'Its probability.';
COMMENT ON COLUMN next_labels.annotation_count IS 'Live annotations of the example; 0 where it has no label yet.';
COMMENT ON COLUMN next_labels.is_disputed IS 'Whether they differ.';
COMMENT ON COLUMN next_labels.model_version IS 'The model version of its prediction; NULL where it names none.';
