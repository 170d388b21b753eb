-- The statements of the migration runner, in alphabetical order. Two of them share the key of the lock:
-- 1952543595 and 1835624306 are "task" and "migr" in ASCII.

-- name: forbid_idle_timeout()!
-- Keep the session, and so the lock, however long another session takes to run a migration.
SET idle_session_timeout = 0;

-- name: get_lock_holder()^
-- Who runs migrations in this database just now. No row means nobody, or nobody any more.
SELECT l.pid, nullif(a.application_name, '') AS application_name
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = 1952543595
    AND l.objid = 1835624306
    AND l.objsubid = 2
    AND l.granted;

-- name: has_migration_table()$
-- Whether yoyo's own table is there yet: it is made by the first run.
SELECT to_regclass('_yoyo_migration') IS NOT NULL;

-- name: list_applied()
-- The migrations that yoyo has noted as applied, oldest first. It keeps their time in UTC, without saying so.
SELECT migration_id, applied_at_utc AT TIME ZONE 'UTC' AS applied_at
FROM _yoyo_migration
ORDER BY applied_at_utc, migration_id;

-- name: may_create_tables()$
-- Whether this role may create tables where the migrations would; NULL where no schema of its search_path exists.
SELECT has_schema_privilege(current_schema(), 'CREATE');

-- name: reset_search_path()!
-- Undo what a migration may have set, so that yoyo's tables are found again.
RESET search_path;

-- name: try_lock()$
-- Take the lock on migrating this database, if it is free, until this session ends.
SELECT pg_try_advisory_lock(1952543595, 1835624306);
