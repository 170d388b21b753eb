-- name: get_server_version()^
-- Whether the database answers, and which version it is.
-- Returns: ServerVersion, exactly one row.
-- Plan: no table.
SELECT current_setting('server_version') AS server_version;

-- name: list_applied_migrations()
-- The migrations that this database has had; yoyo keeps the table. They are few, so there are no pages.
-- Returns: AppliedMigration, many.
-- Plan: seq scan of _yoyo_migration, sort; they are a handful.
SELECT migration_id
FROM _yoyo_migration
ORDER BY migration_id;
