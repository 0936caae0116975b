-- How far each output topic has come: the broker has acknowledged everything up to this row, in the
-- order of its columns. One row at the most; none where the topic was never switched on.
CREATE TABLE store.published_finding (txn_id BIGINT, kind VARCHAR, annotation INTEGER);
CREATE TABLE store.published_dead_letter (txn_id BIGINT, source INTEGER, position BIGINT);
