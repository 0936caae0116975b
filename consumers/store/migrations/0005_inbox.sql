-- What came by HTTP and is not counted yet. A row leaves in the transaction that counts it.
CREATE TABLE store.inbox (seq BIGINT, value BLOB, received_us BIGINT);
-- Requests that were acknowledged, so that one sent again adds nothing. `request` is a hash of what it held.
CREATE TABLE store.inbox_key (
    key_hash UBIGINT, key VARCHAR, request VARCHAR, first_seq BIGINT, last_seq BIGINT, received_us BIGINT
);
