-- depends: 0004.create-idempotency-records
-- Purpose: a search ignores the case of letters beyond ASCII, whatever the locale of the database.
-- Locks: none on existing tables.
-- Order: before the code that reads it.

DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        CREATE COLLATION tasks_search (provider = builtin, locale = 'C.UTF-8');
    ELSE
        -- Of the operating system, since PostgreSQL has none of its own before 17.
        CREATE COLLATION tasks_search (provider = libc, lc_collate = 'C', lc_ctype = 'C.UTF-8');
    END IF;
END;
$$;

COMMENT ON COLLATION tasks_search IS 'Knows the case of every letter of Unicode, in no language in particular.';
