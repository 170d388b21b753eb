-- name: list_revocations(after_created_at, after_id, page_size)
-- One page of what has been revoked, for as long as it matters to anybody, oldest first: what comes after a position.
-- Takes: RevocationPage.
-- Returns: Revocation, many; expires_at in seconds since the epoch, infinity for what stays revoked for good; read_at
-- is when it was read, by the clock that created_at is of.
-- Plan: revocations_created_at_id_idx, no sort.
SELECT id, created_at, extract(epoch FROM expires_at)::double precision AS expires_at, now() AS read_at
FROM revocations
WHERE (created_at, id) > (:after_created_at, :after_id)
    AND expires_at > now()
ORDER BY created_at, id
LIMIT :page_size;

-- name: purge_revocations(batch_size)$
-- Remove revocations of what has expired by itself, but for those that another transaction holds.
-- Takes: PurgeBatch.
-- Returns: integer, how many it removed; fewer than batch_size means that no more are to be had.
-- Plan: revocations_expires_at_idx, tid scan, no sort.
WITH removed AS (
    DELETE FROM revocations
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM revocations
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT :batch_size
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
)

SELECT count(*)
FROM removed;
