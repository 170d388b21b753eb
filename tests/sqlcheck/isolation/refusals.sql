-- What nothing here can prove: other kinds of statements, and functions and operators that may read by themselves.

-- name: a_merge(member_id)
-- refused: a MERGE has a scope and a condition for each WHEN.
-- fault: MERGE is refused, since nothing proves whose rows it touches. Use SELECT, INSERT, UPDATE or DELETE.
MERGE INTO notes
USING revisions ON notes.member_id = :member_id AND revisions.member_id = :member_id
WHEN MATCHED THEN DELETE;

-- name: a_truncate()
-- refused: it removes the rows of everybody.
-- fault: TRUNCATE is refused
TRUNCATE notes;

-- name: a_copy()
-- refused: it shows the rows of everybody.
-- fault: COPY is refused
COPY notes TO STDOUT;

-- name: a_copy_of_a_select()
-- refused: nor is what stands inside one looked at.
-- fault: COPY is refused
COPY (SELECT title FROM notes) TO STDOUT;

-- name: a_do()
-- refused: its text is no SQL to the parser.
-- fault: DO is refused
DO 'BEGIN DELETE FROM notes; END';

-- name: a_call()
-- refused: a procedure does what it likes.
-- fault: CALL is refused
CALL purge();

-- name: a_lock()
-- refused: it keeps everybody waiting.
-- fault: LOCK is refused
LOCK TABLE notes;

-- name: a_table_from_a_select(member_id)
-- refused: tables are made by migrations.
-- fault: CREATE TABLE AS is refused
CREATE TABLE copied AS SELECT title FROM notes WHERE member_id = :member_id;

-- name: a_select_into(member_id)
-- refused: it is a CREATE TABLE AS.
-- fault: SELECT INTO is refused
SELECT title INTO copied FROM notes WHERE member_id = :member_id;

-- name: an_explain(member_id)
-- refused: EXPLAIN ANALYZE runs what it explains.
-- fault: EXPLAIN is refused
EXPLAIN (ANALYZE) DELETE FROM notes WHERE member_id = :member_id;

-- name: a_prepare()
-- refused: what it prepares runs later.
-- fault: PREPARE is refused
PREPARE later AS DELETE FROM notes;

-- name: a_query_in_a_string()
-- refused: it reads all tables, and no table stands in the tree.
-- fault: query_to_xml() is not known to read no table, and no predicate limits what it reads. Look at it, and if
SELECT query_to_xml('SELECT * FROM notes', true, true, '');

-- name: a_table_in_a_string(member_id)
-- refused: beside a limited table it reads one that is not.
-- fault: table_to_xml() is not known to read no table
SELECT title, table_to_xml('notes', true, true, '')
FROM notes
WHERE member_id = :member_id;

-- name: a_file()
-- refused: the rows of everybody are in files, too.
-- fault: pg_read_file() is not known
SELECT pg_read_file('postgresql.conf');

-- name: a_large_object(id)
-- refused: large objects are nobody's.
-- fault: lo_get() is not known
SELECT lo_get(:id::oid);

-- name: a_function_in_a_from(member_id)
-- refused: in a FROM, too.
-- fault: dblink() is not known
SELECT other.title, :member_id::uuid AS asked
FROM dblink('', 'SELECT title FROM notes') AS other (title text);

-- name: a_function_of_the_schema()
-- refused: what the migrations have written may read tables.
-- fault: notes_before_insert() is not known
SELECT notes_before_insert();

-- name: a_function_of_another_schema(member_id)
-- refused: with another schema, it is another function.
-- fault: private.now() is not known
SELECT title, private.now()
FROM notes
WHERE member_id = :member_id;

-- name: a_function_as_a_field()
-- refused: to PostgreSQL, given.pg_read_file is a call of that function.
-- fault: given.pg_read_file is no column that is known, and so may be a call of a function.
SELECT given.pg_read_file
FROM unnest(ARRAY['postgresql.conf']) AS given;

-- name: a_function_as_a_field_of_a_table(member_id)
-- refused: so is notes.leak, if there is such a function.
-- fault: notes.leak is no column that is known
SELECT notes.leak
FROM notes
WHERE notes.member_id = :member_id;

-- name: a_function_as_a_field_of_an_expression()
-- refused: and so it is behind brackets.
-- fault: (…).pg_read_file may be a call of a function. Name the column as alias.pg_read_file.
SELECT ('postgresql.conf'::text).pg_read_file;

-- name: an_operator_of_another_schema(member_id)
-- refused: an operator is a function, and this one may say that all members are equal.
-- fault: OPERATOR(private.=) is not PostgreSQL's own, and may read anything. Use one that is.
SELECT title
FROM notes
WHERE member_id OPERATOR(private.=) :member_id;

-- name: an_operator_of_another_schema_limits_nothing(member_id)
-- refused: and so it limits nothing.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id OPERATOR(private.=) :member_id;

-- name: an_operator_of_another_schema_in_a_list(member_id)
-- refused: wherever an operator may stand.
-- fault: OPERATOR(private.=) is not PostgreSQL's own
SELECT title
FROM notes
WHERE member_id = :member_id
    AND id OPERATOR(private.=) ANY (SELECT id FROM notes WHERE member_id = :member_id);

-- name: an_order_by_an_operator_of_another_schema(member_id)
-- refused: in an order, too.
-- fault: OPERATOR(private.<) is not PostgreSQL's own
SELECT title
FROM notes
WHERE member_id = :member_id
ORDER BY title USING OPERATOR(private.<);

-- name: a_name_with_its_schema(member_id)
-- refused: a name of three words is read in more than one way.
-- fault: public.notes.member_id is not followed. Write alias.column.
SELECT title
FROM public.notes
WHERE public.notes.member_id = :member_id;

-- name: an_unknown_alias(member_id)
-- refused: PostgreSQL would refuse it, too, or find a name around it.
-- fault: t is not known here. Name something that stands in this FROM, or around it.
SELECT t.title
FROM notes
WHERE notes.member_id = :member_id;

-- name: an_alias_of_two(member_id)
-- refused: so would it refuse an alias that two have.
-- fault: t is not known here
SELECT t.title
FROM notes AS t, topics AS t
WHERE t.member_id = :member_id;

-- name: the_old_row(member_id)
-- refused: OLD and NEW in RETURNING are of PostgreSQL 18 alone.
-- fault: old is not known here
UPDATE notes
SET title = 'new'
WHERE member_id = :member_id
RETURNING old.title;

-- name: rows_of_json(member_id, rows)
-- refused: JSON_TABLE has a language of its own.
-- fault: JsonTable in a FROM is not followed
SELECT notes.title
FROM notes
JOIN JSON_TABLE(:rows::jsonb, '$[*]' COLUMNS (id uuid PATH '$')) AS wanted ON wanted.id = notes.id
WHERE notes.member_id = :member_id;

-- name: a_part_of_a_column(member_id)
-- refused: a part of an array may be assigned by itself, and no table of members needs that.
-- fault: An assignment to a part of title is not followed. Assign it whole.
UPDATE notes
SET title[1] = 'x'
WHERE member_id = :member_id;
