-- The statements that read pg_stat_statements, in alphabetical order.

-- name: get_extent()^
-- The time since which it has counted, and how often it has had to forget statements.
SELECT stats_reset, dealloc
FROM pg_stat_statements_info;

-- name: list_statements()
-- The counts for this database, summed over the users and the wordings of a statement; the costliest first. A tag
-- stands behind the first word: service/database/queries.py puts it there. NULL for the text means that it is hidden.
WITH entry AS (
    SELECT
        (regexp_match(query, '^\s*\w+ /\* (\w+) \*/'))[1] AS name,
        CASE WHEN query <> '<insufficient privilege>' THEN query END AS text,
        calls,
        plans,
        total_exec_time,
        mean_exec_time,
        stddev_exec_time,
        max_exec_time,
        rows,
        shared_blks_hit,
        shared_blks_read
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND toplevel
        -- The statements here, by which somebody looks at the counts, do not count.
        AND strpos(query, 'pg_stat_statements') = 0
)

SELECT
    name,
    min(text) AS text,
    sum(calls)::bigint AS calls,
    sum(plans)::bigint AS plans,
    sum(total_exec_time) AS total_ms,
    sum(total_exec_time) / sum(calls) AS mean_ms,
    -- The mean of the squares less the square of the mean, of all the calls.
    sqrt(
        greatest(
            sum(calls * (stddev_exec_time ^ 2 + mean_exec_time ^ 2)) / sum(calls)
            - (sum(total_exec_time) / sum(calls)) ^ 2,
            0
        )
    ) AS stddev_ms,
    max(max_exec_time) AS max_ms,
    sum(rows)::bigint AS rows,
    sum(shared_blks_hit)::bigint AS blocks_hit,
    sum(shared_blks_read)::bigint AS blocks_read
FROM entry
WHERE calls > 0
GROUP BY name, CASE WHEN name IS NULL THEN text END
ORDER BY total_ms DESC, name, text;

-- name: look_in_its_schema()$
-- Find its views without naming the schema that they are in, until the transaction ends. No row: it is not installed.
SELECT set_config('search_path', quote_ident(pg_namespace.nspname), true)
FROM pg_extension AS pg_stat_statements
JOIN pg_namespace ON pg_namespace.oid = pg_stat_statements.extnamespace
WHERE pg_stat_statements.extname = 'pg_stat_statements';
