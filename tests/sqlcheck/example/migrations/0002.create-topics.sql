-- depends: 0001.create-members
-- Purpose: the topics that notes are kept under, as rows, so that a new one is an INSERT and not DDL.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

CREATE TABLE topics (
    topic text NOT NULL,
    is_closed boolean NOT NULL,
    position integer NOT NULL,
    CONSTRAINT topics_pkey PRIMARY KEY (topic),
    CONSTRAINT topics_position_key UNIQUE (position)
);

COMMENT ON TABLE topics IS 'The topics of notes, which all members share; a new topic is a new row.';
COMMENT ON COLUMN topics.is_closed IS 'Whether a note under this topic is closed.';
COMMENT ON COLUMN topics.position IS 'The order in which people see the topics.';

INSERT INTO topics (topic, is_closed, position)
VALUES
    ('draft', false, 10),
    ('shared', false, 20),
    ('archive', true, 30);
