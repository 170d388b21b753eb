-- depends: 0004.create-revisions
-- Purpose: that a note was removed, for those who keep copies.
-- Locks: SHARE ROW EXCLUSIVE on notes for the trigger, held for milliseconds.
-- Order: before the code that reads it.

CREATE TABLE removals (
    digest bytea NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT removals_pkey PRIMARY KEY (digest)
);

COMMENT ON TABLE removals IS 'Notes that are no more, by a digest, so that nobody learns whose they were.';

CREATE INDEX removals_removed_at_digest_idx ON removals (removed_at, digest);

CREATE FUNCTION notes_after_delete() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO removals (digest) VALUES (sha256(OLD.id::text::bytea)) ON CONFLICT (digest) DO NOTHING;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION notes_after_delete() IS 'Notes the removal.';

CREATE TRIGGER notes_note_removal
AFTER DELETE ON notes
FOR EACH ROW
EXECUTE FUNCTION notes_after_delete();
