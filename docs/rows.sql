-- The rows that plans are made on: as many as make a scan of a whole table a mistake, spread as in real life, and the
-- same each time but for the moment that they are counted from. One of each table is the example of the row
-- schemas, so that a query that is run with the examples finds it.

-- 3,000 users.
INSERT INTO users (id, email, password_hash, created_at, updated_at)
SELECT
    CASE number WHEN 3000 THEN '0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90' ELSE md5('user ' || number)::uuid END,
    CASE number WHEN 3000 THEN 'me@example.com' ELSE 'user' || number || '@example.com' END,
    '$2b$12$' || CASE number WHEN 3000 THEN repeat('x', 53) ELSE left(md5(number::text) || md5(number::text), 53) END,
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '3 hours',
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '3 hours'
FROM generate_series(1, 3000) AS number;

-- 26,000 tasks: a tenth of them of one user, the rest of 260 others, who have a hundred each; most of them are done.
INSERT INTO tasks (user_id, id, title, description, status, completed_at, created_at, updated_at)
SELECT
    users.id,
    CASE number WHEN 10 THEN '5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11' ELSE md5('task ' || number)::uuid END,
    CASE number % 7
        WHEN 0 THEN 'Water the plants'
        WHEN 1 THEN 'Write the report of week ' || number % 52
        WHEN 2 THEN 'Call the ' || number % 31 || 'th supplier back'
        WHEN 3 THEN 'Book a room for ' || 2 + number % 9
        ELSE 'Read number ' || number
    END,
    CASE WHEN number % 3 = 0 THEN repeat('As we said the other day. ', 1 + number % 11) END,
    CASE WHEN number % 9 < 2 THEN 'incomplete' WHEN number % 9 = 2 THEN 'in_progress' ELSE 'complete' END,
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '20 minutes',
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '20 minutes',
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '20 minutes'
FROM generate_series(1, 26000) AS number
JOIN users ON users.email = CASE number % 10 WHEN 0 THEN 'me@example.com' ELSE 'user' || 1 + number % 260 || '@example.com' END;

-- 8,000 sessions, of which some have expired.
INSERT INTO sessions (user_id, id, token_hash, successor_salt, expires_at, access_expires_at, created_at)
SELECT
    users.id,
    CASE number WHEN 1 THEN '7c9e6679-7425-40de-944b-e07fc1f90ae7' ELSE md5('session ' || number)::uuid END,
    sha256(CASE number WHEN 1 THEN 'live'::bytea ELSE ('token ' || number)::bytea END),
    sha256('salt'),
    now() + interval '30 days' - number * interval '5.5 minutes',
    now() + interval '15 minutes' - number * interval '1 minute',
    now() - number * interval '7 minutes'
FROM generate_series(1, 8000) AS number
JOIN users ON users.email = CASE number WHEN 1 THEN 'me@example.com' ELSE 'user' || 1 + number % 2999 || '@example.com' END;

-- Two of each session.
INSERT INTO spent_refresh_tokens (user_id, session_id, token_hash, spent_at, expires_at)
SELECT
    sessions.user_id,
    sessions.id,
    CASE
        WHEN sessions.token_hash = sha256('live') AND turn = 1 THEN sha256('spent')
        ELSE sha256(sessions.token_hash || turn::text::bytea)
    END,
    CASE WHEN sessions.token_hash = sha256('live') THEN now() ELSE sessions.created_at + turn * interval '1 minute' END,
    sessions.expires_at
FROM sessions
CROSS JOIN generate_series(1, 2) AS turn;

-- 12,000 answers of a day, and of the ten minutes before it that are about to be purged.
INSERT INTO idempotency_records (caller_id, key, user_id, fingerprint, status, location, etag, body, expires_at)
SELECT
    users.id,
    CASE number WHEN 1 THEN '8e03978e-40d5-43dd-bc93-6894a57f9324' ELSE md5('key ' || number) END,
    users.id,
    sha256(('request ' || number)::bytea),
    201,
    '/api/tasks/' || md5('task ' || number),
    '"1"',
    convert_to(repeat('{"title": "Water the plants"}', 10), 'UTF8'),
    now() + interval '24 hours' - number * interval '7.25 seconds'
FROM generate_series(1, 12000) AS number
JOIN users ON users.email = CASE number WHEN 1 THEN 'me@example.com' ELSE 'user' || 1 + number % 2999 || '@example.com' END;

-- 400 service clients, a tenth of them revoked.
INSERT INTO clients (id, name, scopes, secret_hash, created_at, revoked_at)
SELECT
    CASE number WHEN 1 THEN '2f0c8d0e-6b0a-4f6e-8f57-4b115d1c9c1e' ELSE md5('client ' || number)::uuid END,
    CASE number WHEN 1 THEN 'reporting' ELSE 'client ' || number END,
    ARRAY['tasks:read'],
    sha256(CASE number WHEN 1 THEN 'secret'::bytea ELSE ('secret ' || number)::bytea END),
    now() - number * interval '1 day',
    CASE WHEN number % 10 = 0 THEN now() END
FROM generate_series(1, 400) AS number;

-- 6,000 accounts and addresses that failed in the last half hour; half of them have been forgiven.
INSERT INTO login_failures (subject, failures, expires_at)
SELECT
    sha256(
        CASE number WHEN 1 THEN 'account'::bytea WHEN 2 THEN 'address'::bytea ELSE ('subject ' || number)::bytea END
    ),
    CASE WHEN number <= 2 THEN 1000000 ELSE 1 + number % 7 END,
    now() + interval '15 minutes' - number * interval '0.3 seconds'
FROM generate_series(1, 6000) AS number;

-- 8,000 sessions that ended in the last twenty minutes, and of the clients those that are revoked.
INSERT INTO revocations (id, created_at, expires_at)
SELECT
    md5('ended session ' || number)::uuid,
    now() - number * interval '0.15 seconds',
    now() + interval '20 minutes' - number * interval '0.155 seconds'
FROM generate_series(1, 8000) AS number;
