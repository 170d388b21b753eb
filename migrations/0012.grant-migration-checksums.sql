-- depends: 0011.create-roles
-- Purpose: whoever may only look can tell whether what was applied is what the files say.
-- Locks: none on existing tables.
-- Order: at any time.
--
-- The runner keeps _migration_checksum for itself, beside yoyo's tables, and makes it before it applies anything.

GRANT SELECT ON _migration_checksum TO task_readonly;
