-- depends: 0006.create-revocations
-- Purpose: a log-in is a session, which refresh tokens prolong and which can be ended.
-- Locks: SHARE ROW EXCLUSIVE on users for the foreign key, held for milliseconds.
-- Order: before the code that reads it.

CREATE TABLE sessions (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    successor_salt bytea,
    expires_at timestamptz NOT NULL,
    access_expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sessions_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT sessions_token_hash_length_check CHECK (octet_length(token_hash) = 32),
    CONSTRAINT sessions_successor_salt_length_check CHECK (octet_length(successor_salt) = 32)
);

COMMENT ON TABLE sessions IS
    'Log-ins that go on, each a family of refresh tokens of which one is live. Deleting a row ends the session.';
COMMENT ON COLUMN sessions.id IS 'The sid of its access tokens. The service draws it, since the refresh token holds it.';
COMMENT ON COLUMN sessions.token_hash IS
    'SHA-256 of the one live refresh token. A column, so that a family cannot fork.';
COMMENT ON COLUMN sessions.successor_salt IS
    'Random; with the token that was spent last it gives the live one. NULL until a token has been spent.';
COMMENT ON COLUMN sessions.expires_at IS 'When the live refresh token expires, and the session with it.';
COMMENT ON COLUMN sessions.access_expires_at IS
    'No access token of the session is good after this, with minutes to spare for clocks that differ.';

-- Every refresh moves expires_at and so writes to this index: a few times an hour for each session.
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

CREATE TABLE spent_refresh_tokens (
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    spent_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT spent_refresh_tokens_pkey PRIMARY KEY (user_id, session_id, token_hash),
    CONSTRAINT spent_refresh_tokens_session_fkey FOREIGN KEY (user_id, session_id)
    REFERENCES sessions (user_id, id) ON DELETE CASCADE,
    CONSTRAINT spent_refresh_tokens_token_hash_length_check CHECK (octet_length(token_hash) = 32)
);

COMMENT ON TABLE spent_refresh_tokens IS 'Refresh tokens that were used, so that one that is used again is known as stolen.';
COMMENT ON COLUMN spent_refresh_tokens.token_hash IS 'SHA-256 of the token.';
COMMENT ON COLUMN spent_refresh_tokens.expires_at IS 'From then on it is a token like any unknown one.';

CREATE INDEX spent_refresh_tokens_expires_at_idx ON spent_refresh_tokens (expires_at);

CREATE FUNCTION sessions_after_delete() RETURNS trigger
LANGUAGE plpgsql
-- So that revocations is found whoever deletes, with whatever search_path.
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO revocations (id, expires_at)
    VALUES (OLD.id, OLD.access_expires_at)
    ON CONFLICT ON CONSTRAINT revocations_pkey DO NOTHING;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION sessions_after_delete() IS 'Stops the access tokens of a session that ends, whoever ends it.';

-- A trigger, so that nothing can end a session, or delete its user, and leave its access tokens good.
CREATE TRIGGER sessions_revoke
AFTER DELETE ON sessions
FOR EACH ROW
WHEN (OLD.access_expires_at > now())
EXECUTE FUNCTION sessions_after_delete();
