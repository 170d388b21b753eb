-- depends: 0002.create-topics
-- Purpose: the notes, each owned by one member.
-- Locks: SHARE ROW EXCLUSIVE on members and topics for the foreign keys, held for milliseconds.
-- Order: before the code that reads it.

CREATE TABLE notes (
    member_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    title varchar(200) NOT NULL,
    body varchar(2000),
    topic text NOT NULL DEFAULT 'draft',
    closed_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notes_pkey PRIMARY KEY (member_id, id),
    CONSTRAINT notes_member_id_fkey FOREIGN KEY (member_id) REFERENCES members (id) ON DELETE CASCADE,
    CONSTRAINT notes_topic_fkey FOREIGN KEY (topic) REFERENCES topics (topic),
    CONSTRAINT notes_title_blank_check CHECK (title ~ '\S'),
    CONSTRAINT notes_title_length_check CHECK (char_length(title) BETWEEN 1 AND 200),
    CONSTRAINT notes_version_positive_check CHECK (version > 0)
);

COMMENT ON TABLE notes IS 'What members want to remember. Every row belongs to exactly one member.';
COMMENT ON COLUMN notes.body IS 'NULL means none was given.';
COMMENT ON COLUMN notes.closed_at IS 'When the topic became one that is closed; NULL while it is not.';
COMMENT ON COLUMN notes.version IS 'Counts the changes of the row, from 1.';
COMMENT ON CONSTRAINT notes_topic_fkey ON notes IS
    'No index supports it: a topic in use is never deleted or renamed.';

CREATE INDEX notes_member_id_created_at_id_idx ON notes (member_id, created_at DESC, id DESC);
CREATE INDEX notes_member_id_topic_created_at_id_idx ON notes (member_id, topic, created_at DESC, id DESC);

CREATE FUNCTION notes_before_insert() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    IF (SELECT is_closed FROM topics WHERE topic = NEW.topic) THEN
        NEW.closed_at := coalesce(NEW.closed_at, now());
    ELSE
        NEW.closed_at := NULL;
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION notes_before_insert() IS 'Makes closed_at follow the topic.';

CREATE FUNCTION notes_before_update() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    NEW.member_id := OLD.member_id;
    NEW.id := OLD.id;
    NEW.closed_at := OLD.closed_at;
    NEW.version := OLD.version;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := OLD.updated_at;
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF NEW.topic IS DISTINCT FROM OLD.topic THEN
        IF (SELECT is_closed FROM topics WHERE topic = NEW.topic) THEN
            NEW.closed_at := coalesce(OLD.closed_at, clock_timestamp());
        ELSE
            NEW.closed_at := NULL;
        END IF;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION notes_before_update() IS
    'Keeps the keys and created_at; on a change, bumps version, moves updated_at, makes closed_at follow the topic.';

CREATE TRIGGER notes_set_closed_at
BEFORE INSERT ON notes
FOR EACH ROW
EXECUTE FUNCTION notes_before_insert();

CREATE TRIGGER notes_set_updated_at
BEFORE UPDATE ON notes
FOR EACH ROW
EXECUTE FUNCTION notes_before_update();
