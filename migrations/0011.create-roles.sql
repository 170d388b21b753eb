-- depends: 0010.comment-foreign-keys
-- Purpose: the service runs as a role that may do what its statements do, and nothing else.
-- Locks: none on a table.
-- Order: before anything connects as a member of task_app.
--
-- task_owner migrates, task_app runs, task_readonly looks, and sees no secret. None of them can log in: who does is made
-- a member (docs/roles.sql). What task_app may is derived from the statements, and checked against them.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['task_owner', 'task_app', 'task_readonly'] LOOP
        CONTINUE WHEN to_regrole(role_name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                -- Roles are of the whole server, and another database of it was migrated at the same moment.
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'there is no role %, and % may not create roles: have docs/roles.sql run first',
                    role_name, current_user;
        END;
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO task_owner, task_app, task_readonly', current_schema());
END;
$$;

GRANT SELECT ON _yoyo_migration TO task_app;

GRANT SELECT, INSERT (name, scopes, secret_hash) ON clients TO task_app;
GRANT UPDATE (secret_hash, previous_secret_hash, previous_secret_expires_at, revoked_at) ON clients TO task_app;

GRANT SELECT, DELETE ON idempotency_records TO task_app;
GRANT INSERT (caller_id, key, user_id, fingerprint, status, location, etag, body) ON idempotency_records TO task_app;
GRANT UPDATE (user_id, fingerprint, status, location, etag, body, expires_at) ON idempotency_records TO task_app;

GRANT SELECT, INSERT (subject), UPDATE (failures, expires_at), DELETE ON login_failures TO task_app;

-- To lock a row takes the right to update some column of it, and what is purged is locked.
GRANT SELECT, INSERT (id, expires_at), UPDATE (expires_at), DELETE ON revocations TO task_app;

GRANT SELECT, DELETE ON sessions TO task_app;
GRANT INSERT (user_id, id, token_hash, expires_at, access_expires_at) ON sessions TO task_app;
GRANT UPDATE (token_hash, successor_salt, expires_at, access_expires_at) ON sessions TO task_app;

GRANT SELECT, DELETE ON spent_refresh_tokens TO task_app;
GRANT INSERT (user_id, session_id, token_hash, expires_at), UPDATE (expires_at) ON spent_refresh_tokens TO task_app;

GRANT SELECT ON task_statuses TO task_app;

GRANT SELECT, DELETE ON tasks TO task_app;
GRANT INSERT (user_id, title, description, status), UPDATE (title, description, status) ON tasks TO task_app;

GRANT SELECT, INSERT (email, password_hash), UPDATE (password_hash), DELETE ON users TO task_app;

GRANT SELECT ON _yoyo_migration, revocations, task_statuses, tasks TO task_readonly;
GRANT SELECT (id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at) ON clients
TO task_readonly;
GRANT SELECT (caller_id, user_id, status, expires_at) ON idempotency_records TO task_readonly;
GRANT SELECT (failures, expires_at) ON login_failures TO task_readonly;
GRANT SELECT (user_id, id, expires_at, access_expires_at, created_at) ON sessions TO task_readonly;
GRANT SELECT (user_id, session_id, spent_at, expires_at) ON spent_refresh_tokens TO task_readonly;
GRANT SELECT (id, email, created_at, updated_at) ON users TO task_readonly;
