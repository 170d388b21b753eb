-- depends: 0007.create-sessions
-- Purpose: other services call this one as themselves, each with a secret and scopes of its own.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

CREATE TABLE clients (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name varchar(100) NOT NULL,
    scopes text [] NOT NULL,
    secret_hash bytea NOT NULL,
    previous_secret_hash bytea,
    previous_secret_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT clients_pkey PRIMARY KEY (id),
    CONSTRAINT clients_name_check CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9 ._-]*$'),
    CONSTRAINT clients_scopes_check CHECK (scopes <@ ARRAY['tasks:read', 'tasks:write'] AND cardinality(scopes) > 0),
    CONSTRAINT clients_secret_hash_length_check CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT clients_previous_secret_check
    CHECK (octet_length(previous_secret_hash) = 32 AND previous_secret_expires_at IS NOT NULL
        OR previous_secret_hash IS NULL AND previous_secret_expires_at IS NULL)
);

COMMENT ON TABLE clients IS 'Services that call this one as themselves, by the client_credentials grant of OAuth 2.0.';
COMMENT ON COLUMN clients.scopes IS 'What it may do with the tasks of any user.';
COMMENT ON COLUMN clients.secret_hash IS
    'SHA-256 of the secret, which is 256 random bits: nothing slower would make it harder to guess.';
COMMENT ON COLUMN clients.previous_secret_hash IS
    'The secret before, which is good beside the other until it expires; NULL means there is none.';
COMMENT ON COLUMN clients.revoked_at IS 'NULL means it may call. Once revoked, it stays so.';

-- A revoked client lets go of its name.
CREATE UNIQUE INDEX clients_name_key ON clients (name) WHERE revoked_at IS NULL;

CREATE FUNCTION clients_before_update() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := OLD.updated_at;
    NEW.revoked_at := coalesce(OLD.revoked_at, NEW.revoked_at);
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION clients_before_update() IS
    'Keeps id, created_at and, once set, revoked_at; moves updated_at when something changed.';

CREATE TRIGGER clients_set_updated_at
BEFORE UPDATE ON clients
FOR EACH ROW
EXECUTE FUNCTION clients_before_update();

CREATE FUNCTION clients_after_revocation() RETURNS trigger
LANGUAGE plpgsql
-- So that revocations is found whoever revokes, with whatever search_path.
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO revocations (id, expires_at)
    VALUES (OLD.id, 'infinity')
    ON CONFLICT ON CONSTRAINT revocations_pkey DO NOTHING;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION clients_after_revocation() IS 'Stops the access tokens of a client that is revoked or deleted.';

CREATE TRIGGER clients_revoke
AFTER UPDATE ON clients
FOR EACH ROW
WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION clients_after_revocation();

CREATE TRIGGER clients_revoke_deleted
AFTER DELETE ON clients
FOR EACH ROW
EXECUTE FUNCTION clients_after_revocation();
