-- depends:
-- Purpose: the people who keep notes.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

CREATE TABLE members (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    email varchar(255) NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT members_pkey PRIMARY KEY (id),
    CONSTRAINT members_email_key UNIQUE (email),
    CONSTRAINT members_email_canonical_check CHECK (email = lower(email))
);

COMMENT ON TABLE members IS 'People who keep notes.';
COMMENT ON COLUMN members.email IS 'In lower case.';

CREATE FUNCTION members_before_update() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := OLD.updated_at;
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION members_before_update() IS 'Keeps id and created_at; moves updated_at when something changed.';

CREATE TRIGGER members_set_updated_at
BEFORE UPDATE ON members
FOR EACH ROW
EXECUTE FUNCTION members_before_update();
