-- depends: 0001.create-users
-- Purpose: the states that a task can be in, as rows, so that a new one is an INSERT and not DDL.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

CREATE TABLE task_statuses (
    status text NOT NULL,
    is_done boolean NOT NULL,
    position integer NOT NULL,
    CONSTRAINT task_statuses_pkey PRIMARY KEY (status),
    CONSTRAINT task_statuses_position_key UNIQUE (position),
    CONSTRAINT task_statuses_status_format_check CHECK (status ~ '^[a-z][a-z0-9_]{0,62}$')
);

COMMENT ON TABLE task_statuses IS 'The states that a task can be in; a new state is a new row.';
COMMENT ON COLUMN task_statuses.is_done IS 'Whether a task in this state counts as completed.';
COMMENT ON COLUMN task_statuses.position IS 'The order in which people see the states.';

INSERT INTO task_statuses (status, is_done, position)
VALUES
    ('incomplete', false, 10),
    ('in_progress', false, 20),
    ('complete', true, 30);
