-- name: count_login_wait(account, address, account_limit, address_limit)$
-- For how long an account or an address may not log in, since it has failed too often of late.
-- Takes: LoginAttempt, account_limit from Settings.login_failures_per_account, address_limit from
-- Settings.login_failures_per_address.
-- Returns: integer, seconds; NULL when it may.
-- Plan: login_failures_pkey.
SELECT ceil(extract(epoch FROM max(expires_at) - now()))::integer
FROM login_failures
WHERE subject IN (:account, :address)
    AND expires_at > now()
    AND (
        subject = :account AND failures >= :account_limit
        OR subject = :address AND failures >= :address_limit
    );

-- name: create_login_failures(account, address)
-- Count a failed log-in, for its account and for its address. Accounts come first, so that two that fail at once wait
-- for each other in one order.
-- Takes: LoginAttempt.
-- Returns: LoginFailures, many: both rows.
-- Plan: insert.
INSERT INTO login_failures (subject)
VALUES (:account), (:address)
ON CONFLICT (subject) DO UPDATE
SET
    failures = CASE WHEN login_failures.expires_at > now() THEN login_failures.failures + 1 ELSE 1 END,
    expires_at = CASE WHEN login_failures.expires_at > now() THEN login_failures.expires_at ELSE excluded.expires_at END
RETURNING subject, failures, expires_at;

-- name: delete_login_failures(account)^
-- Forget the failures of an account, whose owner has shown up. Those of an address stay: its own account would else be
-- all that a guesser needs.
-- Takes: LoginAttempt.
-- Returns: LoginFailures, no row when there were none.
-- Plan: login_failures_pkey.
DELETE FROM login_failures
WHERE subject = :account
RETURNING subject, failures, expires_at;

-- name: purge_login_failures(batch_size)$
-- Remove counts whose time is over, but for those that another transaction holds.
-- Takes: PurgeBatch.
-- Returns: integer, how many it removed; fewer than batch_size means that no more are to be had.
-- Plan: login_failures_expires_at_idx, tid scan, no sort.
WITH removed AS (
    DELETE FROM login_failures
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM login_failures
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT :batch_size
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING subject
)

SELECT count(*)
FROM removed;
