-- depends: 0008.create-clients
-- Purpose: failed log-ins are counted where every instance sees them, so that guessing passwords takes too long.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

CREATE TABLE login_failures (
    subject bytea NOT NULL,
    failures integer NOT NULL DEFAULT 1,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '15 minutes',
    CONSTRAINT login_failures_pkey PRIMARY KEY (subject),
    CONSTRAINT login_failures_subject_length_check CHECK (octet_length(subject) = 32),
    CONSTRAINT login_failures_failures_positive_check CHECK (failures > 0)
);

COMMENT ON TABLE login_failures IS 'How often a log-in has failed of late, for each account and for each address.';
COMMENT ON COLUMN login_failures.subject IS
    'HMAC-SHA-256 of what the failures are of: an email address that was tried, whether anybody has it or not, or a '
    'network address. Keyed with the pepper, since people type passwords where the address goes.';
COMMENT ON COLUMN login_failures.expires_at IS 'The end of the 15 minutes that began with the first of the failures.';

CREATE INDEX login_failures_expires_at_idx ON login_failures (expires_at);
