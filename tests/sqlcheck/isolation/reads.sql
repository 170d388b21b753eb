-- SELECT from one table: what limits it, and what only looks as if it did.

-- name: a_different_parameter(id)
-- wrong: the parameter has to be :user_id, and :id is whatever the request asks for.
-- fault: tasks is not limited to one user in its scope. Write tasks.user_id = :user_id
SELECT user_id, title
FROM tasks
WHERE id = :id;

-- name: a_list(user_id, other_id)
-- wrong: a list lets every user in it through.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id IN (:user_id, :other_id);

-- name: a_list_of_one(user_id)
-- refused: a list of one would do, but grows.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id IN (:user_id);

-- name: a_not_equal(user_id)
-- wrong: it shows exactly the rows of the others.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id <> :user_id;

-- name: a_swapped_alias(user_id)
-- wrong: the alias calls the first column id, so that user_id is what was id.
-- fault: tasks (as t) is not limited
SELECT t.title
FROM tasks AS t (id, user_id)
WHERE t.user_id = :user_id;

-- name: a_renamed_owner(user_id)
-- right: the alias renames the column, and it is limited under its new name.
SELECT t.title
FROM tasks AS t (whose)
WHERE t.whose = :user_id;

-- name: above_or(user_id, id)
-- wrong: OR lets through what meets its other side.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id = :user_id
    OR id = :id;

-- name: above_and_within_or(user_id, id)
-- wrong: an AND chain below an OR is a branch, and the other branch has none.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE (user_id = :user_id AND id = :id)
    OR status = 'incomplete';

-- name: in_each_branch(user_id, id)
-- refused: each branch of the OR limits it, but a branch is soon added.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE (user_id = :user_id AND id = :id)
    OR (user_id = :user_id AND status = 'incomplete');

-- name: in_an_and_chain(user_id, id)
-- right: the plain form, with others beside it.
SELECT title
FROM tasks
WHERE (status = 'incomplete' OR id = :id)
    AND (user_id = :user_id AND title IS NOT NULL);

-- name: below_not(user_id)
-- wrong: NOT turns it round.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE NOT (user_id = :user_id);

-- name: below_is_not_true(user_id)
-- wrong: a test of the equality is not the equality.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE (user_id = :user_id) IS NOT TRUE;

-- name: compared_with_false(user_id)
-- wrong: it is the equality that is equal to false.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE (user_id = :user_id) = false;

-- name: by_any(user_ids)
-- wrong: an array holds as many users as somebody puts there.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id = ANY (:user_ids::uuid[]);

-- name: by_case(user_id, id)
-- wrong: CASE decides whether the equality counts.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE CASE WHEN id = :id THEN true ELSE user_id = :user_id END;

-- name: by_coalesce(user_id)
-- wrong: a NULL user would be everybody, as in the classic optional filter.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id = coalesce(nullif(:user_id::uuid, :user_id), user_id);

-- name: by_having(user_id)
-- refused: HAVING comes after the rows of everybody have been read.
-- fault: tasks is not limited
SELECT user_id, count(*) AS tasks
FROM tasks
GROUP BY user_id
HAVING user_id = :user_id;

-- name: by_not_distinct(user_id)
-- refused: IS NOT DISTINCT FROM would find rows of nobody for NULL, and cannot use an index.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id IS NOT DISTINCT FROM :user_id;

-- name: by_range(user_id)
-- wrong: a bound on one side is a range of users.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id >= :user_id;

-- name: by_row(user_id, id)
-- right: a comparison of rows is one of each column.
SELECT title
FROM tasks
WHERE (user_id, id) = (:user_id, :id);

-- name: by_greater_row(user_id, id)
-- wrong: rows that come after a position are those of other users too.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE (user_id, id) > (:user_id, :id);

-- name: by_a_misplaced_row(user_id)
-- wrong: each column is compared with what stands in its own place.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE (id, status) = (:user_id, 'incomplete');

-- name: cast_to_text(user_id)
-- refused: a cast of the column may lose what makes users different, as left(…, 1) would.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id::text = :user_id;

-- name: cast_of_the_parameter(user_id)
-- right: a cast of the parameter says what its type is.
SELECT title
FROM tasks
WHERE :user_id::uuid = user_id;

-- name: cast_of_the_parameter_to_something_else(user_id)
-- refused: a cast to another type may lose what makes users different.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id = :user_id::text;

-- name: in_the_select_list(user_id)
-- wrong: what is selected limits nothing.
-- fault: tasks is not limited
SELECT title, user_id = :user_id AS is_own
FROM tasks;

-- name: in_the_order(user_id)
-- wrong: an order limits nothing, and neither does a LIMIT.
-- fault: tasks is not limited
SELECT title
FROM tasks
ORDER BY user_id = :user_id
LIMIT 3;

-- name: in_a_filter(user_id)
-- wrong: the FILTER of one aggregate leaves the rows to the others.
-- fault: tasks is not limited
SELECT count(*) FILTER (WHERE user_id = :user_id) AS own, count(*) AS tasks
FROM tasks;

-- name: the_parameter_with_itself(user_id)
-- wrong: it is always true.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE :user_id::uuid = :user_id;

-- name: the_column_with_itself(user_id)
-- wrong: it is always true, and makes nothing of the parameter.
-- fault: tasks is not limited
SELECT title, :user_id::uuid AS asked
FROM tasks
WHERE user_id = user_id;

-- name: with_an_operator_of_pg_catalog(user_id)
-- right: it is the same operator, with its whole name.
SELECT title
FROM tasks
WHERE user_id OPERATOR(pg_catalog.=) :user_id;

-- name: with_a_schema(user_id)
-- right: the schema of the service may be named.
SELECT tasks.title
FROM public.tasks
WHERE tasks.user_id = :user_id;

-- name: with_a_schema_and_no_limit()
-- wrong: with its schema it is the same table.
-- fault: tasks is not limited
SELECT title
FROM public.tasks;

-- name: under_the_name_of_another(user_id)
-- right: what is read is users, whatever its alias says.
SELECT tasks.email
FROM users AS tasks
WHERE tasks.id = :user_id;

-- name: under_the_name_of_another_unlimited(user_id)
-- wrong: that the other table is called users makes it none of its own.
-- fault: tasks (as users) is not limited to one user in its scope. Write users.user_id = :user_id
SELECT users.title
FROM tasks AS users
WHERE users.id = :user_id;

-- name: users_by_id(id)
-- right: on users alone, the parameter may be called id.
SELECT email
FROM users
WHERE id = :id;

-- name: users_by_email(email)
-- wrong: whoever knows an address would be its owner.
-- fault: users is not limited to one user in its scope. Write users.id = :id
SELECT id
FROM users
WHERE email = :email;

-- name: users_by_id_beside_tasks(id)
-- wrong: beside another table :id may be the id of anything.
-- fault: tasks is not limited
SELECT users.email, tasks.title
FROM users
CROSS JOIN tasks
WHERE users.id = :id;

-- name: locked(user_id)
-- right: FOR UPDATE names what stands in the FROM, and locks what was found.
SELECT t.title
FROM tasks AS t
WHERE t.user_id = :user_id
FOR UPDATE OF t;

-- name: tables_of_nobody()
-- right: a table without an owner needs no limit.
SELECT status, is_done
FROM task_statuses
ORDER BY position;
