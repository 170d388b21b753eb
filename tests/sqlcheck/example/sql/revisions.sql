-- name: create_revision(member_id, id, number, ttl)^
-- Keep what a note says now, for a while.
-- Takes: NoteKey, number from Revision, ttl from Settings.revision_ttl.
-- Returns: RevisionKey, no row when the member has no such note, or it has no body.
-- Raises: revisions_pkey (there is a revision of that number).
-- Plan: notes_pkey, insert.
INSERT INTO revisions (member_id, note_id, number, body, expires_at)
SELECT notes.member_id, notes.id, :number, notes.body, now() + make_interval(secs => :ttl)
FROM notes
WHERE notes.member_id = :member_id
    AND notes.id = :id
    AND notes.body IS NOT NULL
RETURNING member_id, note_id, number;

-- name: delete_revisions(member_id, note_id, spared_number)
-- Remove the revisions of a note, but for one where one is to be spared.
-- Takes: RevisionsOfNote, SparedRevision.
-- Returns: RevisionKey, many: those that were removed, in no order.
-- Plan: revisions_pkey.
DELETE FROM revisions
WHERE member_id = :member_id
    AND note_id = :note_id
    AND (:spared_number::integer IS NULL OR number <> :spared_number)
RETURNING member_id, note_id, number;

-- name: get_revision(member_id, note_id, number)^
-- What a note said before, with what it is called now.
-- Takes: RevisionKey.
-- Returns: Revision, no row when there is no such revision.
-- Plan: revisions_pkey, notes_pkey.
SELECT revisions.member_id, revisions.note_id, revisions.number, revisions.body, revisions.saved_at, notes.title
FROM revisions
JOIN notes
    ON notes.member_id = revisions.member_id
    AND notes.id = revisions.note_id
WHERE revisions.member_id = :member_id
    AND revisions.note_id = :note_id
    AND revisions.number = :number;

-- name: purge_revisions(batch_size)$
-- Remove revisions that have expired, but for those that another transaction holds.
-- Takes: PurgeBatch.
-- Returns: integer, how many it removed; fewer than batch_size means that no more are to be had.
-- Plan: revisions_expires_at_idx, tid scan, no sort.
-- Scope: all members, since time passes for everybody.
WITH removed AS (
    DELETE FROM revisions
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM revisions
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT :batch_size
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING number
)

SELECT count(*)
FROM removed;
