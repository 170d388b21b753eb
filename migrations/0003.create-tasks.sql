-- depends: 0002.create-task-statuses
-- Purpose: the tasks, each owned by one user.
-- Locks: SHARE ROW EXCLUSIVE on users and task_statuses for the foreign keys, held for milliseconds.
-- Order: before the code that reads it.

CREATE TABLE tasks (
    user_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    title varchar(200) NOT NULL,
    description varchar(2000),
    status text NOT NULL DEFAULT 'incomplete',
    completed_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The owner comes first: no statement can find a task without naming its owner, and the table can be distributed
    -- by user_id.
    CONSTRAINT tasks_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    -- No index supports this one: a status in use is never deleted or renamed.
    CONSTRAINT tasks_status_fkey FOREIGN KEY (status) REFERENCES task_statuses (status),
    CONSTRAINT tasks_title_length_check CHECK (char_length(title) BETWEEN 1 AND 200),
    -- White space as Unicode has it, the no-break space and its kin included, whatever the locale of the database.
    CONSTRAINT tasks_title_blank_check
    CHECK (title ~ '[^[:space:]\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'),
    CONSTRAINT tasks_description_length_check CHECK (char_length(description) <= 2000),
    CONSTRAINT tasks_version_positive_check CHECK (version > 0)
);

COMMENT ON TABLE tasks IS 'What users want done. Every row belongs to exactly one user.';
COMMENT ON COLUMN tasks.title IS 'As sent, outer white space included; never blank.';
COMMENT ON COLUMN tasks.description IS 'NULL means none was given; an empty one is kept as such.';
COMMENT ON COLUMN tasks.completed_at IS 'When the status became one that is done; NULL while it is not.';
COMMENT ON COLUMN tasks.version IS 'Counts the changes of the row, from 1; the ETag of the task.';

-- Neither index holds a column that every update changes, so that most updates stay heap-only.
CREATE INDEX tasks_user_id_created_at_id_idx ON tasks (user_id, created_at DESC, id DESC);
CREATE INDEX tasks_user_id_status_created_at_id_idx ON tasks (user_id, status, created_at DESC, id DESC);

CREATE FUNCTION tasks_before_insert() RETURNS trigger
LANGUAGE plpgsql
-- So that task_statuses is found where the session has another search_path, as pg_restore has.
SET search_path FROM CURRENT
AS $$
BEGIN
    IF (SELECT is_done FROM task_statuses WHERE status = NEW.status) THEN
        NEW.completed_at := coalesce(NEW.completed_at, now());
    ELSE
        NEW.completed_at := NULL;
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION tasks_before_insert() IS 'Makes completed_at follow the status.';

CREATE FUNCTION tasks_before_update() RETURNS trigger
LANGUAGE plpgsql
-- So that task_statuses is found where the session has another search_path, as pg_restore has.
SET search_path FROM CURRENT
AS $$
BEGIN
    NEW.user_id := OLD.user_id;
    NEW.id := OLD.id;
    NEW.completed_at := OLD.completed_at;
    NEW.version := OLD.version;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := OLD.updated_at;
    -- A no-op goes through unchanged rather than being suppressed (RETURN NULL), so that UPDATE ... RETURNING still
    -- answers with the row as it is now, also after waiting for another writer.
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF NEW.status IS DISTINCT FROM OLD.status THEN
        IF (SELECT is_done FROM task_statuses WHERE status = NEW.status) THEN
            NEW.completed_at := coalesce(OLD.completed_at, clock_timestamp());
        ELSE
            NEW.completed_at := NULL;
        END IF;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION tasks_before_update() IS
    'Keeps the keys and created_at; on a change, bumps version, moves updated_at, makes completed_at follow the status.';

CREATE TRIGGER tasks_set_completed_at
BEFORE INSERT ON tasks
FOR EACH ROW
EXECUTE FUNCTION tasks_before_insert();

CREATE TRIGGER tasks_set_updated_at
BEFORE UPDATE ON tasks
FOR EACH ROW
EXECUTE FUNCTION tasks_before_update();
