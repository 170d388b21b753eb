-- depends: 0003.create-notes
-- Purpose: what the body of a note said before, for a while.
-- Locks: SHARE ROW EXCLUSIVE on notes for the foreign key, held for milliseconds.
-- Order: before the code that reads it.

CREATE TABLE revisions (
    member_id uuid NOT NULL,
    note_id uuid NOT NULL,
    number integer NOT NULL,
    body varchar(2000) NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT revisions_pkey PRIMARY KEY (member_id, note_id, number),
    CONSTRAINT revisions_member_id_note_id_fkey FOREIGN KEY (member_id, note_id) REFERENCES notes (member_id, id)
    ON DELETE CASCADE
);

COMMENT ON TABLE revisions IS 'What notes said before. They go with their note, or when they expire.';

CREATE INDEX revisions_expires_at_idx ON revisions (expires_at);
