"""What is proved about NULL, each rule with a case that it decides and one that it leaves open."""

from typing import cast

import pytest
from pglast import parse_sql

from service.sqlcheck.proofs.null_uses import NullUses
from service.sqlcheck.proofs.nullability import Prover
from service.sqlcheck.reading.resolver import read
from service.sqlcheck.reading.schema import DatabaseSchema, read_schema
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.trees import Node
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

NULLABLE = 9
"""The number of a parameter that may be NULL; that of no other may."""


@pytest.fixture(scope="module")
def schema(scratch: Connection) -> DatabaseSchema:
    return read_schema(scratch)


def query(schema: DatabaseSchema, sql: str) -> Scope:
    return read(cast(Node, parse_sql(sql)[0]).stmt, schema)[0]


def is_never_null(schema: DatabaseSchema, sql: str) -> bool:
    """Whether the first column of a statement is proved never to be NULL."""
    return Prover({NULLABLE}).column(query(schema, sql), 0)


@pytest.mark.parametrize(
    "expression",
    [
        "1",
        "'a'",
        "true",
        "$1",
        "$1::text",
        "title",
        "tasks.title",
        "title COLLATE tasks_search",
        "upper(lower(title))",
        "strpos(title, $1)",
        "description IS NULL",
        "description IS NOT NULL",
        "(description = 'a') IS TRUE",
        "description IS DISTINCT FROM title",
        "description IS NOT DISTINCT FROM title",
        "version > 1 AND NOT title = 'a' OR title LIKE 'b%'",
        "version BETWEEN 1 AND 2",
        "version IN (1, 2)",
        "(user_id, id) = ($1, $2)",
        "-version + 1",
        "title || $1",
        "coalesce(description, title)",
        "coalesce(description, $9, 'a')",
        "greatest(completed_at, now())",
        "CASE WHEN version > 1 THEN title ELSE 'a' END",
        "CASE WHEN description IS NOT NULL THEN description ELSE 'a' END",
        "CASE WHEN description IS NULL THEN 'a' ELSE description END",
        "CASE WHEN description IS NULL OR version > 1 THEN 'a' ELSE description END",
        "CASE WHEN $9::text IS NOT NULL THEN $9 WHEN completed_at = now() THEN completed_at::text ELSE title END",
        "CASE WHEN NOT description IS NULL THEN description ELSE title END",
        "CASE WHEN version = 1 AND description > 'a' THEN description ELSE title END",
        "CASE WHEN description = 'a' OR description = 'b' THEN description ELSE title END",
        "CASE WHEN (description, status) = ($1, $2) THEN description ELSE title END",
        "CASE WHEN description = ANY ($1) THEN description ELSE title END",
        "CASE WHEN description BETWEEN 'a' AND 'b' THEN description ELSE title END",
        "CASE WHEN (description = 'a') IS FALSE THEN description ELSE title END",
        "CASE WHEN length(description) > 3 THEN description ELSE title END",
        "now()",
        "current_timestamp",
        "now() + make_interval(secs => $1)",
        "extract(epoch FROM created_at)::double precision",
        "current_setting('server_version')",
        "ARRAY[description]",
        "ARRAY(SELECT description FROM tasks)",
        "EXISTS (SELECT FROM users)",
        "(SELECT count(*) FROM users)",
        "(SELECT $1)",
        "row_number() OVER (ORDER BY title)",
    ],
)
def test_these_are_never_null(schema: DatabaseSchema, expression: str) -> None:
    assert is_never_null(schema, f"SELECT {expression} FROM tasks")


@pytest.mark.parametrize(
    "expression",
    [
        "NULL",
        "$9",
        "$9 || title",
        "description",
        "upper(description)",
        "description = 'a'",
        "(description = 'a') AND true",
        "(user_id, description) = ($1, $2)",
        "version BETWEEN 1 AND $9",
        "version IN (1, $9)",
        "version = ANY ($1)",
        "version <> ALL ($1)",
        "nullif(title, 'a')",
        "coalesce(description, $9)",
        "greatest(completed_at, NULL)",
        "CASE WHEN version > 1 THEN title END",
        "CASE WHEN version > 1 THEN description ELSE 'a' END",
        "CASE WHEN version > 1 THEN 'a' ELSE description END",
        "CASE WHEN description IS NULL AND version > 1 THEN 'a' ELSE description END",
        "CASE WHEN description = 'a' OR version > 1 THEN description ELSE title END",
        "CASE WHEN NOT (version, description) = ($1, $2) THEN description ELSE title END",
        "CASE WHEN (version, description) < ($1, $2) THEN description ELSE title END",
        "CASE WHEN NOT description = ANY ($1) THEN description ELSE title END",
        "CASE WHEN description <> ALL ($1) THEN description ELSE title END",
        "CASE WHEN (description = 'a') IS NOT TRUE THEN description ELSE title END",
        "CASE description WHEN 'a' THEN 'b' ELSE description END",
        "CASE WHEN ($9::text[] || description) IS NOT NULL THEN description ELSE title END",
        "extract(month FROM created_at)",
        "current_setting('a.b', true)",
        "current_schema",
        "array_length(ARRAY[title], 1)",
        "substring(title FROM 'a')",
        "to_jsonb(title) ->> 'a'",
        "public.upper(title)",
        "max(version)",
        "sum(version) FILTER (WHERE version > 1)",
        "(SELECT id FROM users)",
        "(SELECT max(created_at) FROM users)",
        "id IN (SELECT id FROM users)",
        "tasks",
    ],
)
def test_these_may_be_null(schema: DatabaseSchema, expression: str) -> None:
    assert not is_never_null(schema, f"SELECT {expression} FROM tasks")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT users.id FROM tasks JOIN users ON users.id = tasks.user_id", True),
        ("SELECT users.id FROM tasks LEFT JOIN users ON users.id = tasks.user_id", False),
        ("SELECT tasks.id FROM tasks LEFT JOIN users ON users.id = tasks.user_id", True),
        ("SELECT tasks.id FROM tasks RIGHT JOIN users ON users.id = tasks.user_id", False),
        ("SELECT users.id FROM tasks FULL JOIN users ON users.id = tasks.user_id", False),
        ("SELECT b.id FROM tasks AS a LEFT JOIN (tasks AS b JOIN users ON true) ON true", False),
        ("SELECT b.id FROM tasks AS a LEFT JOIN (tasks AS b JOIN users ON b.id = users.id) ON true", False),
        ("SELECT title FROM users LEFT JOIN (tasks JOIN sessions USING (user_id)) AS b ON true", False),
        ("SELECT $9 FROM users LEFT JOIN (tasks JOIN sessions ON title = $9) AS b ON true", False),
        ("SELECT t.title FROM tasks AS t, task_statuses AS t", False),
        ("SELECT a.title FROM (SELECT x.*, title FROM unnest($1) AS x (y), tasks) AS a (a, title)", False),
        ("SELECT users.id FROM tasks LEFT JOIN users ON users.id = tasks.user_id WHERE users.email = $1", True),
        ("SELECT user_id FROM tasks LEFT JOIN sessions USING (user_id)", True),
        ("SELECT user_id FROM tasks RIGHT JOIN sessions USING (user_id)", True),
        ("SELECT user_id FROM tasks FULL JOIN sessions USING (user_id)", False),
        ("SELECT description FROM tasks WHERE description IS NOT NULL", True),
        ("SELECT description FROM tasks WHERE description > $1 AND version = 1", True),
        ("SELECT description FROM tasks WHERE description > $1 OR version = 1", False),
        ("SELECT description FROM tasks JOIN users ON description = users.email", True),
        ("SELECT description FROM tasks LEFT JOIN users ON description = users.email", False),
        ("DELETE FROM tasks WHERE description IS NOT NULL RETURNING description", True),
        # A trigger may have made another row of it.
        ("UPDATE tasks SET title = $1 WHERE description IS NOT NULL RETURNING description", False),
        ("UPDATE tasks SET description = 'a' RETURNING description", False),
        ("INSERT INTO tasks (user_id, title, description) VALUES ($1, $2, 'a') RETURNING description", False),
        ("INSERT INTO tasks (user_id, title) VALUES ($1, $2) RETURNING version", True),
        ("UPDATE tasks SET title = $1 RETURNING old.title", False),
        ("WITH found AS (SELECT title AS name FROM tasks) SELECT name FROM found", True),
        ("WITH found (name) AS (SELECT description FROM tasks) SELECT name FROM found", False),
        ("WITH gone AS (DELETE FROM tasks RETURNING title) SELECT title FROM gone", True),
        ("SELECT name FROM (SELECT description FROM tasks WHERE description = 'a') AS found (name)", True),
        ("SELECT * FROM (SELECT title, description FROM tasks) AS found", True),
        ("SELECT found.* FROM (SELECT description FROM tasks) AS found", False),
        ("SELECT x FROM tasks CROSS JOIN LATERAL (SELECT tasks.title AS x) AS y", True),
        ("SELECT x FROM tasks LEFT JOIN LATERAL (SELECT tasks.title AS x) AS y ON true", False),
        ("SELECT title FROM tasks UNION ALL SELECT email FROM users", True),
        ("SELECT title FROM tasks UNION SELECT description FROM tasks", False),
        ("SELECT title FROM tasks EXCEPT SELECT description FROM tasks", True),
        ("VALUES (1), (2)", True),
        ("VALUES (1), (NULL)", False),
        ("SELECT x FROM (VALUES (1), ($9)) AS y (x)", False),
        ("SELECT x FROM unnest($1) AS y (x)", False),
        ("WITH RECURSIVE a (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a", False),
        ("SELECT user_id FROM tasks GROUP BY user_id", True),
        ("SELECT user_id FROM tasks GROUP BY ROLLUP (user_id)", False),
        ("SELECT max(version) FROM tasks GROUP BY user_id", True),
        ("SELECT max(version) FROM tasks", False),
        ("SELECT $9::text, count(*) FROM tasks WHERE title = $9", False),
        ("SELECT $9::text FROM tasks WHERE title = $9 ORDER BY count(*)", False),
        ("SELECT $9::text, count(*) OVER () FROM tasks WHERE title = $9", True),
        ("SELECT id FROM sessions, (SELECT NULL AS id) AS other (id_)", True),
        ("SELECT title FROM (SELECT title::text FROM tasks) AS t", True),
        ("SELECT text FROM (SELECT $9::text) AS t", False),
        ("SELECT lower FROM (SELECT lower(title) FROM tasks) AS t", True),
        ("SELECT coalesce FROM (SELECT coalesce(description, 'a') FROM tasks) AS t", True),
        ("INSERT INTO users VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET email = $2 RETURNING *", True),
    ],
)
def test_null_is_followed_through_a_statement(schema: DatabaseSchema, sql: str, *, expected: bool) -> None:
    assert is_never_null(schema, sql) is expected


def findings(schema: DatabaseSchema, sql: str) -> list[str]:
    """What is said of a statement in which the first parameter may be NULL and no other."""
    return [told for _, told in NullUses(Prover({1}), lambda number: f":p{number}").find(query(schema, sql))]


@pytest.mark.parametrize(
    "condition",
    [
        "$1::text IS NULL OR status = $1",
        "status = $1 OR $1::text IS NULL",
        "($1::text IS NULL OR status = $1) AND user_id = $2",
        "$1::text IS NULL OR version > 1 AND (status = $1 OR title = $1)",
        "$1::text IS NOT NULL AND status = $1",
        "NOT ($1::text IS NULL) AND status = $1",
        "status IS NOT DISTINCT FROM $1",
        "description IS DISTINCT FROM $1",
        "status = coalesce($1, 'a')",
        "(status = $1) IS NOT TRUE",
        "(status = $1) IS NULL",
        "CASE WHEN $1::text IS NULL THEN true ELSE status = $1 END",
        "CASE WHEN $1::text IS NOT NULL THEN status = $1 ELSE true END",
        "CASE WHEN $1::bool IS NULL OR version > 1 THEN true WHEN $1 THEN true ELSE false END",
        "$1::text IS NULL OR EXISTS (SELECT FROM users WHERE email = $1)",
        "EXISTS (SELECT $1 FROM users WHERE id = $2)",
    ],
)
def test_these_say_what_becomes_of_null(schema: DatabaseSchema, condition: str) -> None:
    assert findings(schema, f"SELECT id FROM tasks WHERE {condition}") == []


@pytest.mark.parametrize(
    "condition",
    [
        "status = $1",
        "$1::text IS NULL AND status = $1",
        "$1::text IS NOT NULL OR status = $1",
        "($1::text IS NULL OR version > 1) AND status = $1",
        "NOT status = $1",
        "version = ANY ($1)",
        "status IN ('a', $1)",
        "status = coalesce(description, $1)",
        "status = upper($1)",
        "strpos(title, (SELECT lower($1))) > 0",
        "EXISTS (SELECT FROM users WHERE email = $1)",
        "status IN (SELECT $1::text)",
        "CASE WHEN version > 1 THEN status = $1 ELSE true END",
        "CASE $1 WHEN 'a' THEN true ELSE false END",
        "CASE WHEN $1::bool THEN true ELSE false END",
    ],
)
def test_these_find_nothing_where_null_is_given(schema: DatabaseSchema, condition: str) -> None:
    (told,) = findings(schema, f"SELECT id FROM tasks WHERE {condition}")
    assert told == (
        "Parameter :p1 may be NULL, and then this is not true of any row: write `… IS NULL OR …` before it, or let it"
        " not be NULL."
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM tasks LIMIT $1",
        "SELECT id FROM tasks OFFSET $1",
        "SELECT tasks.id FROM tasks JOIN users ON users.email = $1",
        "SELECT tasks.id FROM users JOIN (tasks JOIN sessions ON tasks.title = $1) ON true",
        "SELECT user_id FROM tasks GROUP BY user_id HAVING max(title) = $1",
        "SELECT count(*) FILTER (WHERE status = $1) FROM tasks",
        "SELECT CASE WHEN status = $1 THEN 1 END FROM tasks",
        "SELECT ARRAY(SELECT id FROM tasks WHERE status = $1)",
        "DELETE FROM tasks WHERE title = $1 RETURNING id",
        "UPDATE tasks SET title = 'a' WHERE title = $1 RETURNING id",
        "UPDATE tasks SET title = CASE WHEN title = $1 THEN 'a' ELSE 'b' END",
        "WITH a AS (SELECT id FROM tasks WHERE title = $1) SELECT id FROM a",
        "INSERT INTO tasks (user_id, title) SELECT id, email FROM users WHERE email = $1",
        "INSERT INTO users VALUES (DEFAULT) ON CONFLICT (id) DO UPDATE SET email = 'b' WHERE users.email = $1",
        "SELECT id FROM tasks WHERE title = $1 UNION SELECT id FROM users",
    ],
)
def test_every_condition_of_a_statement_is_looked_at(schema: DatabaseSchema, sql: str) -> None:
    assert [told.split(",")[0] for told in findings(schema, sql)] == ["Parameter :p1 may be NULL"]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO tasks (user_id, title, description) VALUES ($2, $3, $1)",
        "INSERT INTO tasks (user_id, title, description) SELECT id, $2, $1 FROM users",
        "UPDATE tasks SET description = $1",
        "UPDATE tasks SET description = CASE WHEN $2 THEN $1 ELSE description END",
        "UPDATE tasks SET title = coalesce($1, title)",
        "UPDATE tasks SET title = DEFAULT",
        "UPDATE tasks SET (title, description) = ROW ('a', $1)",
        "UPDATE tasks SET title = description WHERE description IS NOT NULL",
        "INSERT INTO tasks (user_id, title) SELECT user_id, description FROM tasks WHERE description > 'a'",
        "INSERT INTO tasks (user_id, title) SELECT * FROM (SELECT id, email FROM users) AS given",
        "INSERT INTO tasks (user_id, title) SELECT id, email FROM users UNION SELECT id, title FROM tasks",
        "SELECT ROW (tasks.*) IS NULL, $1 || 'a' FROM tasks",
    ],
)
def test_null_may_be_handed_on_to_where_it_may_be(schema: DatabaseSchema, sql: str) -> None:
    assert findings(schema, sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO tasks (user_id, title) SELECT * FROM (SELECT id, $1 FROM users) AS given",
        "INSERT INTO tasks (user_id, title) SELECT id, email FROM users UNION SELECT id, $1 FROM tasks",
        "UPDATE tasks SET (title, description) = (SELECT title, description FROM tasks AS others LIMIT 1)",
    ],
)
def test_null_is_seen_where_no_expression_is_to_blame(schema: DatabaseSchema, sql: str) -> None:
    (told,) = findings(schema, sql)
    assert told == (
        "Writes an expression, which may be NULL, into tasks.title, which is NOT NULL: give something in its place, or"
        " let it not be NULL."
    )


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO tasks (user_id, title) VALUES ($2, 'a'), ($2, $1)",
        "INSERT INTO tasks (user_id, title) SELECT id, $1 FROM users",
        "INSERT INTO users (email, password_hash) VALUES ($2, $3) ON CONFLICT (email) DO UPDATE SET password_hash = $1",
        "UPDATE tasks SET title = $1",
        "UPDATE tasks SET (title, description) = ROW ($1, 'a')",
        "WITH a AS (UPDATE tasks SET title = $1 RETURNING id) SELECT id FROM a",
    ],
)
def test_null_may_not_be_written_where_it_may_not_be(schema: DatabaseSchema, sql: str) -> None:
    column = "users.password_hash" if "users (" in sql else "tasks.title"
    (told,) = findings(schema, sql)
    assert told == (
        f"Writes parameter :p1, which may be NULL, into {column}, which is NOT NULL: give something in its place, or"
        " let it not be NULL."
    )


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("$2::text IS NULL", "Asks with IS NULL of parameter :p2, which never is: remove the test."),
        ("title IS NOT NULL", "Asks with IS NOT NULL of column title, which never is: remove the test."),
        ("now() IS NULL", "Asks with IS NULL of now(), which never is: remove the test."),
        ("title || 'a' IS NULL", "Asks with IS NULL of an expression, which never is: remove the test."),
        (
            "coalesce($2, title) = 'a'",
            "Takes something else with coalesce() where parameter :p2 is NULL, which it never is: take just that.",
        ),
    ],
)
def test_a_test_for_a_null_that_never_comes_is_told(schema: DatabaseSchema, expression: str, told: str) -> None:
    assert findings(schema, f"SELECT id FROM tasks WHERE {expression}") == [told]


def test_a_test_for_null_counts_though_a_condition_rules_it_out(schema: DatabaseSchema) -> None:
    assert findings(schema, "SELECT description IS NULL FROM tasks WHERE description = 'a'") == []
