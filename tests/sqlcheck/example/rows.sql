-- The rows that plans are made on, the same each time but for the moment that they are counted from. One of each table
-- is the example of the schemas.

-- 1,000 members.
INSERT INTO members (id, email, password_hash)
SELECT
    CASE number WHEN 1000 THEN '0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90' ELSE md5('member ' || number)::uuid END,
    CASE number WHEN 1000 THEN 'me@example.com' ELSE 'member' || number || '@example.com' END,
    CASE number WHEN 1000 THEN 'x' ELSE md5(number::text) END
FROM generate_series(1, 1000) AS number;

-- 4,000 notes: a tenth of them of one member, the rest of 90 others; most of them are closed.
INSERT INTO notes (member_id, id, title, body, topic, closed_at, created_at, updated_at)
SELECT
    members.id,
    CASE number WHEN 10 THEN '5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11' ELSE md5('note ' || number)::uuid END,
    CASE number % 7 WHEN 0 THEN 'About the plants' ELSE 'Number ' || number END,
    CASE WHEN number % 3 = 0 OR number = 10 THEN repeat('As we said the other day. ', 1 + number % 11) END,
    CASE WHEN number % 9 < 2 THEN 'draft' WHEN number % 9 = 2 THEN 'shared' ELSE 'archive' END,
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '40 minutes',
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '40 minutes',
    timestamptz '2026-11-22 09:30:00.123456+00' - number * interval '40 minutes'
FROM generate_series(1, 4000) AS number
JOIN members
    ON members.email = CASE number % 10 WHEN 0 THEN 'me@example.com' ELSE 'member' || 1 + number % 90 || '@example.com' END;

-- 8,000 revisions, of which some have expired.
INSERT INTO revisions (member_id, note_id, number, body, expires_at)
SELECT notes.member_id, notes.id, turn, 'As it was.', now() + interval '30 days' - rank * interval '16 minutes'
FROM (SELECT member_id, id, row_number() OVER (ORDER BY created_at, id) AS rank FROM notes) AS notes
CROSS JOIN generate_series(1, 2) AS turn;

-- 4,000 notes that are no more.
INSERT INTO removals (digest, removed_at)
SELECT sha256(('note ' || number)::bytea), timestamptz '2026-11-22 09:30:00+00' - number * interval '1 minute'
FROM generate_series(1, 4000) AS number;
