-- Loses: what was granted. The roles stay, since they are of the whole server.

REVOKE ALL ON members, notes, removals, revisions, topics FROM notes_app, notes_readonly;

DO $$
BEGIN
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM notes_app, notes_readonly', current_schema());
END;
$$;
