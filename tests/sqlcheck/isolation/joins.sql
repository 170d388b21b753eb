-- Joins: which side an ON limits, and how a limit is handed on.

-- name: by_on_of_an_inner_join(user_id)
-- right: an inner join drops what does not match.
SELECT tasks.title
FROM task_statuses
JOIN tasks ON tasks.status = task_statuses.status AND tasks.user_id = :user_id;

-- name: by_on_of_a_left_join(user_id)
-- right: of the nullable side only what matches is there.
SELECT task_statuses.status, tasks.title
FROM task_statuses
LEFT JOIN tasks ON tasks.status = task_statuses.status AND tasks.user_id = :user_id;

-- name: by_on_of_a_left_join_for_the_left(user_id)
-- wrong: a left join keeps the rows of its left side that do not match.
-- fault: tasks is not limited
SELECT tasks.title, task_statuses.is_done
FROM tasks
LEFT JOIN task_statuses ON task_statuses.status = tasks.status AND tasks.user_id = :user_id;

-- name: by_on_of_a_right_join(user_id)
-- right: it is the left side that a right join may leave NULL.
SELECT task_statuses.status, tasks.title
FROM tasks
RIGHT JOIN task_statuses ON task_statuses.status = tasks.status AND tasks.user_id = :user_id;

-- name: by_on_of_a_right_join_for_the_right(user_id)
-- wrong: a right join keeps the rows of its right side that do not match.
-- fault: tasks is not limited
SELECT tasks.title, task_statuses.is_done
FROM task_statuses
RIGHT JOIN tasks ON task_statuses.status = tasks.status AND tasks.user_id = :user_id;

-- name: by_on_of_a_full_join(user_id)
-- wrong: a full join keeps the rows of both sides that do not match.
-- fault: tasks is not limited
SELECT tasks.title, task_statuses.status
FROM tasks
FULL JOIN task_statuses ON task_statuses.status = tasks.status AND tasks.user_id = :user_id;

-- name: by_where_behind_a_full_join(user_id)
-- right: the WHERE is for what a full join keeps, too.
SELECT one.title, other.title AS other_title
FROM tasks AS one
FULL JOIN tasks AS other ON other.id = one.id AND other.user_id = one.user_id
WHERE one.user_id = :user_id
    AND other.user_id = :user_id;

-- name: by_where_behind_a_full_join_for_one_side(user_id)
-- wrong: the other side is limited by nothing.
-- fault: tasks (as other) is not limited to one user in its scope. Write other.user_id = :user_id
SELECT one.title, other.title AS other_title
FROM tasks AS one
FULL JOIN tasks AS other ON other.id = one.id
WHERE one.user_id = :user_id;

-- name: by_a_merged_column_of_a_full_join(user_id)
-- refused: the merged column is that of either side, which is more than is followed here.
-- fault: tasks is not limited
SELECT tasks.title, sessions.id
FROM tasks
FULL JOIN sessions USING (user_id)
WHERE user_id = :user_id;

-- name: handed_on_by_on(user_id)
-- right: what is equal to a limited column is limited.
SELECT tasks.title, sessions.id
FROM sessions
JOIN tasks ON tasks.user_id = sessions.user_id
WHERE sessions.user_id = :user_id;

-- name: handed_on_by_where(user_id)
-- right: it does not matter which way round, nor over how many.
SELECT tasks.title
FROM users, sessions, tasks
WHERE tasks.user_id = sessions.user_id
    AND sessions.user_id = users.id
    AND :user_id = users.id;

-- name: handed_on_by_using(user_id)
-- right: USING says that the columns are equal.
SELECT tasks.title, sessions.id
FROM tasks
JOIN sessions USING (user_id)
WHERE user_id = :user_id;

-- name: handed_on_by_using_twice(user_id)
-- right: the merged column is joined again.
SELECT tasks.title, spent_refresh_tokens.session_id
FROM tasks
JOIN sessions USING (user_id)
LEFT JOIN spent_refresh_tokens USING (user_id)
WHERE user_id = :user_id;

-- name: by_using_of_another_column(user_id)
-- wrong: USING makes equal what it names, and no more.
-- fault: tasks (as other) is not limited
SELECT one.title, other.title AS other_title
FROM tasks AS one
JOIN tasks AS other USING (id)
WHERE one.user_id = :user_id;

-- name: handed_on_by_a_natural_join(user_id)
-- refused: a natural join makes equal what happens to have one name, after the next migration as well.
-- fault: NATURAL joins and joins with an alias are not followed. Write ON or USING.
SELECT tasks.title
FROM users
NATURAL JOIN tasks
WHERE tasks.user_id = :user_id
    AND users.id = :user_id;

-- name: with_an_alias_of_the_join(user_id)
-- refused: an alias of a join hides the names in it.
-- fault: joins with an alias are not followed
SELECT both_of_them.title
FROM (tasks JOIN sessions USING (user_id)) AS both_of_them
WHERE both_of_them.user_id = :user_id;

-- name: handed_on_to_the_nullable_side(user_id)
-- right: what the left join adds belongs to the owner of the row on its left.
SELECT tasks.title, sessions.id
FROM tasks
LEFT JOIN sessions ON sessions.user_id = tasks.user_id
WHERE tasks.user_id = :user_id;

-- name: handed_on_from_the_nullable_side(user_id)
-- wrong: that the right side is limited in the ON says nothing of the left, which is kept.
-- fault: tasks is not limited
SELECT tasks.title, sessions.id
FROM tasks
LEFT JOIN sessions ON sessions.user_id = tasks.user_id AND sessions.user_id = :user_id;

-- name: handed_on_by_the_next_left_join(user_id)
-- wrong: the second ON cannot limit what stands to its left.
-- fault: tasks (as other) is not limited
SELECT one.title, other.title AS other_title, sessions.id
FROM tasks AS one
LEFT JOIN tasks AS other ON other.id = one.id
LEFT JOIN sessions ON sessions.user_id = other.user_id
WHERE one.user_id = :user_id;

-- name: within_the_nullable_side(user_id)
-- right: the ON is for all of the nullable side, however many tables that has.
SELECT task_statuses.status, tasks.title, sessions.id
FROM task_statuses
LEFT JOIN (tasks JOIN sessions ON sessions.user_id = tasks.user_id)
    ON tasks.status = task_statuses.status
    AND sessions.user_id = :user_id;

-- name: a_tree_of_joins(user_id)
-- right: the limit is handed on from the last to the first, and from there to the nullable side.
SELECT one.title, sessions.id, spent.session_id, task_statuses.is_done, other.title AS other_title
FROM tasks AS one
LEFT JOIN (
    sessions
    JOIN spent_refresh_tokens AS spent ON spent.user_id = sessions.user_id
) ON sessions.user_id = one.user_id
JOIN task_statuses ON task_statuses.status = one.status
RIGHT JOIN tasks AS other ON other.user_id = one.user_id AND other.id <> one.id
WHERE other.user_id = :user_id;

-- name: the_same_table_twice(user_id)
-- right: each reference is limited.
SELECT one.title, other.title AS other_title
FROM tasks AS one
JOIN tasks AS other ON other.user_id = one.user_id AND other.id <> one.id
WHERE one.user_id = :user_id;

-- name: the_same_table_twice_but_once(user_id, id)
-- wrong: a join on id alone finds the task of another with that id.
-- fault: tasks (as other) is not limited
SELECT other.title
FROM tasks AS one
JOIN tasks AS other ON other.id = one.id
WHERE one.user_id = :user_id
    AND one.id = :id;

-- name: crossed_over(user_id)
-- wrong: an id that equals the parameter is no owner.
-- fault: tasks (as other) is not limited
SELECT other.title
FROM tasks AS one
JOIN tasks AS other ON other.id = one.user_id
WHERE one.user_id = :user_id;

-- name: from_a_table_of_nobody(user_id)
-- right: what equals the parameter may be any column.
SELECT tasks.title
FROM revocations
JOIN tasks ON tasks.user_id = revocations.id
WHERE revocations.id = :user_id;

-- name: from_each_other()
-- wrong: two columns that are equal to one another are anybody's.
-- fault: tasks is not limited
SELECT tasks.title
FROM tasks
JOIN sessions ON sessions.user_id = tasks.user_id;

-- name: before_a_comma(user_id)
-- wrong: a comma is a cross join.
-- fault: tasks (as other) is not limited
SELECT other.title
FROM tasks AS own, tasks AS other
WHERE own.user_id = :user_id
    AND own.id = other.id;

-- name: by_lateral(user_id)
-- right: the sub-select sees what stands to its left, which the WHERE limits.
SELECT users.email, newest.title
FROM users
CROSS JOIN LATERAL (
    SELECT tasks.title
    FROM tasks
    WHERE tasks.user_id = users.id
    ORDER BY tasks.id
    LIMIT 1
) AS newest
WHERE users.id = :user_id;

-- name: by_lateral_after_lateral(user_id)
-- right: the second is limited by what the first gives out.
SELECT users.email, first.title, counted.sessions
FROM users
LEFT JOIN LATERAL (
    SELECT tasks.user_id, tasks.title
    FROM tasks
    WHERE tasks.user_id = users.id
    ORDER BY tasks.id
    LIMIT 1
) AS first ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS sessions
    FROM sessions
    WHERE sessions.user_id = first.user_id
) AS counted ON true
WHERE users.id = :user_id;

-- name: by_lateral_of_everybody(user_id)
-- wrong: here users is not limited, and so nothing is.
-- fault: tasks is not limited
SELECT users.email, newest.title
FROM users
CROSS JOIN LATERAL (
    SELECT tasks.title
    FROM tasks
    WHERE tasks.user_id = users.id
    LIMIT 1
) AS newest
WHERE newest.title <> :user_id;

-- name: by_what_only_lateral_would_see(user_id)
-- wrong: without LATERAL, own is not the one on its left but the one around both.
-- fault: tasks is not limited
SELECT (
    SELECT max(found.title)
    FROM (SELECT :user_id::uuid AS user_id) AS own,
        (SELECT tasks.title FROM tasks WHERE tasks.user_id = own.user_id) AS found
) AS title
FROM (VALUES ('00000000-0000-4000-8000-00000000000b'::uuid)) AS own (user_id);

-- name: by_an_on_that_sees_both_sides_alone(user_id)
-- wrong: an ON does not see what stands before its comma, so that own is the one around.
-- fault: tasks is not limited
SELECT (
    SELECT max(tasks.title)
    FROM (SELECT :user_id::uuid AS user_id) AS own,
        task_statuses JOIN tasks ON tasks.user_id = own.user_id
) AS title
FROM (VALUES ('00000000-0000-4000-8000-00000000000b'::uuid)) AS own (user_id);

-- name: by_lateral_and_itself(user_id)
-- wrong: the sub-select is limited by users and users by the sub-select, and neither by the parameter.
-- fault: users is not limited
SELECT users.email, :user_id::uuid AS asked
FROM users
CROSS JOIN LATERAL (SELECT tasks.user_id FROM tasks WHERE tasks.user_id = users.id) AS own
WHERE users.id = own.user_id;

-- name: by_lateral_of_values(user_id)
-- right: VALUES hand on what they are given.
SELECT tasks.title
FROM (VALUES (:user_id::uuid)) AS caller (id)
CROSS JOIN LATERAL (SELECT title FROM tasks WHERE tasks.user_id = caller.id) AS tasks;

-- name: by_values_of_several(user_id, other_id)
-- wrong: one of the values is another user.
-- fault: tasks is not limited
SELECT tasks.title
FROM (VALUES (:user_id::uuid), (:other_id)) AS caller (id)
JOIN tasks ON tasks.user_id = caller.id;

-- name: by_an_array(user_ids)
-- wrong: the users are those that an array holds.
-- fault: tasks is not limited
SELECT tasks.title
FROM unnest(:user_ids::uuid[]) AS wanted (id)
JOIN tasks ON tasks.user_id = wanted.id;

-- name: with_an_array_of_ids(user_id, ids)
-- right: an array of anything else may be joined.
SELECT tasks.title
FROM unnest(:ids::uuid[]) AS wanted (id)
JOIN tasks ON tasks.user_id = :user_id AND tasks.id = wanted.id;

-- name: with_a_sample(user_id)
-- refused: a sample takes its method from a function.
-- fault: RangeTableSample in a FROM is not followed. Use tables, sub-selects and CTEs.
SELECT tasks.title
FROM tasks TABLESAMPLE bernoulli (100)
WHERE tasks.user_id = :user_id;
