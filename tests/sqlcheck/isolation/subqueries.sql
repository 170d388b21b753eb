-- Sub-queries and CTEs: each is a scope, and none limits what is around it.

-- name: a_cte(member_id)
-- right: the CTE is limited, and what it gives out needs no more.
WITH own AS (
    SELECT id, title
    FROM notes
    WHERE member_id = :member_id
)

SELECT title
FROM own;

-- name: a_cte_that_is_limited_outside(member_id)
-- wrong: the LIMIT of the CTE chooses among the notes of everybody.
-- fault: notes is not limited
WITH newest AS (
    SELECT member_id, title
    FROM notes
    ORDER BY member_id DESC, id DESC
    LIMIT 3
)

SELECT title
FROM newest
WHERE member_id = :member_id;

-- name: a_cte_that_nobody_reads(member_id)
-- refused: PostgreSQL may leave it out, but nobody has to read what is there for nothing.
-- fault: notes (as unused) is not limited
WITH others AS (
    SELECT unused.title
    FROM notes AS unused
)

SELECT title
FROM notes
WHERE member_id = :member_id;

-- name: a_cte_that_hands_on(member_id)
-- right: its column is limited, and limits.
WITH caller AS (
    SELECT members.id AS member_id
    FROM members
    WHERE members.id = :member_id
)

SELECT notes.title
FROM notes
JOIN caller ON caller.member_id = notes.member_id;

-- name: a_cte_that_hands_on_another_column(member_id)
-- wrong: the CTE calls member_id what is an id.
-- fault: notes (as other) is not limited
WITH caller AS (
    SELECT notes.id AS member_id
    FROM notes
    WHERE notes.member_id = :member_id
)

SELECT other.title
FROM notes AS other
JOIN caller ON caller.member_id = other.member_id;

-- name: a_cte_with_columns_in_another_order(member_id)
-- wrong: its list of names turns the two columns round.
-- fault: notes (as other) is not limited
WITH caller (id, member_id) AS (
    SELECT notes.member_id, notes.id
    FROM notes
    WHERE notes.member_id = :member_id
)

SELECT other.title
FROM notes AS other
JOIN caller ON caller.member_id = other.member_id;

-- name: a_cte_with_the_name_of_a_table(member_id)
-- right: behind it, the name is that of the CTE.
WITH notes AS (
    SELECT title
    FROM notes
    WHERE member_id = :member_id
)

SELECT title
FROM notes;

-- name: a_cte_with_the_name_of_a_table_unlimited(member_id)
-- wrong: in the CTE itself, the name is that of the table.
-- fault: notes is not limited
WITH notes AS (
    SELECT title
    FROM notes
)

SELECT title, :member_id::uuid AS asked
FROM notes;

-- name: a_cte_that_a_schema_passes_over(member_id)
-- wrong: with its schema, the name is that of the table.
-- fault: notes is not limited
WITH notes AS (
    SELECT id, title
    FROM notes
    WHERE member_id = :member_id
)

SELECT notes.title
FROM public.notes;

-- name: a_cte_within(member_id)
-- wrong: a CTE of a sub-query is none outside of it.
-- fault: notes is not limited
SELECT notes.title
FROM notes
WHERE EXISTS (
    WITH notes AS (SELECT title FROM notes WHERE member_id = :member_id)
    SELECT FROM notes
);

-- name: a_recursive_cte(member_id)
-- right: it begins with the caller, and each step stays there.
WITH RECURSIVE chain AS (
    SELECT member_id, id, 1 AS depth
    FROM notes
    WHERE member_id = :member_id
    UNION ALL
    SELECT notes.member_id, notes.id, chain.depth + 1
    FROM notes
    JOIN chain ON chain.member_id = notes.member_id
    WHERE chain.depth < 2
)

SELECT count(*) AS steps
FROM chain;

-- name: a_recursive_cte_that_strays(member_id)
-- wrong: it begins with the caller, and goes on to whoever has a note of the same id.
-- fault: notes is not limited
WITH RECURSIVE chain AS (
    SELECT member_id, id, 1 AS depth
    FROM notes
    WHERE member_id = :member_id
    UNION ALL
    SELECT notes.member_id, notes.id, chain.depth + 1
    FROM notes
    JOIN chain ON chain.id = notes.id
    WHERE chain.depth < 2
)

SELECT count(*) AS steps
FROM chain;

-- name: a_recursive_cte_that_begins_anywhere(member_id)
-- wrong: each step stays with its member, and that is any.
-- fault: notes is not limited
WITH RECURSIVE chain AS (
    SELECT member_id, id, 1 AS depth, :member_id::uuid AS asked
    FROM notes
    UNION ALL
    SELECT notes.member_id, notes.id, chain.depth + 1, chain.asked
    FROM notes
    JOIN chain ON chain.member_id = notes.member_id
    WHERE chain.depth < 2
)

SELECT count(*) AS steps
FROM chain;

-- name: a_recursive_cte_that_changes_columns(member_id)
-- wrong: with each step another column is called member_id, so that the third reads those of another member.
-- fault: notes (as next) is not limited
WITH RECURSIVE chain AS (
    SELECT member_id, '00000000-0000-4000-8000-00000000000b'::uuid AS other, 1 AS depth
    FROM notes
    WHERE member_id = :member_id
    UNION ALL
    SELECT chain.other, next.member_id, chain.depth + 1
    FROM notes AS next
    JOIN chain ON chain.member_id = next.member_id
    WHERE chain.depth < 3
)

SELECT count(*) AS steps
FROM chain;

-- name: a_cte_that_comes_later(member_id)
-- refused: in WITH RECURSIVE a CTE may be used before it is written.
-- fault: notes is used before it is written. Put that CTE first.
WITH RECURSIVE own AS (
    SELECT member_id, title
    FROM notes
    WHERE member_id = :member_id
),

notes AS (
    SELECT id AS member_id, email AS title
    FROM members
)

SELECT title
FROM own;

-- name: a_cte_that_searches(member_id)
-- refused: SEARCH adds a column.
-- fault: SEARCH and CYCLE of chain are not followed
WITH RECURSIVE chain (member_id, depth) AS (
    SELECT member_id, 1
    FROM notes
    WHERE member_id = :member_id
    UNION ALL
    SELECT member_id, depth + 1
    FROM chain
    WHERE depth < 2
) SEARCH DEPTH FIRST BY depth SET path

SELECT count(*) AS steps
FROM chain;

-- name: a_sub_select(member_id)
-- right: limited where it reads.
SELECT own.title
FROM (SELECT title FROM notes WHERE member_id = :member_id) AS own;

-- name: a_sub_select_that_is_limited_outside(member_id)
-- wrong: the numbers that it gives depend on the notes of others.
-- fault: notes is not limited
SELECT own.title, own.place
FROM (SELECT member_id, title, row_number() OVER (ORDER BY member_id DESC, id DESC) AS place FROM notes) AS own
WHERE own.member_id = :member_id;

-- name: a_sub_select_with_a_star(member_id)
-- right: a star is the columns of its tables in their order.
SELECT notes.title
FROM (SELECT * FROM revisions WHERE member_id = :member_id) AS own
JOIN notes ON notes.member_id = own.member_id;

-- name: a_sub_select_with_another_star(member_id)
-- wrong: the second column of notes is its id.
-- fault: notes is not limited
SELECT notes.title
FROM (SELECT own.* FROM notes AS own WHERE own.member_id = :member_id) AS caller (id, member_id)
JOIN notes ON notes.member_id = caller.member_id;

-- name: a_sub_select_with_the_fields_of_rows(rows)
-- wrong: the star is the fields of rows that are given, and so is member_id.
-- fault: notes is not limited
SELECT notes.title
FROM (SELECT (unnest(:rows::revisions[])).*) AS given
JOIN notes USING (member_id);

-- name: a_sub_select_with_the_fields_of_rows_before_its_own(member_id, rows)
-- wrong: the second column is not the one that stands second here.
-- fault: notes (as other) is not limited
SELECT other.title
FROM (
    SELECT (unnest(:rows::revisions[])).*, notes.member_id AS own_id
    FROM notes
    WHERE notes.member_id = :member_id
) AS given (whose, own_id)
JOIN notes AS other ON other.member_id = given.whose;

-- name: a_shadowed_alias(member_id)
-- wrong: within EXISTS, notes is the inner one, so that nothing limits the outer one.
-- fault: notes is not limited
SELECT notes.title
FROM notes
WHERE EXISTS (SELECT FROM notes WHERE notes.member_id = :member_id);

-- name: a_shadowing_alias(member_id)
-- wrong: the inner own is revisions, and the outer one is limited for nothing.
-- fault: notes (as inner_notes) is not limited
SELECT own.title
FROM notes AS own
WHERE own.member_id = :member_id
    AND EXISTS (
        SELECT
        FROM departures AS own
        JOIN notes AS inner_notes ON inner_notes.member_id <> own.id
        WHERE own.id = :member_id
    );

-- name: a_bare_name_of_the_inner_table(member_id)
-- wrong: a bare name is that of the inner table, if that has such a column.
-- fault: revisions is not limited
SELECT notes.title
FROM notes
WHERE notes.member_id = :member_id
    AND EXISTS (SELECT FROM revisions WHERE member_id = revisions.member_id AND member_id <> :member_id);

-- name: a_bare_name_of_the_outer_table(member_id)
-- right: members has no member_id, so it is that of notes, which is limited.
SELECT notes.title, (SELECT members.email FROM members WHERE members.id = member_id) AS email
FROM notes
WHERE member_id = :member_id;

-- name: a_bare_name_that_may_be_of_the_inner_one(member_id, rows)
-- wrong: unnest makes columns of the fields of its rows, and one of them is member_id.
-- fault: members is not limited
SELECT notes.title
FROM notes
WHERE notes.member_id = :member_id
    AND EXISTS (
        SELECT
        FROM unnest(:rows::revisions[]) AS given
        JOIN members ON members.id = member_id
    );

-- name: an_exists(member_id)
-- right: a correlated reference to a limited column.
SELECT notes.title
FROM notes
WHERE notes.member_id = :member_id
    AND EXISTS (SELECT FROM revisions WHERE revisions.member_id = notes.member_id);

-- name: an_exists_of_anybody(member_id)
-- wrong: whether a row of somebody else exists is nobody else's business.
-- fault: notes (as other) is not limited
SELECT notes.title
FROM notes
WHERE notes.member_id = :member_id
    AND NOT EXISTS (SELECT FROM notes AS other WHERE other.id = notes.id AND other.member_id <> notes.member_id);

-- name: an_exists_below_or(member_id)
-- right: below OR a sub-query is a scope of its own all the same.
SELECT notes.title
FROM notes
WHERE notes.member_id = :member_id
    AND (notes.topic = 'archive' OR EXISTS (SELECT FROM revisions WHERE revisions.member_id = :member_id));

-- name: an_in(member_id)
-- wrong: whoever has a revision is not the caller.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id IN (SELECT member_id FROM revisions WHERE note_id = :member_id);

-- name: a_scalar_in_the_select_list(member_id)
-- wrong: the sub-query counts what everybody has.
-- fault: notes (as every) is not limited
SELECT title, (SELECT count(*) FROM notes AS every) AS notes
FROM notes
WHERE member_id = :member_id;

-- name: an_array(member_id)
-- wrong: it collects the titles of everybody.
-- fault: notes is not limited
SELECT email, ARRAY(SELECT title FROM notes ORDER BY title) AS titles
FROM members
WHERE id = :member_id;

-- name: an_array_of_own(member_id)
-- right: it collects those of the row of which it is a part.
SELECT email, ARRAY(SELECT title FROM notes WHERE notes.member_id = members.id ORDER BY title) AS titles
FROM members
WHERE id = :member_id;

-- name: in_a_limit(member_id)
-- wrong: how many rows come back tells how many others there are.
-- fault: members is not limited
SELECT title
FROM notes
WHERE member_id = :member_id
ORDER BY id
LIMIT (SELECT count(*) FROM members);

-- name: in_an_order(member_id)
-- wrong: which row is the first depends on what others have.
-- fault: members is not limited
SELECT title
FROM notes
WHERE member_id = :member_id
ORDER BY CASE WHEN (SELECT count(*) FROM members) > 1 THEN id END DESC, id
LIMIT 1;

-- name: in_values(member_id)
-- wrong: VALUES hold the address of another.
-- fault: members is not limited
SELECT given.email, :member_id::uuid AS asked
FROM (VALUES ((SELECT max(email) FROM members))) AS given (email);

-- name: in_an_on(member_id)
-- wrong: the ON of a join has sub-queries too.
-- fault: revisions is not limited
SELECT notes.title
FROM notes
JOIN topics ON topics.topic = notes.topic AND (SELECT count(*) FROM revisions) > 1
WHERE notes.member_id = :member_id;

-- name: in_a_function(member_id)
-- wrong: so has a function in a FROM.
-- fault: members is not limited
SELECT series.number, :member_id::uuid AS asked
FROM generate_series(1, (SELECT count(*) FROM members)) AS series (number);

-- name: in_an_aggregate(member_id)
-- wrong: so has the FILTER of an aggregate.
-- fault: members is not limited
SELECT count(*) FILTER (WHERE (SELECT count(*) FROM members) > 1) AS notes
FROM notes
WHERE member_id = :member_id;

-- name: a_union(member_id)
-- right: each arm is limited.
SELECT title
FROM notes
WHERE member_id = :member_id
UNION ALL
SELECT email
FROM members
WHERE id = :member_id;

-- name: a_union_with_an_open_arm(member_id)
-- wrong: one of the arms is not limited.
-- fault: members is not limited
SELECT title
FROM notes
WHERE member_id = :member_id
UNION ALL
SELECT email
FROM members;

-- name: an_except(member_id)
-- wrong: what is taken away tells of what others have.
-- fault: notes (as other) is not limited
SELECT id
FROM notes
WHERE member_id = :member_id
EXCEPT
SELECT other.id
FROM notes AS other
WHERE other.member_id <> :member_id;

-- name: an_intersect(member_id)
-- wrong: what is left tells of what others have.
-- fault: notes (as other) is not limited
SELECT id
FROM notes
WHERE member_id = :member_id
INTERSECT
SELECT other.id
FROM notes AS other
WHERE other.member_id <> :member_id;

-- name: a_union_that_hands_on(member_id, other_id)
-- wrong: one of its arms gives another member.
-- fault: notes is not limited
WITH wanted AS (
    SELECT :member_id::uuid AS member_id
    UNION
    SELECT :other_id::uuid
)

SELECT notes.title
FROM notes
JOIN wanted ON wanted.member_id = notes.member_id;

-- name: a_union_that_hands_on_the_caller(member_id)
-- right: both of its arms give the caller.
WITH wanted AS (
    SELECT members.id
    FROM members
    WHERE members.id = :member_id
    UNION
    SELECT :member_id::uuid
)

SELECT notes.title
FROM notes
JOIN wanted ON wanted.id = notes.member_id;

-- name: a_null_from_an_outer_join(member_id)
-- right: where the outer join finds nothing, nothing is handed on.
WITH revisions_of_caller AS (
    SELECT revisions.member_id
    FROM topics
    LEFT JOIN revisions ON revisions.member_id = :member_id AND topics.topic = 'draft'
)

SELECT notes.title
FROM notes
JOIN revisions_of_caller ON revisions_of_caller.member_id = notes.member_id;

-- name: within_what_is_limited_later(member_id)
-- right: the sub-query matters for those rows alone that the WHERE keeps.
SELECT notes.title, revisions.note_id
FROM notes
LEFT JOIN revisions
    ON EXISTS (SELECT FROM members WHERE members.id = notes.member_id)
    AND revisions.member_id = notes.member_id
WHERE notes.member_id = :member_id;

-- name: an_unknown_relation(member_id)
-- refused: a view may show the rows of anybody.
-- fault: pg_stat_activity is no table of the schema, so nobody knows whose rows it shows. Read the tables.
SELECT notes.title, pg_stat_activity.query
FROM notes
CROSS JOIN pg_stat_activity
WHERE notes.member_id = :member_id;

-- name: a_table_of_another_schema(member_id)
-- refused: another schema may have a table of the same name.
-- fault: pg_temp.notes is no table of the schema
SELECT notes.title
FROM pg_temp.notes
WHERE notes.member_id = :member_id;
