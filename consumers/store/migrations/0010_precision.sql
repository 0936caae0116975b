-- What the posterior of an example is made of, for an explanation.
CREATE VIEW store.weight AS SELECT store.model_weight() AS model_weight;
CREATE VIEW store.vote AS
SELECT
    a.annotation, store.named(a.annotation_id, a.example_id, w.name) AS annotation_id, a.example_id,
    a.annotator, w.name, a.given, a.units, v.label_quality, v.consensus, v.consensus_quality
FROM store.live a
JOIN store.annotator w USING (annotator)
LEFT JOIN store.opinion v USING (annotation);
