-- Two members who have the same everywhere, down to the ids where these need not be unique, and what becomes of it.

-- name: create_tables#
-- What the example has not: a table of nobody whose key is a member's, and one with a key that two members share.
CREATE TABLE departures (
    id uuid NOT NULL,
    leaves_at timestamptz NOT NULL,
    CONSTRAINT departures_pkey PRIMARY KEY (id)
);

CREATE TABLE labels (
    member_id uuid NOT NULL,
    shelf_id uuid NOT NULL,
    name text NOT NULL,
    size integer NOT NULL,
    CONSTRAINT labels_pkey PRIMARY KEY (shelf_id, name),
    CONSTRAINT labels_member_id_fkey FOREIGN KEY (member_id) REFERENCES members (id) ON DELETE CASCADE
);

-- name: create_member(id, name)!
-- A member.
INSERT INTO members (id, email, password_hash, created_at, updated_at)
VALUES (:id, :name || '@example.com', 'hash of ' || :name, 'epoch', 'epoch');

-- name: create_notes(id, name)!
-- Two notes of a member, with the ids of the two members.
INSERT INTO notes (member_id, id, title, created_at, updated_at)
VALUES
    (:id, '00000000-0000-4000-8000-00000000000a', 'first of ' || :name, 'epoch', 'epoch'),
    (:id, '00000000-0000-4000-8000-00000000000b', 'second of ' || :name, 'epoch', 'epoch');

-- name: create_revision(id)!
-- A revision of the note that has the id of Alice.
INSERT INTO revisions (member_id, note_id, number, body, saved_at, expires_at)
VALUES (:id, '00000000-0000-4000-8000-00000000000a', 1, 'as it was', 'epoch', 'infinity');

-- name: create_label(id, name)!
-- A label of a member, on a shelf that everybody shares.
INSERT INTO labels (member_id, shelf_id, name, size)
VALUES (:id, '00000000-0000-4000-8000-00000000000e', :name, 1);

-- name: create_departure(id)!
-- A row of a table of nobody whose key is a member's.
INSERT INTO departures (id, leaves_at)
VALUES (:id, 'infinity');

-- name: list_rows()
-- Every row, with its owner; without the times of its changes.
SELECT tables.name, tables.owner, tables.row - '{created_at, updated_at, saved_at}'::text[] AS row
FROM (
    SELECT 'members' AS name, id AS owner, to_jsonb(members) AS row
    FROM members
    UNION ALL
    SELECT 'notes', member_id, to_jsonb(notes)
    FROM notes
    UNION ALL
    SELECT 'revisions', member_id, to_jsonb(revisions)
    FROM revisions
    UNION ALL
    SELECT 'labels', member_id, to_jsonb(labels)
    FROM labels
    UNION ALL
    SELECT 'departures', NULL, to_jsonb(departures)
    FROM departures
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
