-- What the catalogue asks of PostgreSQL about statements that it has prepared, in alphabetical order.

-- name: list_outputs(types, modifiers, tables, places)
-- Of each column of an answer, in order: what its type is called, and which column of which table it is, if it is one.
SELECT
    format_type(given.type, given.modifier) AS type,
    relation.relname AS table_name,
    attribute.attname AS column_name
FROM unnest(:types::oid[], :modifiers::integer[], :tables::oid[], :places::smallint[]) WITH ORDINALITY
    AS given (type, modifier, table_id, place, position)
LEFT JOIN pg_class AS relation ON relation.oid = given.table_id
LEFT JOIN pg_attribute AS attribute ON attribute.attrelid = given.table_id AND attribute.attnum = given.place
ORDER BY given.position;

-- name: list_types(types)
-- What each type is called, in order.
SELECT format_type(given.type, NULL) AS type
FROM unnest(:types::oid[]) WITH ORDINALITY AS given (type, position)
ORDER BY given.position;
