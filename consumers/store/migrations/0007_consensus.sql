-- What the label of each example is, and how good each given label: a posterior from the model and all labels.
DROP VIEW label_issues;
DROP VIEW annotations;
DROP VIEW store.detailed;

-- The setting that it brings, in stores that are older.
CREATE TEMP TABLE shape AS
SELECT name, json_merge_patch(value, '{"model_weight": 1.5}') AS value FROM store.setting WHERE name = 'shape';
DELETE FROM store.setting WHERE name = 'shape';
INSERT INTO store.setting SELECT name, value FROM shape;
DROP TABLE shape;

-- What was last said of each live annotation, and of its example: those of one example always in one transaction.
-- A row has the annotations of eight examples that follow one another, each with its place in all lists: they are
-- written anew, here and there, more often than anything else, and a row that goes takes memory until a checkpoint.
CREATE TABLE store.opinion (
    block INTEGER, annotation INTEGER[], label_quality FLOAT[], consensus SMALLINT[], consensus_quality FLOAT[]
);
CREATE MACRO store.block(example) AS example // 8;
CREATE MACRO store.said(values, annotations, annotation) AS values[list_position(annotations, annotation)];
-- Live annotations, and what was said of them.
CREATE VIEW store.judged AS
SELECT a.*, store.said(v.label_quality, v.annotation, a.annotation) AS label_quality,
    store.said(v.consensus, v.annotation, a.annotation) AS consensus,
    store.said(v.consensus_quality, v.annotation, a.annotation) AS consensus_quality
FROM store.live a
LEFT JOIN store.opinion v ON v.block = store.block(a.example);
-- How often the model counts where it finds this class most probable. Written anew with the next one.
CREATE TABLE store.class_weight (class SMALLINT, model_weight DOUBLE);
-- How good each annotator is. Written anew as a whole, now and then.
CREATE TABLE store.annotator_rating (
    annotator INTEGER, annotation_count BIGINT, consensus_issue_count BIGINT, error_rate DOUBLE,
    error_rate_low DOUBLE, error_rate_high DOUBLE, annotator_quality DOUBLE
);

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
    coalesce(a.label_quality, a.self_units / 1073741824) AS label_score,
    f.annotation IS NOT NULL AS is_label_issue,
    a.label_quality,
    coalesce(a.label_quality < 0.5, false) AS is_consensus_issue,
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
FROM store.judged a
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

CREATE VIEW store.voted AS
SELECT a.*, list_filter(
        [
            CASE WHEN is_label_issue THEN 'confident_learning' END,
            CASE WHEN is_consensus_issue THEN 'consensus' END,
            CASE WHEN predicted_label <> given_label THEN 'predicted_neq_given' END
        ],
        lambda method: method IS NOT NULL
    ) AS methods, len(methods) AS votes
FROM annotations a;

CREATE VIEW label_issues AS
SELECT * EXCLUDE (is_label_issue) FROM store.voted WHERE is_label_issue ORDER BY label_score, annotation_id;
CREATE VIEW label_issues_any AS
SELECT * FROM store.voted WHERE votes > 0 ORDER BY label_score, annotation_id;
CREATE VIEW label_issues_all AS
SELECT * FROM store.voted WHERE votes = 3 ORDER BY label_score, annotation_id;

-- Low where one more label would tell most: where the best label is not sure, and few labels stand behind it.
-- The model counts as so many labels as its weight says, and the next label as one that knows nothing.
CREATE MACRO store.model_weight() AS
    coalesce((SELECT max(value ->> 'model_weight')::DOUBLE FROM store.setting WHERE name = 'shape'), 1.5);
CREATE MACRO store.learning_score(quality, label_count) AS (
    quality * (store.model_weight() + label_count) + 1 / (SELECT count(*) FROM store.class)
) / (store.model_weight() + label_count + 1);

CREATE VIEW examples AS
SELECT
    l.example_id,
    k.label AS consensus_label,
    l.consensus_quality,
    l.annotation_count,
    l.is_disputed,
    store.learning_score(l.consensus_quality, l.annotation_count) AS active_learning_score,
    nullif(m.name, '') AS model_version
FROM (
    SELECT
        any_value(a.example_id) AS example_id, any_value(a.stratum) AS stratum,
        any_value(a.consensus) AS consensus, any_value(a.consensus_quality) AS consensus_quality,
        count(*) AS annotation_count, count(DISTINCT a.given) > 1 AS is_disputed
    FROM store.judged a
    GROUP BY a.example
) l
JOIN store.model_version m USING (stratum)
LEFT JOIN store.class k ON k.class = l.consensus;

COMMENT ON VIEW annotations IS 'One row per live annotation: its newest label, judged by the current prediction of its example. Times are UTC. pred_probs follow the order of the class list.';
COMMENT ON COLUMN annotations.annotation_id IS 'Its id; where none was sent, the example_id, the character U+001F and the annotator.';
COMMENT ON COLUMN annotations.example_id IS 'The thing that was labelled.';
COMMENT ON COLUMN annotations.annotator IS 'Who labelled it; unknown where none was sent.';
COMMENT ON COLUMN annotations.given_label IS 'The label that the annotator gave.';
COMMENT ON COLUMN annotations.predicted_label IS 'The most probable class.';
COMMENT ON COLUMN annotations.suggested_label IS 'The class that confident learning suggests; NULL where no class is confident.';
COMMENT ON COLUMN annotations.self_confidence IS 'Probability of the given label.';
COMMENT ON COLUMN annotations.normalized_margin IS '(Probability of the given label − the highest of the others + 1) / 2.';
COMMENT ON COLUMN annotations.label_score IS 'How good the label looks, from 0 (suspect) to 1: its label_quality, or the self-confidence until there is one.';
COMMENT ON COLUMN annotations.is_label_issue IS 'Whether confident learning suspects it now.';
COMMENT ON COLUMN annotations.label_quality IS 'Probability that the given label is right, given the model and all labels of the example; NULL until it is first computed.';
COMMENT ON COLUMN annotations.is_consensus_issue IS 'Whether that is below a half.';
COMMENT ON COLUMN annotations.pred_probs IS 'Probabilities of the example, in the order of the class list.';
COMMENT ON COLUMN annotations.is_truncated IS 'Whether they came as a top-k, so that classes which were left out have 0.';
COMMENT ON COLUMN annotations.model_version IS 'The model behind them; NULL where the prediction names none.';
COMMENT ON COLUMN annotations.revision IS 'Its revision; NULL where none was sent.';
COMMENT ON COLUMN annotations.annotated_at IS 'When it was labelled, else the time of the Kafka record or of the request; NULL without any. UTC.';
COMMENT ON COLUMN annotations.ingested_at IS 'When it was committed to this store. UTC.';
COMMENT ON COLUMN annotations.text IS 'The content that was sent.';
COMMENT ON COLUMN annotations.uri IS 'The link that was sent.';
COMMENT ON COLUMN annotations.metadata IS 'What else was sent: metadata, and fields that the contract does not know.';
COMMENT ON COLUMN annotations.is_gold IS 'Whether it is a test question with a known answer.';
COMMENT ON COLUMN annotations.expected_label IS 'The known answer.';
COMMENT ON COLUMN annotations.lead_time_s IS 'Seconds spent on it.';
COMMENT ON COLUMN annotations.topic IS 'Topic of the record that wrote it; file:… and stdin: for files, inbox: for HTTP.';
COMMENT ON COLUMN annotations.kafka_partition IS 'Its partition; 0 outside Kafka.';
COMMENT ON COLUMN annotations.kafka_offset IS 'Its offset; the number of the record outside Kafka, from 0.';
COMMENT ON COLUMN annotations.txn_id IS 'The commit that wrote it.';

COMMENT ON VIEW label_issues IS 'One row per annotation that confident learning suspects now, most suspect first.';
COMMENT ON COLUMN label_issues.annotation_id IS 'Its id; where none was sent, the example_id, the character U+001F and the annotator.';
COMMENT ON COLUMN label_issues.example_id IS 'The thing that was labelled.';
COMMENT ON COLUMN label_issues.annotator IS 'Who labelled it; unknown where none was sent.';
COMMENT ON COLUMN label_issues.given_label IS 'The label that the annotator gave.';
COMMENT ON COLUMN label_issues.predicted_label IS 'The most probable class.';
COMMENT ON COLUMN label_issues.suggested_label IS 'The class that confident learning suggests; NULL where no class is confident.';
COMMENT ON COLUMN label_issues.self_confidence IS 'Probability of the given label.';
COMMENT ON COLUMN label_issues.normalized_margin IS '(Probability of the given label − the highest of the others + 1) / 2.';
COMMENT ON COLUMN label_issues.label_score IS 'How good the label looks, from 0 (suspect) to 1: its label_quality, or the self-confidence until there is one.';
COMMENT ON COLUMN label_issues.label_quality IS 'Probability that the given label is right, given the model and all labels of the example; NULL until it is first computed.';
COMMENT ON COLUMN label_issues.is_consensus_issue IS 'Whether that is below a half.';
COMMENT ON COLUMN label_issues.pred_probs IS 'Probabilities of the example, in the order of the class list.';
COMMENT ON COLUMN label_issues.is_truncated IS 'Whether they came as a top-k, so that classes which were left out have 0.';
COMMENT ON COLUMN label_issues.model_version IS 'The model behind them; NULL where the prediction names none.';
COMMENT ON COLUMN label_issues.revision IS 'Its revision; NULL where none was sent.';
COMMENT ON COLUMN label_issues.annotated_at IS 'When it was labelled, else the time of the Kafka record or of the request; NULL without any. UTC.';
COMMENT ON COLUMN label_issues.ingested_at IS 'When it was committed to this store. UTC.';
COMMENT ON COLUMN label_issues.text IS 'The content that was sent.';
COMMENT ON COLUMN label_issues.uri IS 'The link that was sent.';
COMMENT ON COLUMN label_issues.metadata IS 'What else was sent: metadata, and fields that the contract does not know.';
COMMENT ON COLUMN label_issues.is_gold IS 'Whether it is a test question with a known answer.';
COMMENT ON COLUMN label_issues.expected_label IS 'The known answer.';
COMMENT ON COLUMN label_issues.lead_time_s IS 'Seconds spent on it.';
COMMENT ON COLUMN label_issues.topic IS 'Topic of the record that wrote it; file:… and stdin: for files, inbox: for HTTP.';
COMMENT ON COLUMN label_issues.kafka_partition IS 'Its partition; 0 outside Kafka.';
COMMENT ON COLUMN label_issues.kafka_offset IS 'Its offset; the number of the record outside Kafka, from 0.';
COMMENT ON COLUMN label_issues.txn_id IS 'The commit that wrote it.';
COMMENT ON COLUMN label_issues.methods IS 'Which methods suspect it: confident_learning, consensus, predicted_neq_given.';
COMMENT ON COLUMN label_issues.votes IS 'How many of them.';

COMMENT ON VIEW label_issues_any IS 'One row per annotation that at least one method suspects now, most suspect first.';
COMMENT ON COLUMN label_issues_any.annotation_id IS 'Its id; where none was sent, the example_id, the character U+001F and the annotator.';
COMMENT ON COLUMN label_issues_any.example_id IS 'The thing that was labelled.';
COMMENT ON COLUMN label_issues_any.annotator IS 'Who labelled it; unknown where none was sent.';
COMMENT ON COLUMN label_issues_any.given_label IS 'The label that the annotator gave.';
COMMENT ON COLUMN label_issues_any.predicted_label IS 'The most probable class.';
COMMENT ON COLUMN label_issues_any.suggested_label IS 'The class that confident learning suggests; NULL where no class is confident.';
COMMENT ON COLUMN label_issues_any.self_confidence IS 'Probability of the given label.';
COMMENT ON COLUMN label_issues_any.normalized_margin IS '(Probability of the given label − the highest of the others + 1) / 2.';
COMMENT ON COLUMN label_issues_any.label_score IS 'How good the label looks, from 0 (suspect) to 1: its label_quality, or the self-confidence until there is one.';
COMMENT ON COLUMN label_issues_any.is_label_issue IS 'Whether confident learning suspects it now.';
COMMENT ON COLUMN label_issues_any.label_quality IS 'Probability that the given label is right, given the model and all labels of the example; NULL until it is first computed.';
COMMENT ON COLUMN label_issues_any.is_consensus_issue IS 'Whether that is below a half.';
COMMENT ON COLUMN label_issues_any.pred_probs IS 'Probabilities of the example, in the order of the class list.';
COMMENT ON COLUMN label_issues_any.is_truncated IS 'Whether they came as a top-k, so that classes which were left out have 0.';
COMMENT ON COLUMN label_issues_any.model_version IS 'The model behind them; NULL where the prediction names none.';
COMMENT ON COLUMN label_issues_any.revision IS 'Its revision; NULL where none was sent.';
COMMENT ON COLUMN label_issues_any.annotated_at IS 'When it was labelled, else the time of the Kafka record or of the request; NULL without any. UTC.';
COMMENT ON COLUMN label_issues_any.ingested_at IS 'When it was committed to this store. UTC.';
COMMENT ON COLUMN label_issues_any.text IS 'The content that was sent.';
COMMENT ON COLUMN label_issues_any.uri IS 'The link that was sent.';
COMMENT ON COLUMN label_issues_any.metadata IS 'What else was sent: metadata, and fields that the contract does not know.';
COMMENT ON COLUMN label_issues_any.is_gold IS 'Whether it is a test question with a known answer.';
COMMENT ON COLUMN label_issues_any.expected_label IS 'The known answer.';
COMMENT ON COLUMN label_issues_any.lead_time_s IS 'Seconds spent on it.';
COMMENT ON COLUMN label_issues_any.topic IS 'Topic of the record that wrote it; file:… and stdin: for files, inbox: for HTTP.';
COMMENT ON COLUMN label_issues_any.kafka_partition IS 'Its partition; 0 outside Kafka.';
COMMENT ON COLUMN label_issues_any.kafka_offset IS 'Its offset; the number of the record outside Kafka, from 0.';
COMMENT ON COLUMN label_issues_any.txn_id IS 'The commit that wrote it.';
COMMENT ON COLUMN label_issues_any.methods IS 'Which methods suspect it: confident_learning, consensus, predicted_neq_given.';
COMMENT ON COLUMN label_issues_any.votes IS 'How many of them.';

COMMENT ON VIEW label_issues_all IS 'One row per annotation that all methods suspect now, most suspect first.';
COMMENT ON COLUMN label_issues_all.annotation_id IS 'Its id; where none was sent, the example_id, the character U+001F and the annotator.';
COMMENT ON COLUMN label_issues_all.example_id IS 'The thing that was labelled.';
COMMENT ON COLUMN label_issues_all.annotator IS 'Who labelled it; unknown where none was sent.';
COMMENT ON COLUMN label_issues_all.given_label IS 'The label that the annotator gave.';
COMMENT ON COLUMN label_issues_all.predicted_label IS 'The most probable class.';
COMMENT ON COLUMN label_issues_all.suggested_label IS 'The class that confident learning suggests; NULL where no class is confident.';
COMMENT ON COLUMN label_issues_all.self_confidence IS 'Probability of the given label.';
COMMENT ON COLUMN label_issues_all.normalized_margin IS '(Probability of the given label − the highest of the others + 1) / 2.';
COMMENT ON COLUMN label_issues_all.label_score IS 'How good the label looks, from 0 (suspect) to 1: its label_quality, or the self-confidence until there is one.';
COMMENT ON COLUMN label_issues_all.is_label_issue IS 'Whether confident learning suspects it now.';
COMMENT ON COLUMN label_issues_all.label_quality IS 'Probability that the given label is right, given the model and all labels of the example; NULL until it is first computed.';
COMMENT ON COLUMN label_issues_all.is_consensus_issue IS 'Whether that is below a half.';
COMMENT ON COLUMN label_issues_all.pred_probs IS 'Probabilities of the example, in the order of the class list.';
COMMENT ON COLUMN label_issues_all.is_truncated IS 'Whether they came as a top-k, so that classes which were left out have 0.';
COMMENT ON COLUMN label_issues_all.model_version IS 'The model behind them; NULL where the prediction names none.';
COMMENT ON COLUMN label_issues_all.revision IS 'Its revision; NULL where none was sent.';
COMMENT ON COLUMN label_issues_all.annotated_at IS 'When it was labelled, else the time of the Kafka record or of the request; NULL without any. UTC.';
COMMENT ON COLUMN label_issues_all.ingested_at IS 'When it was committed to this store. UTC.';
COMMENT ON COLUMN label_issues_all.text IS 'The content that was sent.';
COMMENT ON COLUMN label_issues_all.uri IS 'The link that was sent.';
COMMENT ON COLUMN label_issues_all.metadata IS 'What else was sent: metadata, and fields that the contract does not know.';
COMMENT ON COLUMN label_issues_all.is_gold IS 'Whether it is a test question with a known answer.';
COMMENT ON COLUMN label_issues_all.expected_label IS 'The known answer.';
COMMENT ON COLUMN label_issues_all.lead_time_s IS 'Seconds spent on it.';
COMMENT ON COLUMN label_issues_all.topic IS 'Topic of the record that wrote it; file:… and stdin: for files, inbox: for HTTP.';
COMMENT ON COLUMN label_issues_all.kafka_partition IS 'Its partition; 0 outside Kafka.';
COMMENT ON COLUMN label_issues_all.kafka_offset IS 'Its offset; the number of the record outside Kafka, from 0.';
COMMENT ON COLUMN label_issues_all.txn_id IS 'The commit that wrote it.';
COMMENT ON COLUMN label_issues_all.methods IS 'Which methods suspect it: confident_learning, consensus, predicted_neq_given.';
COMMENT ON COLUMN label_issues_all.votes IS 'How many of them.';

COMMENT ON VIEW examples IS 'One row per example with a live annotation: what its label is, and how sure that is.';
COMMENT ON COLUMN examples.example_id IS 'The thing that was labelled.';
COMMENT ON COLUMN examples.consensus_label IS 'The most probable class, given the model and all labels; NULL until it is first computed.';
COMMENT ON COLUMN examples.consensus_quality IS 'Its probability.';
COMMENT ON COLUMN examples.annotation_count IS 'Live annotations of the example.';
COMMENT ON COLUMN examples.is_disputed IS 'Whether they differ.';
COMMENT ON COLUMN examples.active_learning_score IS 'The lower it is, the more another label would tell.';
COMMENT ON COLUMN examples.model_version IS 'The model version of its prediction; NULL where it names none.';
