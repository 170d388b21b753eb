-- depends: 0009.create-login-failures
-- Purpose: say in the database why a foreign key has no index, where it has none.
-- Locks: ACCESS SHARE on tasks, for an instant.
-- Order: at any time.

COMMENT ON CONSTRAINT tasks_status_fkey ON tasks IS
    'No index supports it: a status in use is never deleted or renamed.';
