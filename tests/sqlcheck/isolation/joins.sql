-- Joins: which side an ON limits, and how a limit is handed on.

-- name: by_on_of_an_inner_join(member_id)
-- right: an inner join drops what does not match.
SELECT notes.title
FROM topics
JOIN notes ON notes.topic = topics.topic AND notes.member_id = :member_id;

-- name: by_on_of_a_left_join(member_id)
-- right: of the nullable side only what matches is there.
SELECT topics.topic, notes.title
FROM topics
LEFT JOIN notes ON notes.topic = topics.topic AND notes.member_id = :member_id;

-- name: by_on_of_a_left_join_for_the_left(member_id)
-- wrong: a left join keeps the rows of its left side that do not match.
-- fault: notes is not limited
SELECT notes.title, topics.is_closed
FROM notes
LEFT JOIN topics ON topics.topic = notes.topic AND notes.member_id = :member_id;

-- name: by_on_of_a_right_join(member_id)
-- right: it is the left side that a right join may leave NULL.
SELECT topics.topic, notes.title
FROM notes
RIGHT JOIN topics ON topics.topic = notes.topic AND notes.member_id = :member_id;

-- name: by_on_of_a_right_join_for_the_right(member_id)
-- wrong: a right join keeps the rows of its right side that do not match.
-- fault: notes is not limited
SELECT notes.title, topics.is_closed
FROM topics
RIGHT JOIN notes ON topics.topic = notes.topic AND notes.member_id = :member_id;

-- name: by_on_of_a_full_join(member_id)
-- wrong: a full join keeps the rows of both sides that do not match.
-- fault: notes is not limited
SELECT notes.title, topics.topic
FROM notes
FULL JOIN topics ON topics.topic = notes.topic AND notes.member_id = :member_id;

-- name: by_where_behind_a_full_join(member_id)
-- right: the WHERE is for what a full join keeps, too.
SELECT one.title, other.title AS other_title
FROM notes AS one
FULL JOIN notes AS other ON other.id = one.id AND other.member_id = one.member_id
WHERE one.member_id = :member_id
    AND other.member_id = :member_id;

-- name: by_where_behind_a_full_join_for_one_side(member_id)
-- wrong: the other side is limited by nothing.
-- fault: notes (as other) is not limited to one owner in its scope. Write other.member_id = :member_id
SELECT one.title, other.title AS other_title
FROM notes AS one
FULL JOIN notes AS other ON other.id = one.id
WHERE one.member_id = :member_id;

-- name: by_a_merged_column_of_a_full_join(member_id)
-- refused: the merged column is that of either side, which is more than is followed here.
-- fault: notes is not limited
SELECT notes.title, revisions.note_id
FROM notes
FULL JOIN revisions USING (member_id)
WHERE member_id = :member_id;

-- name: handed_on_by_on(member_id)
-- right: what is equal to a limited column is limited.
SELECT notes.title, revisions.note_id
FROM revisions
JOIN notes ON notes.member_id = revisions.member_id
WHERE revisions.member_id = :member_id;

-- name: handed_on_by_where(member_id)
-- right: it does not matter which way round, nor over how many.
SELECT notes.title
FROM members, revisions, notes
WHERE notes.member_id = revisions.member_id
    AND revisions.member_id = members.id
    AND :member_id = members.id;

-- name: handed_on_by_using(member_id)
-- right: USING says that the columns are equal.
SELECT notes.title, revisions.note_id
FROM notes
JOIN revisions USING (member_id)
WHERE member_id = :member_id;

-- name: handed_on_by_using_twice(member_id)
-- right: the merged column is joined again.
SELECT notes.title, earlier.number
FROM notes
JOIN revisions USING (member_id)
LEFT JOIN revisions AS earlier USING (member_id)
WHERE member_id = :member_id;

-- name: by_using_of_another_column(member_id)
-- wrong: USING makes equal what it names, and no more.
-- fault: notes (as other) is not limited
SELECT one.title, other.title AS other_title
FROM notes AS one
JOIN notes AS other USING (id)
WHERE one.member_id = :member_id;

-- name: handed_on_by_a_natural_join(member_id)
-- refused: a natural join makes equal what happens to have one name, after the next migration as well.
-- fault: NATURAL joins and joins with an alias are not followed. Write ON or USING.
SELECT notes.title
FROM members
NATURAL JOIN notes
WHERE notes.member_id = :member_id
    AND members.id = :member_id;

-- name: with_an_alias_of_the_join(member_id)
-- refused: an alias of a join hides the names in it.
-- fault: joins with an alias are not followed
SELECT both_of_them.title
FROM (notes JOIN revisions USING (member_id)) AS both_of_them
WHERE both_of_them.member_id = :member_id;

-- name: handed_on_to_the_nullable_side(member_id)
-- right: what the left join adds belongs to the owner of the row on its left.
SELECT notes.title, revisions.note_id
FROM notes
LEFT JOIN revisions ON revisions.member_id = notes.member_id
WHERE notes.member_id = :member_id;

-- name: handed_on_from_the_nullable_side(member_id)
-- wrong: that the right side is limited in the ON says nothing of the left, which is kept.
-- fault: notes is not limited
SELECT notes.title, revisions.note_id
FROM notes
LEFT JOIN revisions ON revisions.member_id = notes.member_id AND revisions.member_id = :member_id;

-- name: handed_on_by_the_next_left_join(member_id)
-- wrong: the second ON cannot limit what stands to its left.
-- fault: notes (as other) is not limited
SELECT one.title, other.title AS other_title, revisions.note_id
FROM notes AS one
LEFT JOIN notes AS other ON other.id = one.id
LEFT JOIN revisions ON revisions.member_id = other.member_id
WHERE one.member_id = :member_id;

-- name: within_the_nullable_side(member_id)
-- right: the ON is for all of the nullable side, however many tables that has.
SELECT topics.topic, notes.title, revisions.note_id
FROM topics
LEFT JOIN (notes JOIN revisions ON revisions.member_id = notes.member_id)
    ON notes.topic = topics.topic
    AND revisions.member_id = :member_id;

-- name: a_tree_of_joins(member_id)
-- right: the limit is handed on from the last to the first, and from there to the nullable side.
SELECT one.title, revisions.note_id, earlier.number, topics.is_closed, other.title AS other_title
FROM notes AS one
LEFT JOIN (
    revisions
    JOIN revisions AS earlier ON earlier.member_id = revisions.member_id
) ON revisions.member_id = one.member_id
JOIN topics ON topics.topic = one.topic
RIGHT JOIN notes AS other ON other.member_id = one.member_id AND other.id <> one.id
WHERE other.member_id = :member_id;

-- name: the_same_table_twice(member_id)
-- right: each reference is limited.
SELECT one.title, other.title AS other_title
FROM notes AS one
JOIN notes AS other ON other.member_id = one.member_id AND other.id <> one.id
WHERE one.member_id = :member_id;

-- name: the_same_table_twice_but_once(member_id, id)
-- wrong: a join on id alone finds the note of another with that id.
-- fault: notes (as other) is not limited
SELECT other.title
FROM notes AS one
JOIN notes AS other ON other.id = one.id
WHERE one.member_id = :member_id
    AND one.id = :id;

-- name: crossed_over(member_id)
-- wrong: an id that equals the parameter is no owner.
-- fault: notes (as other) is not limited
SELECT other.title
FROM notes AS one
JOIN notes AS other ON other.id = one.member_id
WHERE one.member_id = :member_id;

-- name: from_a_table_of_nobody(member_id)
-- right: what equals the parameter may be any column.
SELECT notes.title
FROM departures
JOIN notes ON notes.member_id = departures.id
WHERE departures.id = :member_id;

-- name: from_each_other()
-- wrong: two columns that are equal to one another are anybody's.
-- fault: notes is not limited
SELECT notes.title
FROM notes
JOIN revisions ON revisions.member_id = notes.member_id;

-- name: before_a_comma(member_id)
-- wrong: a comma is a cross join.
-- fault: notes (as other) is not limited
SELECT other.title
FROM notes AS own, notes AS other
WHERE own.member_id = :member_id
    AND own.id = other.id;

-- name: by_lateral(member_id)
-- right: the sub-select sees what stands to its left, which the WHERE limits.
SELECT members.email, newest.title
FROM members
CROSS JOIN LATERAL (
    SELECT notes.title
    FROM notes
    WHERE notes.member_id = members.id
    ORDER BY notes.id
    LIMIT 1
) AS newest
WHERE members.id = :member_id;

-- name: by_lateral_after_lateral(member_id)
-- right: the second is limited by what the first gives out.
SELECT members.email, first.title, counted.revisions
FROM members
LEFT JOIN LATERAL (
    SELECT notes.member_id, notes.title
    FROM notes
    WHERE notes.member_id = members.id
    ORDER BY notes.id
    LIMIT 1
) AS first ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS revisions
    FROM revisions
    WHERE revisions.member_id = first.member_id
) AS counted ON true
WHERE members.id = :member_id;

-- name: by_lateral_of_everybody(member_id)
-- wrong: here members is not limited, and so nothing is.
-- fault: notes is not limited
SELECT members.email, newest.title
FROM members
CROSS JOIN LATERAL (
    SELECT notes.title
    FROM notes
    WHERE notes.member_id = members.id
    LIMIT 1
) AS newest
WHERE newest.title <> :member_id;

-- name: by_what_only_lateral_would_see(member_id)
-- wrong: without LATERAL, own is not the one on its left but the one around both.
-- fault: notes is not limited
SELECT (
    SELECT max(found.title)
    FROM (SELECT :member_id::uuid AS member_id) AS own,
        (SELECT notes.title FROM notes WHERE notes.member_id = own.member_id) AS found
) AS title
FROM (VALUES ('00000000-0000-4000-8000-00000000000b'::uuid)) AS own (member_id);

-- name: by_an_on_that_sees_both_sides_alone(member_id)
-- wrong: an ON does not see what stands before its comma, so that own is the one around.
-- fault: notes is not limited
SELECT (
    SELECT max(notes.title)
    FROM (SELECT :member_id::uuid AS member_id) AS own,
        topics JOIN notes ON notes.member_id = own.member_id
) AS title
FROM (VALUES ('00000000-0000-4000-8000-00000000000b'::uuid)) AS own (member_id);

-- name: by_lateral_and_itself(member_id)
-- wrong: the sub-select is limited by members and members by the sub-select, and neither by the parameter.
-- fault: members is not limited
SELECT members.email, :member_id::uuid AS asked
FROM members
CROSS JOIN LATERAL (SELECT notes.member_id FROM notes WHERE notes.member_id = members.id) AS own
WHERE members.id = own.member_id;

-- name: by_lateral_of_values(member_id)
-- right: VALUES hand on what they are given.
SELECT notes.title
FROM (VALUES (:member_id::uuid)) AS caller (id)
CROSS JOIN LATERAL (SELECT title FROM notes WHERE notes.member_id = caller.id) AS notes;

-- name: by_values_of_several(member_id, other_id)
-- wrong: one of the values is another member.
-- fault: notes is not limited
SELECT notes.title
FROM (VALUES (:member_id::uuid), (:other_id)) AS caller (id)
JOIN notes ON notes.member_id = caller.id;

-- name: by_an_array(member_ids)
-- wrong: the members are those that an array holds.
-- fault: notes is not limited
SELECT notes.title
FROM unnest(:member_ids::uuid[]) AS wanted (id)
JOIN notes ON notes.member_id = wanted.id;

-- name: with_an_array_of_ids(member_id, ids)
-- right: an array of anything else may be joined.
SELECT notes.title
FROM unnest(:ids::uuid[]) AS wanted (id)
JOIN notes ON notes.member_id = :member_id AND notes.id = wanted.id;

-- name: with_a_sample(member_id)
-- refused: a sample takes its method from a function.
-- fault: RangeTableSample in a FROM is not followed. Use tables, sub-selects and CTEs.
SELECT notes.title
FROM notes TABLESAMPLE bernoulli (100)
WHERE notes.member_id = :member_id;
