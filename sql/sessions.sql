-- name: create_session(user_id, password_hash, id, token_hash, refresh_ttl, access_ttl)^
-- Begin a session, if the password that was checked is still the user's. The lock makes a change of the password that
-- is under way come first, so that no session of the old one outlives it.
-- Takes: SessionDraft, password_hash from Credentials, refresh_ttl from Settings.refresh_token_ttl, access_ttl from
-- Settings.access_token_ttl.
-- Returns: SessionKey, no row when the user is gone or has another password by now.
-- Raises: sessions_pkey (the id is taken, which chance forbids).
-- Plan: users_pkey, insert.
INSERT INTO sessions (user_id, id, token_hash, expires_at, access_expires_at)
SELECT
    users.id,
    :id,
    :token_hash,
    now() + make_interval(secs => :refresh_ttl),
    now() + make_interval(secs => :access_ttl) + interval '5 minutes'
FROM users
WHERE users.id = :user_id
    AND users.password_hash = :password_hash
FOR SHARE
RETURNING user_id, id;

-- name: delete_session(user_id, id)^
-- End a session: its refresh tokens go with it, and a trigger stops its access tokens.
-- Takes: SessionKey.
-- Returns: EndedSession, no row when it has ended already; expires_at is that of its revocation, as in
-- list_revocations.
-- Plan: sessions_pkey.
DELETE FROM sessions
WHERE user_id = :user_id
    AND id = :id
RETURNING id, extract(epoch FROM access_expires_at)::double precision AS expires_at;

-- name: delete_session_of_token(user_id, id, token_hash)^
-- End a session for who holds a refresh token of it, be it live or spent.
-- Takes: SessionToken.
-- Returns: EndedSession, no row when there is no such session, or the token is none of its.
-- Plan: sessions_pkey, spent_refresh_tokens_pkey.
DELETE FROM sessions
WHERE user_id = :user_id
    AND id = :id
    AND (
        token_hash = :token_hash
        OR EXISTS (
            SELECT FROM spent_refresh_tokens
            WHERE spent_refresh_tokens.user_id = :user_id
                AND spent_refresh_tokens.session_id = :id
                AND spent_refresh_tokens.token_hash = :token_hash
        )
    )
RETURNING id, extract(epoch FROM access_expires_at)::double precision AS expires_at;

-- name: delete_sessions(user_id, spared_id)
-- End a user's sessions, but for one; NULL spares none.
-- Takes: SparedSession.
-- Returns: EndedSession, many: each that has been ended.
-- Plan: sessions_pkey.
DELETE FROM sessions
WHERE user_id = :user_id
    AND (:spared_id::uuid IS NULL OR id <> :spared_id)
RETURNING id, extract(epoch FROM access_expires_at)::double precision AS expires_at;

-- name: get_spent_refresh_token(user_id, session_id, token_hash)^
-- A refresh token that has been used, and what its use made of the session. Ten seconds are for a client that never got
-- its answer.
-- Takes: SpentTokenKey.
-- Returns: SpentRefreshToken, no row when the session has ended or never spent such a token.
-- Plan: spent_refresh_tokens_pkey, sessions_pkey.
SELECT
    spent_refresh_tokens.spent_at > now() - interval '10 seconds' AS is_fresh,
    sessions.token_hash AS live_token_hash,
    sessions.successor_salt
FROM spent_refresh_tokens
JOIN sessions
    ON sessions.user_id = spent_refresh_tokens.user_id
    AND sessions.id = spent_refresh_tokens.session_id
WHERE spent_refresh_tokens.user_id = :user_id
    AND spent_refresh_tokens.session_id = :session_id
    AND spent_refresh_tokens.token_hash = :token_hash
    AND spent_refresh_tokens.expires_at > now();

-- name: purge_sessions(batch_size)$
-- Remove sessions whose refresh token has expired, but for those that another transaction holds.
-- Takes: PurgeBatch.
-- Returns: integer, how many it removed; fewer than batch_size means that no more are to be had.
-- Plan: sessions_expires_at_idx, tid scan, no sort.
-- Scope: all users, since time passes for everybody.
WITH removed AS (
    DELETE FROM sessions
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM sessions
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT :batch_size
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
)

SELECT count(*)
FROM removed;

-- name: purge_spent_refresh_tokens(batch_size)$
-- Remove spent refresh tokens that have expired, but for those that another transaction holds.
-- Takes: PurgeBatch.
-- Returns: integer, how many it removed; fewer than batch_size means that no more are to be had.
-- Plan: spent_refresh_tokens_expires_at_idx, tid scan, no sort.
-- Scope: all users, since time passes for everybody.
WITH removed AS (
    DELETE FROM spent_refresh_tokens
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM spent_refresh_tokens
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT :batch_size
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING session_id
)

SELECT count(*)
FROM removed;

-- name: update_session_token(user_id, id, token_hash, successor_hash, successor_salt, refresh_ttl, access_ttl)^
-- Spend a session's live refresh token, and put its successor in its place. Of several at once one finds it live; the
-- others wait for that one and find it spent. An access token that was issued before may be good for longer than those
-- that are issued now.
-- Takes: SessionToken, SessionSuccessor, refresh_ttl from Settings.refresh_token_ttl, access_ttl from
-- Settings.access_token_ttl.
-- Returns: SessionKey, no row when the token is not the live one, or the session has ended or expired.
-- Raises: spent_refresh_tokens_pkey (a token has come again, which chance forbids).
-- Plan: sessions_pkey, insert.
WITH rotated AS (
    UPDATE sessions
    SET
        token_hash = :successor_hash,
        successor_salt = :successor_salt,
        expires_at = now() + make_interval(secs => :refresh_ttl),
        access_expires_at = greatest(
            access_expires_at, now() + make_interval(secs => :access_ttl) + interval '5 minutes'
        )
    WHERE user_id = :user_id
        AND id = :id
        AND token_hash = :token_hash
        AND expires_at > now()
    RETURNING user_id, id, expires_at
)

-- It is remembered for as long as its successor lives, which is longer than it would have lived itself.
INSERT INTO spent_refresh_tokens (user_id, session_id, token_hash, expires_at)
SELECT rotated.user_id, rotated.id, :token_hash, rotated.expires_at
FROM rotated
RETURNING user_id, session_id AS id;
