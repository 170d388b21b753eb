-- The statements that tell what a migration locks, in alphabetical order.

-- name: hold_up()!
-- Read from every table, so that nothing can be done CONCURRENTLY to an index until this transaction ends: to drop one
-- waits for whoever uses the table, and to make one waits for whoever may see the rows as they were.
DO $$
DECLARE
    name regclass;
BEGIN
    FOR name IN
        SELECT c.oid
        FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm')
            AND n.nspname <> 'information_schema'
            AND NOT starts_with(n.nspname, 'pg_')
    LOOP
        -- What plans no scan also reads from a materialised view that has not been filled, which LOCK refuses.
        EXECUTE 'SELECT FROM ' || name || ' WHERE false';
    END LOOP;
END;
$$;

-- name: is_waiting(pid)$
-- True if a session waits for another one's transaction to end.
SELECT EXISTS (
    SELECT FROM pg_locks AS l
    WHERE l.pid = :pid
        AND l.locktype = 'virtualxid'
        AND NOT l.granted
);

-- name: limit_statements()!
-- Give up what takes a minute, on a database that has no rows.
SET statement_timeout = '1min';

-- name: list_indexed_tables(pid)
-- The table of which a session makes an index CONCURRENTLY: that always reads the whole of it.
SELECT p.relid
FROM pg_stat_progress_create_index AS p
WHERE p.pid = :pid;

-- name: list_locks(pid)
-- The relations that a session has locked, and how: ROW SHARE, not RowShareLock. ACCESS SHARE does not count: every
-- SELECT takes it, it stops nothing but what stops everything, and PostgreSQL 18 takes it where 15 does not (GRANT).
SELECT l.relation, upper(ltrim(regexp_replace(left(l.mode, -length('Lock')), '([A-Z])', ' \1', 'g'))) AS mode
FROM pg_locks AS l
WHERE l.pid = :pid
    AND l.relation IS NOT NULL
    AND l.mode <> 'AccessShareLock';

-- name: list_relations()
-- The relations that can be locked: tables and views, by their own names; indexes by their table's, since whoever uses
-- that locks them, too; a sequence that belongs to a column by its table's. Left out are those of PostgreSQL, of yoyo
-- and of the runner.
-- `file` changes when a table is rewritten; `scans` grows when it is read from one end to the other.
SELECT
    c.oid,
    named.oid::regclass::text AS name,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_filenode(c.oid) END AS file,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_stat_get_xact_numscans(c.oid) END AS scans
FROM pg_class AS c
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN pg_depend AS d
    ON d.classid = 'pg_class'::regclass
    AND d.objid = c.oid
    AND d.refclassid = 'pg_class'::regclass
    AND c.relkind = 'S'
INNER JOIN pg_class AS named ON named.oid = coalesce(i.indrelid, d.refobjid, c.oid)
INNER JOIN pg_namespace AS n ON n.oid = named.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v', 'S', 'i', 'I')
    AND n.nspname <> 'information_schema'
    AND NOT starts_with(n.nspname, 'pg_')
    AND NOT starts_with(named.relname, '_')
    AND named.relname <> 'yoyo_lock';
