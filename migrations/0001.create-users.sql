-- depends:
-- Purpose: the people who own tasks.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

CREATE TABLE users (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    email varchar(255) NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (id),
    -- The service canonicalises an address before it stores it, so that plain equality is enough to be unique
    -- without regard to case.
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_email_canonical_check CHECK (email = lower(email) AND email LIKE '_%@_%')
);

COMMENT ON TABLE users IS 'People who own tasks.';
COMMENT ON COLUMN users.email IS 'Canonical form: NFKC, lower case, the domain in its ASCII (IDNA) form.';
COMMENT ON COLUMN users.password_hash IS 'bcrypt over base64(HMAC-SHA-384(pepper, password)); never leaves this row.';

CREATE FUNCTION users_before_update() RETURNS trigger
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

COMMENT ON FUNCTION users_before_update() IS 'Keeps id and created_at; moves updated_at when something changed.';

CREATE TRIGGER users_set_updated_at
BEFORE UPDATE ON users
FOR EACH ROW
EXECUTE FUNCTION users_before_update();
