-- SELECT from one table: what limits it, and what only looks as if it did.

-- name: a_different_parameter(id)
-- wrong: the parameter has to be :member_id, and :id is whatever the request asks for.
-- fault: notes is not limited to one owner in its scope. Write notes.member_id = :member_id
SELECT member_id, title
FROM notes
WHERE id = :id;

-- name: a_list(member_id, other_id)
-- wrong: a list lets every member in it through.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id IN (:member_id, :other_id);

-- name: a_list_of_one(member_id)
-- refused: a list of one would do, but grows.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id IN (:member_id);

-- name: a_not_equal(member_id)
-- wrong: it shows exactly the rows of the others.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id <> :member_id;

-- name: a_swapped_alias(member_id)
-- wrong: the alias calls the first column id, so that member_id is what was id.
-- fault: notes (as t) is not limited
SELECT t.title
FROM notes AS t (id, member_id)
WHERE t.member_id = :member_id;

-- name: a_renamed_owner(member_id)
-- right: the alias renames the column, and it is limited under its new name.
SELECT t.title
FROM notes AS t (whose)
WHERE t.whose = :member_id;

-- name: above_or(member_id, id)
-- wrong: OR lets through what meets its other side.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id = :member_id
    OR id = :id;

-- name: above_and_within_or(member_id, id)
-- wrong: an AND chain below an OR is a branch, and the other branch has none.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE (member_id = :member_id AND id = :id)
    OR topic = 'draft';

-- name: in_each_branch(member_id, id)
-- refused: each branch of the OR limits it, but a branch is soon added.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE (member_id = :member_id AND id = :id)
    OR (member_id = :member_id AND topic = 'draft');

-- name: in_an_and_chain(member_id, id)
-- right: the plain form, with others beside it.
SELECT title
FROM notes
WHERE (topic = 'draft' OR id = :id)
    AND (member_id = :member_id AND title IS NOT NULL);

-- name: below_not(member_id)
-- wrong: NOT turns it round.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE NOT (member_id = :member_id);

-- name: below_is_not_true(member_id)
-- wrong: a test of the equality is not the equality.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE (member_id = :member_id) IS NOT TRUE;

-- name: compared_with_false(member_id)
-- wrong: it is the equality that is equal to false.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE (member_id = :member_id) = false;

-- name: by_any(member_ids)
-- wrong: an array holds as many members as somebody puts there.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id = ANY (:member_ids::uuid[]);

-- name: by_case(member_id, id)
-- wrong: CASE decides whether the equality counts.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE CASE WHEN id = :id THEN true ELSE member_id = :member_id END;

-- name: by_coalesce(member_id)
-- wrong: a NULL member would be everybody, as in the classic optional filter.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id = coalesce(nullif(:member_id::uuid, :member_id), member_id);

-- name: by_having(member_id)
-- refused: HAVING comes after the rows of everybody have been read.
-- fault: notes is not limited
SELECT member_id, count(*) AS notes
FROM notes
GROUP BY member_id
HAVING member_id = :member_id;

-- name: by_not_distinct(member_id)
-- refused: IS NOT DISTINCT FROM would find rows of nobody for NULL, and cannot use an index.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id IS NOT DISTINCT FROM :member_id;

-- name: by_range(member_id)
-- wrong: a bound on one side is a range of members.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id >= :member_id;

-- name: by_row(member_id, id)
-- right: a comparison of rows is one of each column.
SELECT title
FROM notes
WHERE (member_id, id) = (:member_id, :id);

-- name: by_greater_row(member_id, id)
-- wrong: rows that come after a position are those of other members too.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE (member_id, id) > (:member_id, :id);

-- name: by_a_misplaced_row(member_id)
-- wrong: each column is compared with what stands in its own place.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE (id, topic) = (:member_id, 'draft');

-- name: cast_to_text(member_id)
-- refused: a cast of the column may lose what makes members different, as left(…, 1) would.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id::text = :member_id;

-- name: cast_of_the_parameter(member_id)
-- right: a cast of the parameter says what its type is.
SELECT title
FROM notes
WHERE :member_id::uuid = member_id;

-- name: cast_of_the_parameter_to_something_else(member_id)
-- refused: a cast to another type may lose what makes members different.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE member_id = :member_id::text;

-- name: in_the_select_list(member_id)
-- wrong: what is selected limits nothing.
-- fault: notes is not limited
SELECT title, member_id = :member_id AS is_own
FROM notes;

-- name: in_the_order(member_id)
-- wrong: an order limits nothing, and neither does a LIMIT.
-- fault: notes is not limited
SELECT title
FROM notes
ORDER BY member_id = :member_id
LIMIT 3;

-- name: in_a_filter(member_id)
-- wrong: the FILTER of one aggregate leaves the rows to the others.
-- fault: notes is not limited
SELECT count(*) FILTER (WHERE member_id = :member_id) AS own, count(*) AS notes
FROM notes;

-- name: the_parameter_with_itself(member_id)
-- wrong: it is always true.
-- fault: notes is not limited
SELECT title
FROM notes
WHERE :member_id::uuid = :member_id;

-- name: the_column_with_itself(member_id)
-- wrong: it is always true, and makes nothing of the parameter.
-- fault: notes is not limited
SELECT title, :member_id::uuid AS asked
FROM notes
WHERE member_id = member_id;

-- name: with_an_operator_of_pg_catalog(member_id)
-- right: it is the same operator, with its whole name.
SELECT title
FROM notes
WHERE member_id OPERATOR(pg_catalog.=) :member_id;

-- name: with_a_schema(member_id)
-- right: the schema of the service may be named.
SELECT notes.title
FROM public.notes
WHERE notes.member_id = :member_id;

-- name: with_a_schema_and_no_limit()
-- wrong: with its schema it is the same table.
-- fault: notes is not limited
SELECT title
FROM public.notes;

-- name: under_the_name_of_another(member_id)
-- right: what is read is members, whatever its alias says.
SELECT notes.email
FROM members AS notes
WHERE notes.id = :member_id;

-- name: under_the_name_of_another_unlimited(member_id)
-- wrong: that the other table is called members makes it none of its own.
-- fault: notes (as members) is not limited to one owner in its scope. Write members.member_id = :member_id
SELECT members.title
FROM notes AS members
WHERE members.id = :member_id;

-- name: members_by_id(id)
-- right: on members alone, the parameter may be called id.
SELECT email
FROM members
WHERE id = :id;

-- name: members_by_email(email)
-- wrong: whoever knows an address would be its owner.
-- fault: members is not limited to one owner in its scope. Write members.id = :id
SELECT id
FROM members
WHERE email = :email;

-- name: members_by_id_beside_notes(id)
-- wrong: beside another table :id may be the id of anything.
-- fault: notes is not limited
SELECT members.email, notes.title
FROM members
CROSS JOIN notes
WHERE members.id = :id;

-- name: locked(member_id)
-- right: FOR UPDATE names what stands in the FROM, and locks what was found.
SELECT t.title
FROM notes AS t
WHERE t.member_id = :member_id
FOR UPDATE OF t;

-- name: tables_of_nobody()
-- right: a table without an owner needs no limit.
SELECT topic, is_closed
FROM topics
ORDER BY position;
