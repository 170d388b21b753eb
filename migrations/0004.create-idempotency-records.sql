-- depends: 0003.create-tasks
-- Purpose: a write that is sent again with its Idempotency-Key happens once, and is answered as it was the first time.
-- Locks: SHARE ROW EXCLUSIVE on users for the foreign key, held for milliseconds.
-- Order: before the code that reads it.

CREATE TABLE idempotency_records (
    caller_id uuid NOT NULL,
    key text NOT NULL,
    user_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    location text,
    etag text,
    body bytea,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    -- The caller comes first, and not the user: a key is one for all that its caller writes, whosever tasks they are.
    CONSTRAINT idempotency_records_pkey PRIMARY KEY (caller_id, key),
    CONSTRAINT idempotency_records_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT idempotency_records_key_length_check CHECK (char_length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_records_fingerprint_length_check CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_records_status_success_check CHECK (status BETWEEN 200 AND 299)
);

COMMENT ON TABLE idempotency_records IS
    'The answers of keyed writes that succeeded, each added in the transaction of its write.';
COMMENT ON COLUMN idempotency_records.caller_id IS
    'Who sent the key. No foreign key: whatever can authenticate can be a caller, not users alone.';
COMMENT ON COLUMN idempotency_records.key IS 'The Idempotency-Key itself, without the quotes it may have been sent in.';
COMMENT ON COLUMN idempotency_records.user_id IS 'Whose tasks the write was about; the answer holds them, and goes with them.';
COMMENT ON COLUMN idempotency_records.fingerprint IS 'SHA-256 of what makes two requests the same one.';
COMMENT ON COLUMN idempotency_records.location IS 'The header field of the answer; NULL means it had none.';
COMMENT ON COLUMN idempotency_records.etag IS 'The header field of the answer; NULL means it had none.';
COMMENT ON COLUMN idempotency_records.body IS 'The bytes of the answer, which are JSON; NULL means it had none.';
COMMENT ON COLUMN idempotency_records.expires_at IS 'From then on the key is free again; the row stays until it is purged.';

CREATE INDEX idempotency_records_user_id_idx ON idempotency_records (user_id);
CREATE INDEX idempotency_records_expires_at_idx ON idempotency_records (expires_at);
