-- depends: 0005.create-search-collation
-- Purpose: access tokens that have been issued can be stopped before they expire, in every process that checks them.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

CREATE TABLE revocations (
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT revocations_pkey PRIMARY KEY (id)
);

COMMENT ON TABLE revocations IS
    'Sessions and service clients that are no more, for as long as an access token of theirs could still be good.';
COMMENT ON COLUMN revocations.id IS 'Of the session or the client. No foreign key: what it names may be gone.';
COMMENT ON COLUMN revocations.expires_at IS 'No access token is good after this; infinity for a client.';

-- For those who ask what is new, page by page, and for the purge.
CREATE INDEX revocations_created_at_id_idx ON revocations (created_at, id);
CREATE INDEX revocations_expires_at_idx ON revocations (expires_at);

CREATE FUNCTION revocations_after_insert() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_notify('revocations', NEW.id || ' ' || extract(epoch FROM NEW.expires_at));
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION revocations_after_insert() IS
    'Tells every process that listens, when the transaction commits: the id, a space, and when it expires (epoch seconds).';

CREATE TRIGGER revocations_announce
AFTER INSERT ON revocations
FOR EACH ROW
EXECUTE FUNCTION revocations_after_insert();
