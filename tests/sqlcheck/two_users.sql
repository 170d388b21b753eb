-- Two users who have the same everywhere, down to the ids where these need not be unique, and what becomes of it.

-- name: create_user(id, name)!
-- A user.
INSERT INTO users (id, email, password_hash, created_at, updated_at)
VALUES (:id, :name || '@example.com', 'hash of ' || :name, 'epoch', 'epoch');

-- name: create_tasks(id, name)!
-- Two tasks of a user, with the ids of the two users.
INSERT INTO tasks (user_id, id, title, created_at, updated_at)
VALUES
    (:id, '00000000-0000-4000-8000-00000000000a', 'first of ' || :name, 'epoch', 'epoch'),
    (:id, '00000000-0000-4000-8000-00000000000b', 'second of ' || :name, 'epoch', 'epoch');

-- name: create_session(id)!
-- A session of a user, with the id of Alice.
INSERT INTO sessions (user_id, id, token_hash, expires_at, access_expires_at, created_at)
VALUES (:id, '00000000-0000-4000-8000-00000000000a', sha256('token'), 'infinity', 'infinity', 'epoch');

-- name: create_spent_refresh_token(id)!
-- A token that the session has spent.
INSERT INTO spent_refresh_tokens (user_id, session_id, token_hash, expires_at, spent_at)
VALUES (:id, '00000000-0000-4000-8000-00000000000a', sha256('spent'), 'infinity', 'epoch');

-- name: create_idempotency_record(id, name)!
-- A record of a user; whoever calls, it is the same.
INSERT INTO idempotency_records (user_id, caller_id, key, fingerprint, status, expires_at)
VALUES (:id, '00000000-0000-4000-8000-00000000000e', :name, sha256('request'), 201, 'infinity');

-- name: create_revocation(id)!
-- A row of a table of nobody whose key is a user's.
INSERT INTO revocations (id, expires_at, created_at)
VALUES (:id, 'infinity', 'epoch');

-- name: list_rows()
-- Every row, with its owner; without the times of its changes.
SELECT tables.name, tables.owner, tables.row - '{created_at, updated_at, spent_at}'::text[] AS row
FROM (
    SELECT 'users' AS name, id AS owner, to_jsonb(users) AS row
    FROM users
    UNION ALL
    SELECT 'tasks', user_id, to_jsonb(tasks)
    FROM tasks
    UNION ALL
    SELECT 'sessions', user_id, to_jsonb(sessions)
    FROM sessions
    UNION ALL
    SELECT 'spent_refresh_tokens', user_id, to_jsonb(spent_refresh_tokens)
    FROM spent_refresh_tokens
    UNION ALL
    SELECT 'idempotency_records', user_id, to_jsonb(idempotency_records) - 'expires_at'
    FROM idempotency_records
    UNION ALL
    SELECT 'revocations', NULL, to_jsonb(revocations)
    FROM revocations
) AS tables
ORDER BY tables.name, tables.owner, tables.row;

-- name: list_own_functions()
-- Every function that is PostgreSQL's own, written in C or built in.
SELECT DISTINCT proname::text AS name
FROM pg_proc
JOIN pg_language AS language ON language.oid = pg_proc.prolang
WHERE pronamespace = 'pg_catalog'::regnamespace
    AND language.lanname IN ('internal', 'c')
ORDER BY name;
