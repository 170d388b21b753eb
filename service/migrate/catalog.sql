-- The statements of the migration runner, in alphabetical order. Two of them share the key of the lock:
-- 1952543595 and 1835624306 are "task" and "migr" in ASCII.

-- name: begin_work(migration_id, checksum)!
-- Note that a migration that is not transactional is about to change something, or to be taken back.
INSERT INTO _migration_checksum (migration_id, checksum, is_unfinished)
VALUES (:migration_id, :checksum, true)
ON CONFLICT (migration_id) DO UPDATE SET checksum = excluded.checksum, is_unfinished = true;

-- name: cancel_work(migration_id)!
-- Forget what begin_work has noted, since the statement failed. Of one that is applied it is kept: that is a rollback,
-- which may have left half of what it takes back.
DELETE FROM _migration_checksum
WHERE migration_id = :migration_id
    AND NOT EXISTS (SELECT FROM _yoyo_migration AS y WHERE y.migration_id = :migration_id);

-- name: create_checksum_table()!
-- Make the table in which the runner keeps what yoyo does not: the content of what was applied.
CREATE TABLE IF NOT EXISTS _migration_checksum (
    migration_id text NOT NULL,
    checksum text NOT NULL,
    out_of_order boolean NOT NULL DEFAULT false,
    is_unfinished boolean NOT NULL DEFAULT false,
    noted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT _migration_checksum_pkey PRIMARY KEY (migration_id)
);

-- name: forget_checksum(migration_id)!
-- Forget a migration that has been taken back.
DELETE FROM _migration_checksum
WHERE migration_id = :migration_id;

-- name: get_index(name, table_name)^
-- An index by its name, in the schema of its table, where it would be made; with the statement that drops it without
-- blocking anybody. No row means there is none. A role that may not see which index another session makes takes it for
-- this one.
SELECT
    i.indisvalid,
    i.indrelid = to_regclass(:table_name) AS is_of_table,
    EXISTS (
        SELECT
        FROM pg_stat_progress_create_index AS p
        WHERE p.datname = current_database()
            AND coalesce(p.index_relid, i.indexrelid) = i.indexrelid
    ) AS is_being_made,
    concat('DROP INDEX CONCURRENTLY ', i.indexrelid::regclass) AS dropping
FROM pg_index AS i
INNER JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relname = :name
    AND c.relnamespace = (SELECT t.relnamespace FROM pg_class AS t WHERE t.oid = to_regclass(:table_name));

-- name: get_lock_holder()^
-- The session that runs migrations in this database just now. No row means nobody, or nobody any more.
SELECT
    l.pid,
    nullif(a.application_name, '') AS application_name,
    a.state,
    extract(EPOCH FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::float AS seconds
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = 1952543595
    AND l.objid = 1835624306
    AND l.objsubid = 2
    AND l.granted;

-- name: get_schema()$
-- The schema in which the migrations make what they make.
SELECT current_schema();

-- name: has_migration_table()$
-- True if yoyo's own table is there: it is made by the first run.
SELECT to_regclass('_yoyo_migration') IS NOT NULL;

-- name: is_read_only()$
-- True if nothing can be written here, as on a standby.
SELECT current_setting('transaction_read_only')::boolean;

-- name: list_applied()
-- The migrations that yoyo has noted as applied, oldest first. It keeps their time in UTC, without saying so.
SELECT migration_id, applied_at_utc AT TIME ZONE 'UTC' AS applied_at
FROM _yoyo_migration
ORDER BY applied_at_utc, migration_id;

-- name: list_blockers(pid)
-- The sessions that a session waits for. A role that may not see the activity of others learns no more than their pid.
SELECT
    b.pid,
    nullif(a.application_name, '') AS application_name,
    a.state,
    extract(EPOCH FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::float AS seconds
FROM unnest(pg_blocking_pids(:pid)) AS b (pid)
LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid
ORDER BY b.pid;

-- name: list_checksums()
-- The notes on each migration, begun ones included.
SELECT migration_id, checksum, out_of_order, is_unfinished
FROM _migration_checksum
ORDER BY migration_id;

-- name: list_invalid_indexes()
-- The indexes that every write maintains and no query uses: a CREATE INDEX CONCURRENTLY failed, or goes on.
SELECT i.indexrelid::regclass::text AS name
FROM pg_index AS i
INNER JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid
    AND c.relkind = 'i'
    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
ORDER BY name;

-- name: may_create_tables()$
-- True if this role may create tables where the migrations would; NULL where no schema of its search_path exists.
SELECT has_schema_privilege(current_schema(), 'CREATE');

-- name: may_read_checksums()$
-- True if the runner's own table is there, and this role may read it.
SELECT coalesce(has_table_privilege(to_regclass('_migration_checksum'), 'SELECT'), false);

-- name: note_checksum(migration_id, checksum, out_of_order)!
-- Note what has been applied.
INSERT INTO _migration_checksum (migration_id, checksum, out_of_order)
VALUES (:migration_id, :checksum, :out_of_order)
ON CONFLICT (migration_id) DO UPDATE
SET
    checksum = excluded.checksum,
    out_of_order = _migration_checksum.out_of_order OR excluded.out_of_order,
    is_unfinished = false;

-- name: prepare_session(lock_timeout, statement_timeout)!
-- Set what a session that migrates needs: it may be idle as long as it has to, so that the lock is kept; it ends within
-- seconds of its client, so that the lock is not kept by a statement that nobody waits for any more.
SELECT
    set_config('lock_timeout', :lock_timeout, false),
    set_config('statement_timeout', :statement_timeout, false),
    set_config('idle_session_timeout', '0', false),
    set_config('idle_in_transaction_session_timeout', '0', false),
    set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false),
    -- Other systems cannot tell.
    CASE WHEN strpos(version(), 'linux') > 0 THEN set_config('client_connection_check_interval', '1s', false) END;

-- name: reset_role()!
-- Undo a SET ROLE of a migration, so that what is noted is noted by whom it should be.
RESET ROLE;

-- name: reset_settings()!
-- Undo what a migration may have set, so that yoyo's tables are found again.
RESET ALL;

-- name: try_lock()$
-- Take the lock on migrating this database, if it is free, until this session ends.
SELECT pg_try_advisory_lock(1952543595, 1835624306);
