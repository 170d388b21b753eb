-- name: create_idempotency_record(caller_id, key, user_id, fingerprint, status, location, etag, body)^
-- Keep the answer to a write under its caller's key, in the place of a record that has expired.
-- Takes: IdempotencyRecord.
-- Returns: IdempotencyKey, exactly one row.
-- Plan: insert.
-- Scope: its caller and not one user, as in get_idempotency_record: what it replaces may be about another user.
INSERT INTO idempotency_records (caller_id, key, user_id, fingerprint, status, location, etag, body)
VALUES (:caller_id, :key, :user_id, :fingerprint, :status, :location, :etag, :body)
ON CONFLICT (caller_id, key) DO UPDATE
SET
    user_id = excluded.user_id,
    fingerprint = excluded.fingerprint,
    status = excluded.status,
    location = excluded.location,
    etag = excluded.etag,
    body = excluded.body,
    expires_at = excluded.expires_at
RETURNING caller_id, key;

-- name: get_idempotency_record(caller_id, key)^
-- The answer that a caller's key had, while it is kept.
-- Takes: IdempotencyKey.
-- Returns: IdempotencyAnswer, no row when the key is new or its record has expired.
-- Plan: idempotency_records_pkey.
-- Scope: its caller and not one user, since the same key for another user is another request and has to be refused.
SELECT fingerprint, status, location, etag, body
FROM idempotency_records
WHERE caller_id = :caller_id
    AND key = :key
    AND expires_at > now();

-- name: lock_idempotency_key(caller_id, key, user_id)^
-- Lock a caller's key until the end of the transaction, without waiting; with it, the user that the write is about.
-- That two keys have one hash is harmless: one of two simultaneous requests is told to come back. The record refers to
-- the user in the end. Locked only then, after the task, the user could be one that is being deleted, and who deletes
-- a user goes on to the tasks: each would wait for the other.
-- Takes: IdempotencyAttempt.
-- Returns: IdempotencyLock, exactly one row: whether no other transaction holds the key, and if so, whether there is
-- such a user.
-- Plan: users_pkey.
WITH lock AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended(:caller_id::uuid || :key::text, 0)) AS is_held
),

locked_user AS MATERIALIZED (
    SELECT users.id
    FROM users
    CROSS JOIN lock
    WHERE users.id = :user_id
        AND lock.is_held
    FOR KEY SHARE OF users
)

SELECT
    lock.is_held,
    locked_user.id IS NOT NULL AS has_user
FROM lock
LEFT JOIN locked_user ON true;

-- name: purge_idempotency_records(batch_size)$
-- Remove expired records, but for those that another transaction holds.
-- Takes: PurgeBatch.
-- Returns: integer, how many it removed; fewer than batch_size means that no more are to be had.
-- Plan: idempotency_records_expires_at_idx, tid scan, no sort.
-- Scope: all users, since time passes for everybody.
WITH removed AS (
    DELETE FROM idempotency_records
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM idempotency_records
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT :batch_size
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING key
)

SELECT count(*)
FROM removed;
