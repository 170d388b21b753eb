"""What is proved about how many rows there are, each rule with a case that it decides and one that it leaves open."""

from typing import cast

import pytest
from pglast import parse_sql

from service.sqlcheck.proofs.cardinality import at_least_one, at_most_one, is_total
from service.sqlcheck.reading.resolver import read
from service.sqlcheck.reading.schema import DatabaseSchema, read_schema
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.trees import Node
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

MORE = """
CREATE TABLE notes (
    id bigint PRIMARY KEY,
    code text UNIQUE,
    folder text NOT NULL,
    title text NOT NULL,
    is_live boolean NOT NULL
);
CREATE UNIQUE INDEX ON notes (folder, lower(title));
CREATE UNIQUE INDEX ON notes (title) WHERE is_live AND code IS NULL;
CREATE UNIQUE INDEX ON notes (folder) WHERE lower(code) = 'a';
CREATE TABLE skipping (id bigint PRIMARY KEY);
CREATE FUNCTION skip_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN null; END; $$;
CREATE TRIGGER skip_row BEFORE INSERT ON skipping FOR EACH ROW EXECUTE FUNCTION skip_row();
"""


@pytest.fixture(scope="module")
def schema(scratch: Connection) -> DatabaseSchema:
    with rolled_back(scratch):
        scratch.execute(MORE)
        return read_schema(scratch)


def query(schema: DatabaseSchema, sql: str) -> Scope:
    return read(cast(Node, parse_sql(sql)[0]).stmt, schema)[0]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = $2",
        "SELECT title FROM tasks WHERE $1 = user_id AND (id, status) = ($2, $3)",
        "SELECT title FROM tasks AS t (u, i) WHERE t.u = $1 AND i = $2",
        "SELECT title FROM tasks WHERE user_id = $1 AND id IN ($2)",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = (SELECT id FROM sessions LIMIT 1)",
        "SELECT title FROM tasks WHERE user_id = id AND id = $1",
        "SELECT id FROM users WHERE email = lower($1)",
        "SELECT title FROM tasks LIMIT 1",
        "SELECT title FROM tasks LIMIT 0",
        "SELECT count(*) FROM tasks",
        "SELECT max(version) + 1 FROM tasks",
        "SELECT 1 FROM tasks HAVING count(*) > 1",
        "SELECT id FROM notes WHERE code = $1",
        "SELECT id FROM notes WHERE title = $1 AND is_live AND code IS NULL AND folder > $2",
        "SELECT n.id FROM notes AS n WHERE n.title = $1 AND n.is_live AND n.code IS NULL",
        "SELECT id FROM notes WHERE folder = $1 AND lower(code) = 'a'::text",
        "SELECT users.id FROM tasks JOIN users ON users.id = tasks.user_id WHERE tasks.user_id = $1 AND tasks.id = $2",
        "SELECT users.id FROM tasks JOIN users ON users.id = tasks.user_id WHERE users.id = $1 AND tasks.id = $2",
        "SELECT tasks.id FROM tasks LEFT JOIN users ON users.id = tasks.user_id WHERE user_id = $1 AND tasks.id = $2",
        "SELECT 1 FROM sessions JOIN tasks USING (user_id, id) WHERE sessions.user_id = $1 AND sessions.id = $2",
        "SELECT 1 FROM users CROSS JOIN (SELECT 1) AS one WHERE id = $1",
        "WITH found AS (SELECT id FROM users WHERE id = $1) SELECT 1 FROM found",
        "WITH found AS (SELECT id, email FROM users) SELECT 1 FROM found WHERE email = $1",
        "SELECT 1 FROM (SELECT user_id, id FROM tasks) AS t (u, i) WHERE u = $1 AND i = $2",
        "SELECT user_id FROM tasks WHERE user_id = $1 GROUP BY user_id",
        "SELECT DISTINCT email FROM users WHERE email = $1",
        "VALUES (1)",
        "SELECT id FROM users WHERE id = $1 EXCEPT SELECT id FROM users",
        "SELECT id FROM users UNION ALL SELECT id FROM tasks LIMIT 1",
        "UPDATE tasks SET title = 'a' WHERE user_id = $1 AND id = $2 RETURNING id",
        "UPDATE tasks SET title = email FROM users WHERE user_id = $1 AND tasks.id = $2 RETURNING tasks.id",
        "DELETE FROM users WHERE id = $1 RETURNING id",
        "DELETE FROM tasks USING users WHERE user_id = users.id AND email = $1 AND tasks.id = $2 RETURNING tasks.id",
        "INSERT INTO users (email, password_hash) VALUES ($1, $2) RETURNING id",
        "INSERT INTO users (email, password_hash) SELECT email, $2 FROM users WHERE id = $1 RETURNING id",
        "INSERT INTO skipping DEFAULT VALUES RETURNING id",
        "WITH gone AS (DELETE FROM users WHERE id = $1 RETURNING id) SELECT id FROM gone",
        "WITH changed AS (UPDATE users SET email = $1 RETURNING id) SELECT 1 FROM changed WHERE id = $2",
        "WITH added AS (INSERT INTO users SELECT id FROM tasks RETURNING id) SELECT 1 FROM added WHERE id = $1",
        "SELECT 1 FROM users, LATERAL (SELECT FROM tasks WHERE user_id = users.id LIMIT 1) AS x WHERE users.id = $1",
        "SELECT 1 FROM users, LATERAL (SELECT * FROM tasks WHERE user_id = users.id LIMIT 1) AS x WHERE users.id = $1",
        "SELECT 1 FROM users, LATERAL (SELECT EXISTS (SELECT users.id) LIMIT 1) AS x WHERE users.id = $1",
        "SELECT 1 FROM users, LATERAL (SELECT users.id IN (SELECT id FROM tasks) LIMIT 1) AS x WHERE users.id = $1",
    ],
)
def test_a_second_row_is_ruled_out(schema: DatabaseSchema, sql: str) -> None:
    assert at_most_one(query(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT title FROM tasks",
        "SELECT title FROM tasks WHERE id = $1",
        "SELECT title FROM tasks WHERE user_id = $1 AND id > $2",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = ANY ($2)",
        "SELECT title FROM tasks WHERE user_id = $1 AND id IN ($2, $3)",
        "SELECT title FROM tasks WHERE user_id = $1 AND (id = $2 OR title = $3)",
        "SELECT title FROM tasks WHERE user_id = $1 AND id::text = $2",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = gen_random_uuid()",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = ours.anything()",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = (SELECT id FROM users WHERE users.id = tasks.id)",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = id",
        "SELECT email FROM users WHERE id OPERATOR(ours.=) $1",
        "SELECT email FROM ours.users WHERE id = $1",
        "SELECT email FROM users TABLESAMPLE bernoulli (100)",
        "SELECT title FROM tasks LIMIT 2",
        "SELECT title FROM tasks LIMIT $1",
        "SELECT count(*) FROM tasks GROUP BY status",
        "SELECT count(*) OVER () FROM tasks",
        "SELECT (SELECT count(*) FROM users) FROM tasks",
        "SELECT unnest($1)",
        "SELECT ours.anything()",
        "SELECT x FROM unnest($1) AS y (x)",
        "SELECT id FROM notes WHERE code IS NULL",
        "SELECT id FROM notes WHERE code IS NOT DISTINCT FROM $1",
        "SELECT id FROM notes WHERE folder = $1",
        "SELECT id FROM notes WHERE folder = $1 AND lower(code) = 'b'::text",
        "SELECT id FROM notes WHERE folder = $1 AND lower(title) = 'a'::text",
        "SELECT id FROM notes WHERE code = (EXISTS (SELECT FROM users))::text",
        "SELECT id FROM notes WHERE title = $1 AND is_live",
        "SELECT id FROM notes WHERE title = $1 AND (is_live AND code IS NULL OR id > $2)",
        "SELECT a.id FROM notes AS a JOIN notes AS b ON b.id = $2 WHERE a.title = $1 AND b.is_live AND b.code IS NULL",
        "SELECT users.id FROM tasks JOIN users ON users.id = tasks.user_id WHERE users.id = $1",
        "SELECT 1 FROM tasks LEFT JOIN users ON tasks.user_id = $1 AND tasks.id = $2 AND users.id = $3",
        "SELECT 1 FROM users LEFT JOIN tasks ON tasks.user_id = users.id WHERE users.id = $1",
        "SELECT 1 FROM users FULL JOIN users AS others ON users.id = $1 AND others.id = $2",
        "SELECT 1 FROM sessions JOIN tasks USING (id) WHERE sessions.user_id = $1 AND sessions.id = $2",
        "SELECT 1 FROM users, users AS others WHERE users.id = $1",
        "WITH found AS (SELECT user_id, id FROM tasks) SELECT 1 FROM found WHERE id = $1",
        "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a) SELECT x FROM a",
        "SELECT user_id FROM tasks WHERE user_id = $1 GROUP BY user_id, status",
        "SELECT DISTINCT status FROM tasks WHERE user_id = $1",
        "VALUES (1), (2)",
        "SELECT id FROM users WHERE id = $1 UNION SELECT id FROM users WHERE id = $2",
        "SELECT id FROM users EXCEPT SELECT id FROM users WHERE id = $1",
        "UPDATE tasks SET title = 'a' FROM users WHERE users.id = $1 RETURNING tasks.id",
        "DELETE FROM tasks WHERE user_id = $1 RETURNING id",
        "INSERT INTO users (email, password_hash) VALUES ($1, $2), ($3, $4) RETURNING id",
        "INSERT INTO users (email, password_hash) SELECT title, $1 FROM tasks RETURNING id",
        # The id as it is now and the user as it was are no key.
        "WITH a AS (UPDATE tasks SET user_id = id, id = 1 WHERE user_id = $1 RETURNING id) SELECT FROM a WHERE id = 1",
        "SELECT 1 FROM users JOIN unnest($1) AS y (id) USING (id) WHERE users.id = $1",
        "SELECT 1 FROM users, LATERAL (SELECT FROM unnest(ARRAY[users.id]) LIMIT 1) AS x",
        # An aggregate gives a row for each user, whatever it is of.
        "SELECT 1 FROM users, LATERAL (SELECT count(*) FROM tasks WHERE users.id = $1) AS x",
        "SELECT 1 FROM users, LATERAL (SELECT jsonb_agg(id) FROM tasks WHERE users.id = $1 LIMIT 1) AS x",
        "SELECT 1 FROM users, LATERAL (SELECT 1 FROM tasks WHERE users.id = $1 GROUP BY () LIMIT 1) AS x",
        "SELECT 1 FROM users, LATERAL (SELECT 1 FROM tasks WHERE users.id = $1 HAVING true LIMIT 1) AS x",
        "SELECT 1 FROM users, LATERAL (SELECT FROM tasks WHERE EXISTS (SELECT users.id) LIMIT 1) AS x",
        "SELECT 1 FROM users, LATERAL (SELECT users.id IN (SELECT id FROM tasks) LIMIT 1) AS x",
        "SELECT x.id FROM users CROSS JOIN LATERAL (SELECT id FROM tasks WHERE user_id = users.id LIMIT 1) AS x",
    ],
)
def test_a_second_row_is_not_ruled_out(schema: DatabaseSchema, sql: str) -> None:
    assert not at_most_one(query(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "VALUES (1), (2)",
        "SELECT count(*) FROM tasks WHERE id = $1",
        "SELECT 1 FROM (SELECT 1) AS one",
        "WITH one AS (SELECT 1) SELECT 1 FROM one",
        "SELECT 1 FROM (SELECT 1) AS one CROSS JOIN (VALUES (1)) AS two",
        "SELECT 1 FROM (SELECT 1) AS one LEFT JOIN tasks ON id = $1",
        "SELECT 1 FROM tasks RIGHT JOIN (SELECT 1) AS one ON id = $1",
        "SELECT 1 FROM tasks FULL JOIN (SELECT 1) AS one ON id = $1",
        "SELECT id FROM tasks UNION ALL SELECT $1",
        "INSERT INTO users (email, password_hash) VALUES ($1, $2) RETURNING id",
        "INSERT INTO task_statuses VALUES ($1, $2, 1) ON CONFLICT (status) DO UPDATE SET is_done = $2 RETURNING status",
        "INSERT INTO users (email, password_hash) SELECT $1, $2 RETURNING id",
    ],
)
def test_there_always_is_a_row(schema: DatabaseSchema, sql: str) -> None:
    assert at_least_one(query(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM tasks",
        "SELECT 1 WHERE $1",
        "SELECT count(*) FROM tasks HAVING count(*) > 1",
        "SELECT count(*) FROM tasks GROUP BY status",
        "SELECT count(*) FROM tasks LIMIT 0",
        "SELECT count(*) FROM tasks OFFSET 1",
        "SELECT unnest($1)",
        "SELECT 1 FROM (SELECT 1) AS one JOIN (SELECT 1) AS two ON $1",
        "SELECT 1 FROM (SELECT 1) AS one CROSS JOIN tasks",
        "SELECT 1 FROM (SELECT 1 AS a) AS one NATURAL JOIN (SELECT 2 AS a) AS two",
        "SELECT 1 FROM (SELECT 1 AS a) AS one JOIN (SELECT 2 AS a) AS two USING (a)",
        "SELECT 1 FROM tasks LEFT JOIN (SELECT 1) AS one ON true",
        "SELECT 1 FROM unnest($1) AS y (x)",
        "SELECT $1 EXCEPT SELECT 1",
        "SELECT $1 INTERSECT SELECT 1",
        "UPDATE users SET email = $1 WHERE id = $2 RETURNING id",
        "DELETE FROM users WHERE id = $2 RETURNING id",
        "INSERT INTO users (email, password_hash) VALUES ($1, $2)",
        "INSERT INTO users (email, password_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id",
        "INSERT INTO notes VALUES ($1) ON CONFLICT (id) DO UPDATE SET code = $1 WHERE notes.id > $1 RETURNING id",
        "INSERT INTO users (email, password_hash) SELECT email, $2 FROM users WHERE id = $1 RETURNING id",
        "INSERT INTO skipping VALUES (1) RETURNING id",
    ],
)
def test_there_may_be_no_row(schema: DatabaseSchema, sql: str) -> None:
    assert not at_least_one(query(schema, sql))


LATERAL = """
SELECT newest.id FROM task_statuses CROSS JOIN LATERAL (
    SELECT {columns} FROM tasks WHERE {condition} ORDER BY created_at LIMIT $2
) AS newest ORDER BY newest.created_at, newest.id LIMIT $2
"""


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM tasks WHERE user_id = $1 ORDER BY created_at, id",
        "SELECT id FROM tasks ORDER BY user_id, id DESC",
        "SELECT id AS a FROM users ORDER BY a",
        "SELECT id FROM users ORDER BY 1",
        "SELECT title, user_id FROM tasks AS t (u, i) ORDER BY u, t.i",
        "SELECT user_id, count(*) FROM tasks GROUP BY user_id ORDER BY user_id",
        "SELECT DISTINCT status FROM tasks ORDER BY status",
        "SELECT DISTINCT status FROM tasks ORDER BY 1",
        "SELECT id FROM users UNION SELECT id FROM tasks ORDER BY id",
        "SELECT tasks.id FROM tasks JOIN users ON users.id = user_id ORDER BY email, tasks.id",
        "SELECT id FROM (SELECT id FROM users) AS u ORDER BY id",
        "SELECT id, EXISTS (SELECT FROM tasks) FROM users ORDER BY id",
        LATERAL.format(
            columns="created_at, id, status", condition="user_id = $1 AND tasks.status = task_statuses.status"
        ),
    ],
)
def test_this_order_is_total(schema: DatabaseSchema, sql: str) -> None:
    assert is_total(query(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM tasks WHERE user_id = $1 ORDER BY created_at",
        "SELECT id FROM tasks ORDER BY id",
        "SELECT id FROM users ORDER BY lower(id::text)",
        "SELECT email AS id FROM users, tasks ORDER BY id",
        # Two rows with no code are not told apart by it.
        "SELECT id FROM notes ORDER BY code",
        "SELECT users.id FROM tasks LEFT JOIN users ON users.id = user_id ORDER BY users.id",
        "SELECT DISTINCT status, title FROM tasks ORDER BY status",
        "SELECT id FROM users UNION ALL SELECT id FROM tasks ORDER BY id",
        # One task is the newest of each status alike.
        LATERAL.format(columns="created_at, id, status", condition="user_id = $1"),
        LATERAL.format(columns="created_at, id, task_statuses.status", condition="user_id = $1"),
        LATERAL.format(columns="created_at, id", condition="user_id = $1 AND tasks.status = task_statuses.status"),
    ],
)
def test_this_order_leaves_rows_equal(schema: DatabaseSchema, sql: str) -> None:
    assert not is_total(query(schema, sql))
