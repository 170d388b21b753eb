-- name: create_note(member_id, title, body, topic)^
-- Add a note for its owner.
-- Takes: NoteOwner, NoteDraft.
-- Returns: Note, exactly one row.
-- Raises: notes_member_id_fkey (the owner is gone), notes_topic_fkey (no such topic), notes_title_blank_check,
-- notes_title_length_check (as the schema has said before).
-- Plan: insert.
INSERT INTO notes (member_id, title, body, topic)
VALUES (:member_id, :title, :body, :topic)
RETURNING member_id, id, title, body, topic, closed_at, version, created_at, updated_at;

-- name: delete_note(member_id, id, versions)^
-- Remove a note, if it is at one of the given versions; NULL means at any.
-- Takes: NoteAtVersions.
-- Returns: NoteKey, no row when the member has no such note at such a version.
-- Plan: notes_pkey.
DELETE FROM notes
WHERE member_id = :member_id
    AND id = :id
    AND (:versions::bigint[] IS NULL OR version = ANY (:versions))
RETURNING member_id, id;

-- name: get_note(member_id, id)^
-- One of a member's notes.
-- Takes: NoteKey.
-- Returns: Note, no row when the member has no such note.
-- Plan: notes_pkey.
SELECT member_id, id, title, body, topic, closed_at, version, created_at, updated_at
FROM notes
WHERE member_id = :member_id
    AND id = :id;

-- name: list_notes(member_id, before_created_at, before_id, page_size)
-- One page of a member's notes, newest first: those before the given position.
-- Takes: NewestFirst.
-- Returns: Note, many.
-- Plan: notes_member_id_created_at_id_idx, no sort.
SELECT member_id, id, title, body, topic, closed_at, version, created_at, updated_at
FROM notes
WHERE member_id = :member_id
    AND (created_at, id) < (:before_created_at, :before_id)
ORDER BY created_at DESC, id DESC
LIMIT :page_size;

-- name: list_notes_by_topic(member_id, topic, closed, before_created_at, before_id, page_size)
-- One page of a member's notes under one topic, or under every topic that is closed or is not; NULL leaves either open.
-- Takes: NewestFirst, NoteFilter.
-- Returns: Note, many.
-- Plan: notes_member_id_topic_created_at_id_idx, seq scan of topics, sort; of at most one page per topic.
SELECT
    newest.member_id,
    newest.id,
    newest.title,
    newest.body,
    newest.topic,
    newest.closed_at,
    newest.version,
    newest.created_at,
    newest.updated_at
FROM topics
CROSS JOIN LATERAL (
    SELECT member_id, id, title, body, topic, closed_at, version, created_at, updated_at
    FROM notes
    WHERE notes.member_id = :member_id
        AND notes.topic = topics.topic
        AND (notes.created_at, notes.id) < (:before_created_at, :before_id)
    ORDER BY notes.created_at DESC, notes.id DESC
    LIMIT :page_size
) AS newest
WHERE (:topic::text IS NULL OR topics.topic = :topic)
    AND (:closed::boolean IS NULL OR topics.is_closed = :closed)
ORDER BY newest.created_at DESC, newest.id DESC
LIMIT :page_size;

-- name: list_notes_matching(member_id, q, topic, closed, before_created_at, before_id, page_size)
-- One page of a member's notes whose title or body contains the text q, in whatever case its letters are.
-- Takes: NewestFirst, NoteSearch.
-- Returns: Note, many.
-- Plan: notes_member_id_created_at_id_idx, no sort, discards; it reads on until the page is full.
SELECT member_id, id, title, body, topic, closed_at, version, created_at, updated_at
FROM notes
WHERE member_id = :member_id
    AND (created_at, id) < (:before_created_at, :before_id)
    AND (:topic::text IS NULL OR topic = :topic)
    AND (:closed::boolean IS NULL OR (closed_at IS NOT NULL) = :closed)
    AND (strpos(lower(title), (SELECT lower(:q))) > 0 OR strpos(lower(body), (SELECT lower(:q))) > 0)
ORDER BY created_at DESC, id DESC
LIMIT :page_size;

-- name: list_notes_oldest_first(member_id, after_created_at, after_id, page_size)
-- As list_notes, but oldest first: those after the given position.
-- Takes: OldestFirst.
-- Returns: Note, many.
-- Plan: notes_member_id_created_at_id_idx, no sort.
SELECT member_id, id, title, body, topic, closed_at, version, created_at, updated_at
FROM notes
WHERE member_id = :member_id
    AND (created_at, id) > (:after_created_at, :after_id)
ORDER BY created_at, id
LIMIT :page_size;

-- name: update_note(member_id, id, versions, title, replaces_body, body, topic)^
-- Change what is given of a note, if it is at one of the given versions; NULL versions mean at any, a NULL title or
-- topic leaves it as it is.
-- Takes: NoteAtVersions, NoteChanges.
-- Returns: Note, no row when the member has no such note at such a version.
-- Raises: notes_topic_fkey (no such topic), notes_title_blank_check, notes_title_length_check (as the schema has said
-- before).
-- Plan: notes_pkey.
UPDATE notes
SET
    title = coalesce(:title, title),
    body = CASE WHEN :replaces_body THEN :body ELSE body END,
    topic = coalesce(:topic, topic)
WHERE member_id = :member_id
    AND id = :id
    AND (:versions::bigint[] IS NULL OR version = ANY (:versions))
RETURNING member_id, id, title, body, topic, closed_at, version, created_at, updated_at;
