-- INSERT, UPDATE and DELETE: whose rows are added, changed, removed, and shown.

-- name: a_delete(user_id, id)
-- right: limited as a SELECT is.
DELETE FROM tasks
WHERE user_id = :user_id
    AND id = :id
RETURNING title;

-- name: a_delete_by_id(id)
-- wrong: the id is anybody's.
-- fault: tasks is not limited
DELETE FROM tasks
WHERE id = :id
RETURNING title;

-- name: a_delete_using(user_id)
-- right: the limit is handed on from what it uses.
DELETE FROM tasks
USING sessions
WHERE sessions.user_id = :user_id
    AND tasks.user_id = sessions.user_id
RETURNING tasks.title;

-- name: a_delete_using_its_own(user_id)
-- wrong: what is used is limited, and the target is not.
-- fault: tasks is not limited
DELETE FROM tasks
USING sessions
WHERE sessions.user_id = :user_id
    AND tasks.id = sessions.id
RETURNING tasks.title;

-- name: a_delete_using_anybody(user_id)
-- wrong: the target is limited, and what is used is not.
-- fault: sessions is not limited
DELETE FROM tasks
USING sessions
WHERE tasks.user_id = :user_id
    AND sessions.user_id <> tasks.user_id
RETURNING tasks.title;

-- name: a_delete_at_a_cursor()
-- refused: nothing here knows what row a cursor is at.
-- fault: tasks is not limited
DELETE FROM tasks
WHERE CURRENT OF a_cursor;

-- name: a_delete_that_shows_others(user_id)
-- wrong: RETURNING has sub-queries, too.
-- fault: users is not limited
DELETE FROM tasks
WHERE user_id = :user_id
RETURNING title, (SELECT count(*) FROM users) AS users;

-- name: an_update(user_id, id, title)
-- right: limited as a SELECT is.
UPDATE tasks
SET title = :title
WHERE user_id = :user_id
    AND id = :id
RETURNING title;

-- name: an_update_by_id(id, title)
-- wrong: the id is anybody's.
-- fault: tasks is not limited
UPDATE tasks
SET title = :title
WHERE id = :id;

-- name: an_update_from(user_id)
-- right: both are limited.
UPDATE tasks
SET title = users.email
FROM users
WHERE tasks.user_id = :user_id
    AND users.id = tasks.user_id;

-- name: an_update_from_anybody(user_id)
-- wrong: the title is taken from a task of another.
-- fault: tasks (as source) is not limited
UPDATE tasks
SET title = source.title
FROM tasks AS source
WHERE tasks.user_id = :user_id
    AND source.user_id <> :user_id
    AND source.id = tasks.id;

-- name: an_update_from_own_of_anybody(user_id)
-- wrong: the source is limited, and the target is not.
-- fault: tasks is not limited
UPDATE tasks
SET title = source.title
FROM tasks AS source
WHERE source.user_id = :user_id
    AND source.id = tasks.id;

-- name: an_update_with_a_sub_query(user_id)
-- wrong: SET has sub-queries, too.
-- fault: users is not limited
UPDATE tasks
SET title = (SELECT max(email) FROM users)
WHERE user_id = :user_id;

-- name: an_update_of_several(user_id)
-- wrong: so has SET with several columns.
-- fault: users is not limited
UPDATE tasks
SET (title, description) = (SELECT max(email), min(email) FROM users)
WHERE user_id = :user_id;

-- name: an_update_of_several_with_own(user_id)
-- right: and that may be correlated with the row that is changed.
UPDATE tasks
SET (title, description) = (SELECT users.email, users.email FROM users WHERE users.id = tasks.user_id)
WHERE user_id = :user_id
RETURNING title;

-- name: a_gift(user_id, other_id)
-- wrong: it gives a token to another user.
-- fault: spent_refresh_tokens.user_id is set to something else than :user_id. Leave it as it is
UPDATE spent_refresh_tokens
SET user_id = :other_id, token_hash = sha256('gift')
WHERE user_id = :user_id;

-- name: a_gift_in_a_row(user_id, other_id)
-- wrong: so it does, in a row.
-- fault: spent_refresh_tokens.user_id is set to something else than :user_id
UPDATE spent_refresh_tokens
SET (token_hash, user_id) = ROW(sha256('gift'), :other_id)
WHERE user_id = :user_id;

-- name: a_gift_in_a_row_behind_the_parameter(user_id, other_id)
-- wrong: in a row, each column is given what stands in its own place.
-- fault: spent_refresh_tokens.user_id is set to something else than :user_id
UPDATE spent_refresh_tokens
SET (session_id, user_id) = ROW(:user_id, :other_id)
WHERE user_id = :user_id;

-- name: a_gift_to_oneself(user_id)
-- right: it was the caller's before.
UPDATE sessions
SET (user_id, successor_salt) = ROW(:user_id, sha256('salt'))
WHERE user_id = :user_id
RETURNING user_id;

-- name: an_insert(user_id, new_id, title)
-- right: the row is the caller's.
INSERT INTO tasks (title, id, user_id)
VALUES (:title, :new_id, :user_id)
RETURNING title;

-- name: an_insert_for_another(other_id, new_id, title)
-- wrong: the row is another user's.
-- fault: tasks.user_id is not given :user_id in each row that is inserted. Give it that
INSERT INTO tasks (user_id, id, title)
VALUES (:other_id, :new_id, :title);

-- name: an_insert_in_the_wrong_order(user_id, other_id, title)
-- wrong: the values stand in another order than the columns.
-- fault: tasks.user_id is not given :user_id
INSERT INTO tasks (id, user_id, title)
VALUES (:user_id, :other_id, :title);

-- name: an_insert_without_columns(user_id, new_id, title)
-- right: without a list, the columns are in the order of the table.
INSERT INTO tasks
VALUES (:user_id, :new_id, :title)
RETURNING title;

-- name: an_insert_without_an_owner(title)
-- refused: the column is not given, and its default would be anybody's.
-- fault: tasks.user_id is not given :user_id
INSERT INTO tasks (title)
VALUES (:title);

-- name: an_insert_with_the_default(title)
-- refused: the default is anybody's.
-- fault: tasks.user_id is not given :user_id
INSERT INTO tasks (user_id, title)
VALUES (DEFAULT, :title);

-- name: an_insert_of_defaults()
-- refused: so it is where all are defaults.
-- fault: users.id is not given :id
INSERT INTO users DEFAULT VALUES;

-- name: an_insert_of_several(user_id, other_id, new_id, title)
-- wrong: one of the rows is another user's.
-- fault: tasks.user_id is not given :user_id
INSERT INTO tasks (user_id, id, title)
VALUES (:user_id, :new_id, :title), (:other_id, :new_id, :title);

-- name: an_insert_of_several_own(user_id, new_id)
-- right: each row is the caller's.
INSERT INTO sessions (user_id, id, token_hash, expires_at, access_expires_at)
VALUES
    (:user_id, :new_id, sha256('new'), 'infinity', 'infinity'),
    (:user_id, '00000000-0000-4000-8000-00000000000d', sha256('newer'), 'infinity', 'infinity')
RETURNING id;

-- name: an_insert_of_a_select(user_id, new_id)
-- right: the column that feeds the owner is limited.
INSERT INTO tasks (id, user_id, title)
SELECT :new_id, users.id, users.email
FROM users
WHERE users.id = :user_id
RETURNING title;

-- name: an_insert_of_a_select_of_others(user_id, new_id)
-- wrong: it copies the title of another.
-- fault: tasks (as source) is not limited
INSERT INTO tasks (user_id, id, title)
SELECT :user_id, :new_id, max(source.title)
FROM tasks AS source
WHERE source.user_id <> :user_id;

-- name: an_insert_of_a_select_for_others(user_id, new_id, title)
-- wrong: it adds a task for everybody else.
-- fault: tasks.user_id is not given :user_id
INSERT INTO tasks (user_id, id, title)
SELECT users.id, :new_id, :title
FROM users
WHERE users.id <> :user_id;

-- name: an_insert_of_a_select_with_another_column(user_id, new_id, title)
-- wrong: what feeds the owner is an id.
-- fault: tasks.user_id is not given :user_id
INSERT INTO tasks (user_id, id, title)
SELECT own.id, :new_id, :title
FROM tasks AS own
WHERE own.user_id = :user_id;

-- name: an_insert_of_a_union(user_id, other_id, new_id, title)
-- wrong: one of its arms feeds the owner with another user.
-- fault: tasks.user_id is not given :user_id
INSERT INTO tasks (user_id, id, title)
SELECT :user_id::uuid, :new_id::uuid, :title
UNION ALL
SELECT :other_id, :new_id, :title;

-- name: an_insert_of_a_cte_with_a_star(user_id, new_id, title)
-- right: a star over a CTE is its columns in their order.
WITH given AS (
    SELECT :user_id::uuid AS user_id, :new_id::uuid AS id, :title AS title
)

INSERT INTO tasks (user_id, id, title)
SELECT *
FROM given
RETURNING title;

-- name: a_nested_insert(user_id, new_id, title)
-- wrong: an INSERT in a CTE is an INSERT.
-- fault: tasks.user_id is not given :user_id
WITH added AS (
    INSERT INTO tasks (user_id, id, title)
    VALUES ('00000000-0000-4000-8000-00000000000b', :new_id, :title)
    RETURNING id
)

SELECT tasks.title
FROM tasks
WHERE tasks.user_id = :user_id;

-- name: a_nested_update(user_id, title)
-- right: what it returns is limited, and limits what comes after it.
WITH changed AS (
    UPDATE tasks
    SET title = :title
    WHERE user_id = :user_id
    RETURNING user_id
)

SELECT count(*) AS sessions
FROM sessions
JOIN changed ON changed.user_id = sessions.user_id;

-- name: a_nested_delete_of_anybody(id)
-- wrong: a DELETE in a CTE is a DELETE.
-- fault: sessions is not limited
WITH ended AS (
    DELETE FROM sessions
    WHERE id = :id
    RETURNING id
)

SELECT count(*) AS sessions
FROM ended;

-- name: a_column_that_is_changed_before_it_is_returned(user_id, other_id)
-- wrong: RETURNING gives what SET has made of the column, and that is another user.
-- fault: tasks is not limited
WITH moved AS (
    UPDATE revocations
    SET id = :other_id
    WHERE id = :user_id
    RETURNING id
)

SELECT tasks.title
FROM tasks
JOIN moved ON moved.id = tasks.user_id;

-- name: a_column_that_stays_as_it_is(user_id)
-- right: RETURNING gives the column of the row that was limited.
WITH kept AS (
    UPDATE revocations
    SET expires_at = 'infinity'
    WHERE id = :user_id
    RETURNING *
)

SELECT tasks.title
FROM tasks
JOIN kept ON kept.id = tasks.user_id;

-- name: a_target_with_the_name_of_a_cte(user_id)
-- wrong: the target of a DELETE is a table, even where a CTE has its name.
-- fault: tasks is not limited
WITH tasks AS (
    SELECT id AS own_id
    FROM tasks
    WHERE user_id = :user_id
)

DELETE FROM tasks
WHERE id = (SELECT min(own_id::text)::uuid FROM tasks);

-- name: on_conflict_with_the_owner(user_id, id, title)
-- right: a row that is in the way has the same owner.
INSERT INTO tasks (user_id, id, title)
VALUES (:user_id, :id, :title)
ON CONFLICT (user_id, id) DO UPDATE
SET title = excluded.title
RETURNING title;

-- name: on_conflict_on_a_constraint(user_id, id, title)
-- right: the constraint holds the owner.
INSERT INTO tasks (user_id, id, title)
VALUES (:user_id, :id, :title)
ON CONFLICT ON CONSTRAINT tasks_pkey DO UPDATE
SET title = excluded.title
RETURNING title;

-- name: on_conflict_by_a_class_of_operators(user_id, id, title)
-- refused: a class of operators says what is equal, and another may say it of different users.
-- fault: ON CONFLICT may change a row of another user: it compares id, and not user_id.
INSERT INTO tasks (user_id, id, title)
VALUES (:user_id, :id, :title)
ON CONFLICT (user_id uuid_ops, id) DO UPDATE
SET title = excluded.title;

-- name: on_conflict_do_nothing(user_id, caller_id)
-- right: nothing of another user is changed or shown.
INSERT INTO idempotency_records (user_id, caller_id, key, fingerprint, status)
VALUES (:user_id, :caller_id, 'own', sha256('request'), 201)
ON CONFLICT DO NOTHING
RETURNING key;

-- name: on_conflict_without_the_owner(user_id, caller_id)
-- wrong: the row that is in the way may be another user's.
-- fault: ON CONFLICT may change a row of another user: it compares caller_id, key, and not user_id.
INSERT INTO idempotency_records (user_id, caller_id, key, fingerprint, status)
VALUES (:user_id, :caller_id, 'bob', sha256('request'), 201)
ON CONFLICT (caller_id, key) DO UPDATE
SET status = 204;

-- name: on_conflict_that_takes_over(user_id, caller_id)
-- wrong: it takes a row from another user.
-- fault: ON CONFLICT may change a row of another user
INSERT INTO idempotency_records (user_id, caller_id, key, fingerprint, status)
VALUES (:user_id, :caller_id, 'bob', sha256('request'), 201)
ON CONFLICT ON CONSTRAINT idempotency_records_pkey DO UPDATE
SET user_id = excluded.user_id, status = excluded.status;

-- name: on_conflict_with_a_where(user_id, caller_id)
-- right: its WHERE limits the row that is in the way.
INSERT INTO idempotency_records (user_id, caller_id, key, fingerprint, status)
VALUES (:user_id, :caller_id, 'alice', sha256('request'), 201)
ON CONFLICT (caller_id, key) DO UPDATE
SET status = 204
WHERE idempotency_records.user_id = :user_id
RETURNING key;

-- name: on_conflict_with_a_where_on_the_new_row(user_id, caller_id)
-- wrong: the new row is the caller's anyway, and the one that is in the way is not.
-- fault: ON CONFLICT may change a row of another user
INSERT INTO idempotency_records (user_id, caller_id, key, fingerprint, status)
VALUES (:user_id, :caller_id, 'bob', sha256('request'), 201)
ON CONFLICT (caller_id, key) DO UPDATE
SET status = 204
WHERE excluded.user_id = :user_id;

-- name: on_conflict_with_a_sub_query(user_id, id, title)
-- wrong: its SET has sub-queries, too.
-- fault: users is not limited
INSERT INTO tasks (user_id, id, title)
VALUES (:user_id, :id, :title)
ON CONFLICT (user_id, id) DO UPDATE
SET title = (SELECT max(email) FROM users);

-- name: on_conflict_that_gives_away(user_id, id, other_id)
-- wrong: it gives a row of the caller to another.
-- fault: spent_refresh_tokens.user_id is set to something else than :user_id
INSERT INTO spent_refresh_tokens (user_id, session_id, token_hash, expires_at)
VALUES (:user_id, :id, sha256('spent'), 'infinity')
ON CONFLICT (user_id, session_id, token_hash) DO UPDATE
SET user_id = :other_id, token_hash = sha256('gift');

-- name: what_an_upsert_returns(user_id, other_id)
-- wrong: the row that comes back is the one that was in the way, as SET has changed it.
-- fault: tasks is not limited
WITH kept AS (
    INSERT INTO revocations (id, expires_at)
    VALUES (:user_id, 'infinity')
    ON CONFLICT (id) DO UPDATE
    SET id = :other_id
    RETURNING id
)

SELECT tasks.title
FROM tasks
JOIN kept ON kept.id = tasks.user_id;
