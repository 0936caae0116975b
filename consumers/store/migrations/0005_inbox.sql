-- What came by HTTP and is not counted yet. A row leaves in the transaction that counts it. Its size stands
-- beside the value, because to sum them up must not cost the memory of all values.
CREATE TABLE store.inbox (seq BIGINT, value BLOB, size BIGINT, received_us BIGINT);
-- Requests that were acknowledged, so that one sent again adds nothing. `request` is a hash of what it held.
CREATE TABLE store.inbox_key (
    key_hash UBIGINT, key VARCHAR, request VARCHAR, first_seq BIGINT, last_seq BIGINT, received_us BIGINT
);
