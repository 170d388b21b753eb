-- What is asked of PostgreSQL about the types of statements that it has prepared.

-- name: list_types(types, modifiers, tables, places)
-- Of each type, in order: its name as drivers have it, its name as PostgreSQL writes it, and the table and the column that
-- it is of, if it is one's.
SELECT
    coalesce(element.typname || '[]', type.typname) AS name,
    format_type(given.type, given.modifier) AS written,
    relation.relname AS table_name,
    attribute.attname AS column_name
FROM unnest(:types::oid[], :modifiers::integer[], :tables::oid[], :places::smallint[]) WITH ORDINALITY
    AS given (type, modifier, table_id, place, position)
JOIN pg_type AS type ON type.oid = given.type
LEFT JOIN pg_type AS element ON element.typarray = given.type
LEFT JOIN pg_class AS relation ON relation.oid = given.table_id
LEFT JOIN pg_attribute AS attribute ON attribute.attrelid = given.table_id AND attribute.attnum = given.place
ORDER BY given.position;
