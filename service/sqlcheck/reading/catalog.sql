-- The statements by which the checks learn the schema, in alphabetical order. They look at the current schema alone.

-- name: list_columns()
-- Every column of every table, in order.
SELECT
    relation.relname AS table_name,
    attribute.attname AS name,
    format_type(attribute.atttypid, attribute.atttypmod) AS type,
    attribute.attnotnull AS not_null,
    pg_get_expr(attribute_default.adbin, attribute_default.adrelid) AS default_value,
    col_description(attribute.attrelid, attribute.attnum) AS comment
FROM pg_class AS relation
JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid
LEFT JOIN pg_attrdef AS attribute_default
    ON attribute_default.adrelid = attribute.attrelid
    AND attribute_default.adnum = attribute.attnum
WHERE relation.relnamespace = current_schema()::regnamespace
    AND relation.relkind IN ('r', 'p')
    AND attribute.attnum > 0
    AND NOT attribute.attisdropped
ORDER BY relation.relname, attribute.attnum;

-- name: list_constraints()
-- Every constraint of every table but NOT NULL: checks, keys and foreign keys.
SELECT
    relation.relname AS table_name,
    con.conname AS name,
    con.contype AS kind,
    ARRAY(
        SELECT attribute.attname::text
        FROM unnest(con.conkey) WITH ORDINALITY AS part (attnum, position)
        JOIN pg_attribute AS attribute ON attribute.attrelid = con.conrelid AND attribute.attnum = part.attnum
        ORDER BY part.position
    ) AS columns,
    referenced.relname AS referenced_table,
    ARRAY(
        SELECT attribute.attname::text
        FROM unnest(con.confkey) WITH ORDINALITY AS part (attnum, position)
        JOIN pg_attribute AS attribute ON attribute.attrelid = con.confrelid AND attribute.attnum = part.attnum
        ORDER BY part.position
    ) AS referenced_columns,
    pg_get_constraintdef(con.oid) AS definition,
    obj_description(con.oid, 'pg_constraint') AS comment
FROM pg_constraint AS con
JOIN pg_class AS relation ON relation.oid = con.conrelid
LEFT JOIN pg_class AS referenced ON referenced.oid = con.confrelid
WHERE relation.relnamespace = current_schema()::regnamespace
    AND con.contype IN ('c', 'f', 'p', 'u')
ORDER BY relation.relname, con.conname;

-- name: list_functions()
-- Every function of the schema, with its body: those of the triggers.
SELECT
    proc.proname AS name,
    language.lanname AS language,
    proc.prosecdef AS is_security_definer,
    pg_get_functiondef(proc.oid) AS definition,
    obj_description(proc.oid, 'pg_proc') AS comment
FROM pg_proc AS proc
JOIN pg_language AS language ON language.oid = proc.prolang
WHERE proc.pronamespace = current_schema()::regnamespace
    AND proc.prokind = 'f'
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE pg_depend.objid = proc.oid AND pg_depend.deptype = 'e'
    )
ORDER BY proc.proname;

-- name: list_indexes()
-- Every index, with its columns as far as they are plain columns.
SELECT
    relation.relname AS table_name,
    index_relation.relname AS name,
    ARRAY(
        SELECT attribute.attname::text
        FROM generate_series(0, index.indnkeyatts - 1) AS position
        JOIN pg_attribute AS attribute
            ON attribute.attrelid = index.indrelid
            AND attribute.attnum = index.indkey[position]
        ORDER BY position
    ) AS columns,
    index.indexprs IS NULL AS is_plain,
    index.indisunique AS is_unique,
    pg_get_expr(index.indpred, index.indrelid) AS predicate,
    con.conname AS constraint_name,
    pg_get_indexdef(index.indexrelid) AS definition
FROM pg_index AS index
JOIN pg_class AS relation ON relation.oid = index.indrelid
JOIN pg_class AS index_relation ON index_relation.oid = index.indexrelid
LEFT JOIN pg_constraint AS con ON con.conindid = index.indexrelid AND con.contype IN ('p', 'u', 'x')
WHERE relation.relnamespace = current_schema()::regnamespace
    AND relation.relkind IN ('r', 'p')
ORDER BY relation.relname, index_relation.relname;

-- name: list_named_constraints(names)
-- Those of some names that a violation may bear: of a constraint of a table or a domain, or of an index.
SELECT conname AS name
FROM pg_constraint
WHERE conname::text = ANY (:names)
UNION
SELECT relname
FROM pg_class
WHERE relname::text = ANY (:names)
    AND relkind IN ('i', 'I');

-- name: list_named_functions(names)
-- Those of some names that are functions, with the schema or without.
SELECT written.name
FROM unnest(:names::text[]) AS written (name)
WHERE EXISTS (
    SELECT
    FROM pg_proc AS proc
    JOIN pg_namespace AS namespace ON namespace.oid = proc.pronamespace
    WHERE written.name IN (proc.proname::text, namespace.nspname || '.' || proc.proname)
);

-- name: list_roles(names)
-- Those of some names that are roles.
SELECT rolname AS name
FROM pg_roles
WHERE rolname::text = ANY (:names)
ORDER BY rolname;

-- name: list_tables()
-- Every table.
SELECT relation.relname AS name, obj_description(relation.oid, 'pg_class') AS comment
FROM pg_class AS relation
WHERE relation.relnamespace = current_schema()::regnamespace
    AND relation.relkind IN ('r', 'p')
ORDER BY relation.relname;

-- name: list_triggers()
-- Every trigger that a migration made.
SELECT
    relation.relname AS table_name,
    trigger.tgname AS name,
    proc.proname AS function_name,
    (trigger.tgtype & 4) <> 0 AS on_insert,
    (trigger.tgtype & 8) <> 0 AS on_delete,
    (trigger.tgtype & 16) <> 0 AS on_update,
    pg_get_triggerdef(trigger.oid) AS definition
FROM pg_trigger AS trigger
JOIN pg_class AS relation ON relation.oid = trigger.tgrelid
JOIN pg_proc AS proc ON proc.oid = trigger.tgfoid
WHERE relation.relnamespace = current_schema()::regnamespace
    AND NOT trigger.tgisinternal
ORDER BY relation.relname, trigger.tgname;
