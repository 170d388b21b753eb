-- Sub-queries and CTEs: each is a scope, and none limits what is around it.

-- name: a_cte(user_id)
-- right: the CTE is limited, and what it gives out needs no more.
WITH own AS (
    SELECT id, title
    FROM tasks
    WHERE user_id = :user_id
)

SELECT title
FROM own;

-- name: a_cte_that_is_limited_outside(user_id)
-- wrong: the LIMIT of the CTE chooses among the tasks of everybody.
-- fault: tasks is not limited
WITH newest AS (
    SELECT user_id, title
    FROM tasks
    ORDER BY user_id DESC, id DESC
    LIMIT 3
)

SELECT title
FROM newest
WHERE user_id = :user_id;

-- name: a_cte_that_nobody_reads(user_id)
-- refused: PostgreSQL may leave it out, but nobody has to read what is there for nothing.
-- fault: tasks (as unused) is not limited
WITH others AS (
    SELECT unused.title
    FROM tasks AS unused
)

SELECT title
FROM tasks
WHERE user_id = :user_id;

-- name: a_cte_that_hands_on(user_id)
-- right: its column is limited, and limits.
WITH caller AS (
    SELECT users.id AS user_id
    FROM users
    WHERE users.id = :user_id
)

SELECT tasks.title
FROM tasks
JOIN caller ON caller.user_id = tasks.user_id;

-- name: a_cte_that_hands_on_another_column(user_id)
-- wrong: the CTE calls user_id what is an id.
-- fault: tasks (as other) is not limited
WITH caller AS (
    SELECT tasks.id AS user_id
    FROM tasks
    WHERE tasks.user_id = :user_id
)

SELECT other.title
FROM tasks AS other
JOIN caller ON caller.user_id = other.user_id;

-- name: a_cte_with_columns_in_another_order(user_id)
-- wrong: its list of names turns the two columns round.
-- fault: tasks (as other) is not limited
WITH caller (id, user_id) AS (
    SELECT tasks.user_id, tasks.id
    FROM tasks
    WHERE tasks.user_id = :user_id
)

SELECT other.title
FROM tasks AS other
JOIN caller ON caller.user_id = other.user_id;

-- name: a_cte_with_the_name_of_a_table(user_id)
-- right: behind it, the name is that of the CTE.
WITH tasks AS (
    SELECT title
    FROM tasks
    WHERE user_id = :user_id
)

SELECT title
FROM tasks;

-- name: a_cte_with_the_name_of_a_table_unlimited(user_id)
-- wrong: in the CTE itself, the name is that of the table.
-- fault: tasks is not limited
WITH tasks AS (
    SELECT title
    FROM tasks
)

SELECT title, :user_id::uuid AS asked
FROM tasks;

-- name: a_cte_that_a_schema_passes_over(user_id)
-- wrong: with its schema, the name is that of the table.
-- fault: tasks is not limited
WITH tasks AS (
    SELECT id, title
    FROM tasks
    WHERE user_id = :user_id
)

SELECT tasks.title
FROM public.tasks;

-- name: a_cte_within(user_id)
-- wrong: a CTE of a sub-query is none outside of it.
-- fault: tasks is not limited
SELECT tasks.title
FROM tasks
WHERE EXISTS (
    WITH tasks AS (SELECT title FROM tasks WHERE user_id = :user_id)
    SELECT FROM tasks
);

-- name: a_recursive_cte(user_id)
-- right: it begins with the caller, and each step stays there.
WITH RECURSIVE chain AS (
    SELECT user_id, id, 1 AS depth
    FROM tasks
    WHERE user_id = :user_id
    UNION ALL
    SELECT tasks.user_id, tasks.id, chain.depth + 1
    FROM tasks
    JOIN chain ON chain.user_id = tasks.user_id
    WHERE chain.depth < 2
)

SELECT count(*) AS steps
FROM chain;

-- name: a_recursive_cte_that_strays(user_id)
-- wrong: it begins with the caller, and goes on to whoever has a task of the same id.
-- fault: tasks is not limited
WITH RECURSIVE chain AS (
    SELECT user_id, id, 1 AS depth
    FROM tasks
    WHERE user_id = :user_id
    UNION ALL
    SELECT tasks.user_id, tasks.id, chain.depth + 1
    FROM tasks
    JOIN chain ON chain.id = tasks.id
    WHERE chain.depth < 2
)

SELECT count(*) AS steps
FROM chain;

-- name: a_recursive_cte_that_begins_anywhere(user_id)
-- wrong: each step stays with its user, and that is any.
-- fault: tasks is not limited
WITH RECURSIVE chain AS (
    SELECT user_id, id, 1 AS depth, :user_id::uuid AS asked
    FROM tasks
    UNION ALL
    SELECT tasks.user_id, tasks.id, chain.depth + 1, chain.asked
    FROM tasks
    JOIN chain ON chain.user_id = tasks.user_id
    WHERE chain.depth < 2
)

SELECT count(*) AS steps
FROM chain;

-- name: a_recursive_cte_that_changes_columns(user_id)
-- wrong: with each step another column is called user_id, so that the third reads those of another user.
-- fault: tasks (as next) is not limited
WITH RECURSIVE chain AS (
    SELECT user_id, '00000000-0000-4000-8000-00000000000b'::uuid AS other, 1 AS depth
    FROM tasks
    WHERE user_id = :user_id
    UNION ALL
    SELECT chain.other, next.user_id, chain.depth + 1
    FROM tasks AS next
    JOIN chain ON chain.user_id = next.user_id
    WHERE chain.depth < 3
)

SELECT count(*) AS steps
FROM chain;

-- name: a_cte_that_comes_later(user_id)
-- refused: in WITH RECURSIVE a CTE may be used before it is written.
-- fault: tasks is used before it is written. Put that CTE first.
WITH RECURSIVE own AS (
    SELECT user_id, title
    FROM tasks
    WHERE user_id = :user_id
),

tasks AS (
    SELECT id AS user_id, email AS title
    FROM users
)

SELECT title
FROM own;

-- name: a_cte_that_searches(user_id)
-- refused: SEARCH adds a column.
-- fault: SEARCH and CYCLE of chain are not followed
WITH RECURSIVE chain (user_id, depth) AS (
    SELECT user_id, 1
    FROM tasks
    WHERE user_id = :user_id
    UNION ALL
    SELECT user_id, depth + 1
    FROM chain
    WHERE depth < 2
) SEARCH DEPTH FIRST BY depth SET path

SELECT count(*) AS steps
FROM chain;

-- name: a_sub_select(user_id)
-- right: limited where it reads.
SELECT own.title
FROM (SELECT title FROM tasks WHERE user_id = :user_id) AS own;

-- name: a_sub_select_that_is_limited_outside(user_id)
-- wrong: the numbers that it gives depend on the tasks of others.
-- fault: tasks is not limited
SELECT own.title, own.place
FROM (SELECT user_id, title, row_number() OVER (ORDER BY user_id DESC, id DESC) AS place FROM tasks) AS own
WHERE own.user_id = :user_id;

-- name: a_sub_select_with_a_star(user_id)
-- right: a star is the columns of its tables in their order.
SELECT tasks.title
FROM (SELECT * FROM sessions WHERE user_id = :user_id) AS own
JOIN tasks ON tasks.user_id = own.user_id;

-- name: a_sub_select_with_another_star(user_id)
-- wrong: the second column of tasks is its id.
-- fault: tasks is not limited
SELECT tasks.title
FROM (SELECT own.* FROM tasks AS own WHERE own.user_id = :user_id) AS caller (id, user_id)
JOIN tasks ON tasks.user_id = caller.user_id;

-- name: a_sub_select_with_the_fields_of_rows(rows)
-- wrong: the star is the fields of rows that are given, and so is user_id.
-- fault: tasks is not limited
SELECT tasks.title
FROM (SELECT (unnest(:rows::spent_refresh_tokens[])).*) AS given
JOIN tasks USING (user_id);

-- name: a_sub_select_with_the_fields_of_rows_before_its_own(user_id, rows)
-- wrong: the second column is not the one that stands second here.
-- fault: tasks (as other) is not limited
SELECT other.title
FROM (
    SELECT (unnest(:rows::spent_refresh_tokens[])).*, tasks.user_id AS own_id
    FROM tasks
    WHERE tasks.user_id = :user_id
) AS given (whose, own_id)
JOIN tasks AS other ON other.user_id = given.whose;

-- name: a_shadowed_alias(user_id)
-- wrong: within EXISTS, tasks is the inner one, so that nothing limits the outer one.
-- fault: tasks is not limited
SELECT tasks.title
FROM tasks
WHERE EXISTS (SELECT FROM tasks WHERE tasks.user_id = :user_id);

-- name: a_shadowing_alias(user_id)
-- wrong: the inner own is sessions, and the outer one is limited for nothing.
-- fault: tasks (as inner_tasks) is not limited
SELECT own.title
FROM tasks AS own
WHERE own.user_id = :user_id
    AND EXISTS (
        SELECT
        FROM revocations AS own
        JOIN tasks AS inner_tasks ON inner_tasks.user_id <> own.id
        WHERE own.id = :user_id
    );

-- name: a_bare_name_of_the_inner_table(user_id)
-- wrong: a bare name is that of the inner table, if that has such a column.
-- fault: sessions is not limited
SELECT tasks.title
FROM tasks
WHERE tasks.user_id = :user_id
    AND EXISTS (SELECT FROM sessions WHERE user_id = sessions.user_id AND user_id <> :user_id);

-- name: a_bare_name_of_the_outer_table(user_id)
-- right: users has no user_id, so it is that of tasks, which is limited.
SELECT tasks.title, (SELECT users.email FROM users WHERE users.id = user_id) AS email
FROM tasks
WHERE user_id = :user_id;

-- name: a_bare_name_that_may_be_of_the_inner_one(user_id, rows)
-- wrong: unnest makes columns of the fields of its rows, and one of them is user_id.
-- fault: users is not limited
SELECT tasks.title
FROM tasks
WHERE tasks.user_id = :user_id
    AND EXISTS (
        SELECT
        FROM unnest(:rows::spent_refresh_tokens[]) AS given
        JOIN users ON users.id = user_id
    );

-- name: an_exists(user_id)
-- right: a correlated reference to a limited column.
SELECT tasks.title
FROM tasks
WHERE tasks.user_id = :user_id
    AND EXISTS (SELECT FROM sessions WHERE sessions.user_id = tasks.user_id);

-- name: an_exists_of_anybody(user_id)
-- wrong: whether a row of somebody else exists is nobody else's business.
-- fault: tasks (as other) is not limited
SELECT tasks.title
FROM tasks
WHERE tasks.user_id = :user_id
    AND NOT EXISTS (SELECT FROM tasks AS other WHERE other.id = tasks.id AND other.user_id <> tasks.user_id);

-- name: an_exists_below_or(user_id)
-- right: below OR a sub-query is a scope of its own all the same.
SELECT tasks.title
FROM tasks
WHERE tasks.user_id = :user_id
    AND (tasks.status = 'complete' OR EXISTS (SELECT FROM sessions WHERE sessions.user_id = :user_id));

-- name: an_in(user_id)
-- wrong: whoever has a session is not the caller.
-- fault: tasks is not limited
SELECT title
FROM tasks
WHERE user_id IN (SELECT user_id FROM sessions WHERE id = :user_id);

-- name: a_scalar_in_the_select_list(user_id)
-- wrong: the sub-query counts what everybody has.
-- fault: tasks (as every) is not limited
SELECT title, (SELECT count(*) FROM tasks AS every) AS tasks
FROM tasks
WHERE user_id = :user_id;

-- name: an_array(user_id)
-- wrong: it collects the titles of everybody.
-- fault: tasks is not limited
SELECT email, ARRAY(SELECT title FROM tasks ORDER BY title) AS titles
FROM users
WHERE id = :user_id;

-- name: an_array_of_own(user_id)
-- right: it collects those of the row of which it is a part.
SELECT email, ARRAY(SELECT title FROM tasks WHERE tasks.user_id = users.id ORDER BY title) AS titles
FROM users
WHERE id = :user_id;

-- name: in_a_limit(user_id)
-- wrong: how many rows come back tells how many others there are.
-- fault: users is not limited
SELECT title
FROM tasks
WHERE user_id = :user_id
ORDER BY id
LIMIT (SELECT count(*) FROM users);

-- name: in_an_order(user_id)
-- wrong: which row is the first depends on what others have.
-- fault: users is not limited
SELECT title
FROM tasks
WHERE user_id = :user_id
ORDER BY CASE WHEN (SELECT count(*) FROM users) > 1 THEN id END DESC, id
LIMIT 1;

-- name: in_values(user_id)
-- wrong: VALUES hold the address of another.
-- fault: users is not limited
SELECT given.email, :user_id::uuid AS asked
FROM (VALUES ((SELECT max(email) FROM users))) AS given (email);

-- name: in_an_on(user_id)
-- wrong: the ON of a join has sub-queries too.
-- fault: sessions is not limited
SELECT tasks.title
FROM tasks
JOIN task_statuses ON task_statuses.status = tasks.status AND (SELECT count(*) FROM sessions) > 1
WHERE tasks.user_id = :user_id;

-- name: in_a_function(user_id)
-- wrong: so has a function in a FROM.
-- fault: users is not limited
SELECT series.number, :user_id::uuid AS asked
FROM generate_series(1, (SELECT count(*) FROM users)) AS series (number);

-- name: in_an_aggregate(user_id)
-- wrong: so has the FILTER of an aggregate.
-- fault: users is not limited
SELECT count(*) FILTER (WHERE (SELECT count(*) FROM users) > 1) AS tasks
FROM tasks
WHERE user_id = :user_id;

-- name: a_union(user_id)
-- right: each arm is limited.
SELECT title
FROM tasks
WHERE user_id = :user_id
UNION ALL
SELECT email
FROM users
WHERE id = :user_id;

-- name: a_union_with_an_open_arm(user_id)
-- wrong: one of the arms is not limited.
-- fault: users is not limited
SELECT title
FROM tasks
WHERE user_id = :user_id
UNION ALL
SELECT email
FROM users;

-- name: an_except(user_id)
-- wrong: what is taken away tells of what others have.
-- fault: tasks (as other) is not limited
SELECT id
FROM tasks
WHERE user_id = :user_id
EXCEPT
SELECT other.id
FROM tasks AS other
WHERE other.user_id <> :user_id;

-- name: an_intersect(user_id)
-- wrong: what is left tells of what others have.
-- fault: tasks (as other) is not limited
SELECT id
FROM tasks
WHERE user_id = :user_id
INTERSECT
SELECT other.id
FROM tasks AS other
WHERE other.user_id <> :user_id;

-- name: a_union_that_hands_on(user_id, other_id)
-- wrong: one of its arms gives another user.
-- fault: tasks is not limited
WITH wanted AS (
    SELECT :user_id::uuid AS user_id
    UNION
    SELECT :other_id::uuid
)

SELECT tasks.title
FROM tasks
JOIN wanted ON wanted.user_id = tasks.user_id;

-- name: a_union_that_hands_on_the_caller(user_id)
-- right: both of its arms give the caller.
WITH wanted AS (
    SELECT users.id
    FROM users
    WHERE users.id = :user_id
    UNION
    SELECT :user_id::uuid
)

SELECT tasks.title
FROM tasks
JOIN wanted ON wanted.id = tasks.user_id;

-- name: a_null_from_an_outer_join(user_id)
-- right: where the outer join finds nothing, nothing is handed on.
WITH sessions_of_caller AS (
    SELECT sessions.user_id
    FROM task_statuses
    LEFT JOIN sessions ON sessions.user_id = :user_id AND task_statuses.status = 'incomplete'
)

SELECT tasks.title
FROM tasks
JOIN sessions_of_caller ON sessions_of_caller.user_id = tasks.user_id;

-- name: within_what_is_limited_later(user_id)
-- right: the sub-query matters for those rows alone that the WHERE keeps.
SELECT tasks.title, sessions.id
FROM tasks
LEFT JOIN sessions
    ON EXISTS (SELECT FROM users WHERE users.id = tasks.user_id)
    AND sessions.user_id = tasks.user_id
WHERE tasks.user_id = :user_id;

-- name: an_unknown_relation(user_id)
-- refused: a view may show the rows of anybody.
-- fault: pg_stat_activity is no table of the schema, so nobody knows whose rows it shows. Read the tables.
SELECT tasks.title, pg_stat_activity.query
FROM tasks
CROSS JOIN pg_stat_activity
WHERE tasks.user_id = :user_id;

-- name: a_table_of_another_schema(user_id)
-- refused: another schema may have a table of the same name.
-- fault: pg_temp.tasks is no table of the schema
SELECT tasks.title
FROM pg_temp.tasks
WHERE tasks.user_id = :user_id;
