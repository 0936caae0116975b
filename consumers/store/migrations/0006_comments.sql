-- Each column says what it is, to whoever asks duckdb_columns(); docs/views.md is made of these texts.
-- A view that is created anew loses its comments: give it new ones in the same migration.

COMMENT ON COLUMN annotations.annotation_id IS 'Its id; where none was sent, the example_id, the character U+001F and the annotator.';
COMMENT ON COLUMN annotations.example_id IS 'The thing that was labelled.';
COMMENT ON COLUMN annotations.annotator IS 'Who labelled it; unknown where none was sent.';
COMMENT ON COLUMN annotations.given_label IS 'The label that the annotator gave.';
COMMENT ON COLUMN annotations.predicted_label IS 'The most probable class.';
COMMENT ON COLUMN annotations.suggested_label IS 'The class that confident learning suggests; NULL where no class is confident.';
COMMENT ON COLUMN annotations.self_confidence IS 'Probability of the given label.';
COMMENT ON COLUMN annotations.normalized_margin IS '(Probability of the given label − the highest of the others + 1) / 2.';
COMMENT ON COLUMN annotations.label_score IS 'How good the label looks, from 0 (suspect) to 1: the self-confidence.';
COMMENT ON COLUMN annotations.is_label_issue IS 'Whether it is suspect now.';
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

COMMENT ON COLUMN label_issues.annotation_id IS 'Its id; where none was sent, the example_id, the character U+001F and the annotator.';
COMMENT ON COLUMN label_issues.example_id IS 'The thing that was labelled.';
COMMENT ON COLUMN label_issues.annotator IS 'Who labelled it; unknown where none was sent.';
COMMENT ON COLUMN label_issues.given_label IS 'The label that the annotator gave.';
COMMENT ON COLUMN label_issues.predicted_label IS 'The most probable class.';
COMMENT ON COLUMN label_issues.suggested_label IS 'The class that confident learning suggests; NULL where no class is confident.';
COMMENT ON COLUMN label_issues.self_confidence IS 'Probability of the given label.';
COMMENT ON COLUMN label_issues.normalized_margin IS '(Probability of the given label − the highest of the others + 1) / 2.';
COMMENT ON COLUMN label_issues.label_score IS 'How good the label looks, from 0 (suspect) to 1: the self-confidence.';
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

COMMENT ON COLUMN classes.label IS 'The name of the class.';
COMMENT ON COLUMN classes.annotation_count IS 'Live annotations with this given label.';
COMMENT ON COLUMN classes.class_threshold IS 'Mean self-confidence of these annotations; 2, which no probability reaches, where there are none.';
COMMENT ON COLUMN classes.label_issue_count IS 'How many of these annotations are suspect now.';
COMMENT ON COLUMN classes.model_version IS 'The model version that the row is about; NULL for predictions that name none.';

COMMENT ON VIEW confident_joint IS 'One row per pair of given and suggested label that occurs, for each model version.';
COMMENT ON COLUMN confident_joint.given_label IS 'The label that the annotators gave.';
COMMENT ON COLUMN confident_joint.suggested_label IS 'The class that confident learning suggests.';
COMMENT ON COLUMN confident_joint.annotation_count IS 'Live annotations with this pair.';
COMMENT ON COLUMN confident_joint.model_version IS 'The model version that the row is about; NULL for predictions that name none.';

COMMENT ON COLUMN duplicates.example_id IS 'An example of the set.';
COMMENT ON COLUMN duplicates.score IS 'Always 0: contents are equal, or they are not.';
COMMENT ON COLUMN duplicates.set_id IS 'The content: equal for the examples of one set.';
COMMENT ON COLUMN duplicates.kind IS 'exact_duplicate, or conflicting_labels.';

COMMENT ON COLUMN findings.finding_id IS 'One for each commit, kind and annotation: the same wherever the finding is published.';
COMMENT ON COLUMN findings.kind IS 'label_issue, exact_duplicate or conflicting_labels.';
COMMENT ON COLUMN findings.action IS 'raised, cleared, or changed: its score, or the set it belongs to.';
COMMENT ON COLUMN findings.cause IS 'annotation, threshold, relabel, deletion or prediction: what changed the flag.';
COMMENT ON COLUMN findings.example_id IS 'The example of the annotation, as of now.';
COMMENT ON COLUMN findings.annotation_id IS 'The annotation that is flagged, or no longer is.';
COMMENT ON COLUMN findings.score IS 'The label score at that commit, low where the label is suspect; 0 for duplicates.';
COMMENT ON COLUMN findings.txn_id IS 'The commit that found it.';
COMMENT ON COLUMN findings.found_at IS 'When that was. UTC.';

COMMENT ON COLUMN pending.annotation_id IS 'Its id; where none was sent, the example_id, the character U+001F and the annotator.';
COMMENT ON COLUMN pending.example_id IS 'The thing that was labelled, for which there is no prediction.';
COMMENT ON COLUMN pending.annotator IS 'Who labelled it; unknown where none was sent.';
COMMENT ON COLUMN pending.given_label IS 'The label that the annotator gave.';
COMMENT ON COLUMN pending.since IS 'When it was committed. UTC.';

COMMENT ON COLUMN predictions.example_id IS 'The example.';
COMMENT ON COLUMN predictions.model_version IS 'The model version; NULL where the prediction names none.';
COMMENT ON COLUMN predictions.predicted_label IS 'The most probable class.';
COMMENT ON COLUMN predictions.pred_probs IS 'Probabilities, in the order of the class list.';

COMMENT ON COLUMN dead_letters.topic IS 'Where the record came from; file:… and stdin: for files, inbox: for HTTP.';
COMMENT ON COLUMN dead_letters.kafka_partition IS 'Its partition; 0 outside Kafka.';
COMMENT ON COLUMN dead_letters.kafka_offset IS 'Its offset; the number of the record outside Kafka, from 0.';
COMMENT ON COLUMN dead_letters.reason IS 'Why it was rejected, as a word.';
COMMENT ON COLUMN dead_letters.error IS 'Why it was rejected: the field, its value and the fix.';
COMMENT ON COLUMN dead_letters.value IS 'The bytes as they came, the first MiB at most; empty for a record without value.';
COMMENT ON COLUMN dead_letters.first_seen_at IS 'When it was rejected for the first time. UTC.';
COMMENT ON COLUMN dead_letters.key IS 'The key of the record; NULL where it has none.';
COMMENT ON COLUMN dead_letters.value_size IS 'Bytes of the whole value.';
COMMENT ON COLUMN dead_letters.value_sha256 IS 'SHA-256 of the whole value where only its beginning is kept, else NULL.';

COMMENT ON COLUMN offsets.topic IS 'The topic; file:… and stdin: for files, inbox: for HTTP.';
COMMENT ON COLUMN offsets.kafka_partition IS 'The partition; 0 outside Kafka.';
COMMENT ON COLUMN offsets.next_offset IS 'The record that is read next: all before it are counted.';
