-- depends: 0005.create-removals
-- Purpose: the statements run as a role that may do what they do, and nothing else.
-- Locks: none on a table.
-- Order: before anything connects as a member of notes_app.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['notes_app', 'notes_readonly'] LOOP
        CONTINUE WHEN to_regrole(role_name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                -- Roles are of the whole server, and another database of it was migrated at the same moment.
                NULL;
        END;
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO notes_app, notes_readonly', current_schema());
END;
$$;

GRANT SELECT, INSERT (email, password_hash), UPDATE (password_hash), DELETE ON members TO notes_app;

GRANT SELECT, DELETE ON notes TO notes_app;
GRANT INSERT (member_id, title, body, topic), UPDATE (title, body, topic) ON notes TO notes_app;

GRANT SELECT, INSERT (digest) ON removals TO notes_app;

GRANT SELECT, INSERT (member_id, note_id, number, body, expires_at), UPDATE (expires_at), DELETE ON revisions
TO notes_app;

GRANT SELECT ON topics TO notes_app;

GRANT SELECT ON notes, revisions, topics TO notes_readonly;
GRANT SELECT (id, email, created_at, updated_at) ON members TO notes_readonly;
GRANT SELECT (removed_at) ON removals TO notes_readonly;
