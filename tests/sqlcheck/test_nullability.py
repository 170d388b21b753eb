"""Proofs about NULL, each rule with a case that it decides and one that it leaves open."""

from typing import cast

import pytest
from pglast import parse_sql

from service.sqlcheck.project import Project
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
def schema(scratch: Connection, project: Project) -> DatabaseSchema:
    return read_schema(project, scratch)


def scope(schema: DatabaseSchema, sql: str) -> Scope:
    return read(cast(Node, parse_sql(sql)[0]).stmt, schema)[0]


def is_never_null(schema: DatabaseSchema, sql: str) -> bool:
    """Tell whether the first column of a statement is proved never to be NULL."""
    return Prover({NULLABLE}).column(scope(schema, sql), 0)


@pytest.mark.parametrize(
    "expression",
    [
        "1",
        "'a'",
        "true",
        "$1",
        "$1::text",
        "title",
        "notes.title",
        'title COLLATE "C"',
        "upper(lower(title))",
        "strpos(title, $1)",
        "body IS NULL",
        "body IS NOT NULL",
        "(body = 'a') IS TRUE",
        "body IS DISTINCT FROM title",
        "body IS NOT DISTINCT FROM title",
        "version > 1 AND NOT title = 'a' OR title LIKE 'b%'",
        "version BETWEEN 1 AND 2",
        "version IN (1, 2)",
        "(member_id, id) = ($1, $2)",
        "-version + 1",
        "title || $1",
        "coalesce(body, title)",
        "coalesce(body, $9, 'a')",
        "greatest(closed_at, now())",
        "CASE WHEN version > 1 THEN title ELSE 'a' END",
        "CASE WHEN body IS NOT NULL THEN body ELSE 'a' END",
        "CASE WHEN body IS NULL THEN 'a' ELSE body END",
        "CASE WHEN body IS NULL OR version > 1 THEN 'a' ELSE body END",
        "CASE WHEN $9::text IS NOT NULL THEN $9 WHEN closed_at = now() THEN closed_at::text ELSE title END",
        "CASE WHEN NOT body IS NULL THEN body ELSE title END",
        "CASE WHEN version = 1 AND body > 'a' THEN body ELSE title END",
        "CASE WHEN body = 'a' OR body = 'b' THEN body ELSE title END",
        "CASE WHEN (body, topic) = ($1, $2) THEN body ELSE title END",
        "CASE WHEN body = ANY ($1) THEN body ELSE title END",
        "CASE WHEN body BETWEEN 'a' AND 'b' THEN body ELSE title END",
        "CASE WHEN (body = 'a') IS FALSE THEN body ELSE title END",
        "CASE WHEN length(body) > 3 THEN body ELSE title END",
        "now()",
        "current_timestamp",
        "now() + make_interval(secs => $1)",
        "extract(epoch FROM created_at)::double precision",
        "current_setting('server_version')",
        "ARRAY[body]",
        "ARRAY(SELECT body FROM notes)",
        "EXISTS (SELECT FROM members)",
        "(SELECT count(*) FROM members)",
        "(SELECT $1)",
        "row_number() OVER (ORDER BY title)",
    ],
)
def test_these_are_never_null(schema: DatabaseSchema, expression: str) -> None:
    assert is_never_null(schema, f"SELECT {expression} FROM notes")


@pytest.mark.parametrize(
    "expression",
    [
        "NULL",
        "$9",
        "$9 || title",
        "body",
        "upper(body)",
        "body = 'a'",
        "(body = 'a') AND true",
        "(member_id, body) = ($1, $2)",
        "version BETWEEN 1 AND $9",
        "version IN (1, $9)",
        "version = ANY ($1)",
        "version <> ALL ($1)",
        "nullif(title, 'a')",
        "coalesce(body, $9)",
        "greatest(closed_at, NULL)",
        "CASE WHEN version > 1 THEN title END",
        "CASE WHEN version > 1 THEN body ELSE 'a' END",
        "CASE WHEN version > 1 THEN 'a' ELSE body END",
        "CASE WHEN body IS NULL AND version > 1 THEN 'a' ELSE body END",
        "CASE WHEN body = 'a' OR version > 1 THEN body ELSE title END",
        "CASE WHEN NOT (version, body) = ($1, $2) THEN body ELSE title END",
        "CASE WHEN (version, body) < ($1, $2) THEN body ELSE title END",
        "CASE WHEN NOT body = ANY ($1) THEN body ELSE title END",
        "CASE WHEN body <> ALL ($1) THEN body ELSE title END",
        "CASE WHEN (body = 'a') IS NOT TRUE THEN body ELSE title END",
        "CASE body WHEN 'a' THEN 'b' ELSE body END",
        "CASE WHEN ($9::text[] || body) IS NOT NULL THEN body ELSE title END",
        "extract(month FROM created_at)",
        "current_setting('a.b', true)",
        "current_schema",
        "array_length(ARRAY[title], 1)",
        "substring(title FROM 'a')",
        "to_jsonb(title) ->> 'a'",
        "public.upper(title)",
        "max(version)",
        "sum(version) FILTER (WHERE version > 1)",
        "(SELECT id FROM members)",
        "(SELECT max(created_at) FROM members)",
        "id IN (SELECT id FROM members)",
        "notes",
    ],
)
def test_these_may_be_null(schema: DatabaseSchema, expression: str) -> None:
    assert not is_never_null(schema, f"SELECT {expression} FROM notes")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT members.id FROM notes JOIN members ON members.id = notes.member_id", True),
        ("SELECT members.id FROM notes LEFT JOIN members ON members.id = notes.member_id", False),
        ("SELECT notes.id FROM notes LEFT JOIN members ON members.id = notes.member_id", True),
        ("SELECT notes.id FROM notes RIGHT JOIN members ON members.id = notes.member_id", False),
        ("SELECT members.id FROM notes FULL JOIN members ON members.id = notes.member_id", False),
        ("SELECT b.id FROM notes AS a LEFT JOIN (notes AS b JOIN members ON true) ON true", False),
        ("SELECT b.id FROM notes AS a LEFT JOIN (notes AS b JOIN members ON b.id = members.id) ON true", False),
        ("SELECT title FROM members LEFT JOIN (notes JOIN revisions USING (member_id)) AS b ON true", False),
        ("SELECT $9 FROM members LEFT JOIN (notes JOIN revisions ON title = $9) AS b ON true", False),
        ("SELECT t.title FROM notes AS t, topics AS t", False),
        ("SELECT a.title FROM (SELECT x.*, title FROM unnest($1) AS x (y), notes) AS a (a, title)", False),
        (
            "SELECT members.id FROM notes LEFT JOIN members ON members.id = notes.member_id WHERE members.email = $1",
            True,
        ),
        ("SELECT member_id FROM notes LEFT JOIN revisions USING (member_id)", True),
        ("SELECT member_id FROM notes RIGHT JOIN revisions USING (member_id)", True),
        ("SELECT member_id FROM notes FULL JOIN revisions USING (member_id)", False),
        ("SELECT body FROM notes WHERE body IS NOT NULL", True),
        ("SELECT body FROM notes WHERE body > $1 AND version = 1", True),
        ("SELECT body FROM notes WHERE body > $1 OR version = 1", False),
        ("SELECT body FROM notes JOIN members ON body = members.email", True),
        ("SELECT body FROM notes LEFT JOIN members ON body = members.email", False),
        ("DELETE FROM notes WHERE body IS NOT NULL RETURNING body", True),
        # A trigger may have made another row of it.
        ("UPDATE notes SET title = $1 WHERE body IS NOT NULL RETURNING body", False),
        ("UPDATE notes SET body = 'a' RETURNING body", False),
        ("INSERT INTO notes (member_id, title, body) VALUES ($1, $2, 'a') RETURNING body", False),
        ("INSERT INTO notes (member_id, title) VALUES ($1, $2) RETURNING version", True),
        ("UPDATE notes SET title = $1 RETURNING old.title", False),
        ("WITH found AS (SELECT title AS name FROM notes) SELECT name FROM found", True),
        ("WITH found (name) AS (SELECT body FROM notes) SELECT name FROM found", False),
        ("WITH gone AS (DELETE FROM notes RETURNING title) SELECT title FROM gone", True),
        ("SELECT name FROM (SELECT body FROM notes WHERE body = 'a') AS found (name)", True),
        ("SELECT * FROM (SELECT title, body FROM notes) AS found", True),
        ("SELECT found.* FROM (SELECT body FROM notes) AS found", False),
        ("SELECT x FROM notes CROSS JOIN LATERAL (SELECT notes.title AS x) AS y", True),
        ("SELECT x FROM notes LEFT JOIN LATERAL (SELECT notes.title AS x) AS y ON true", False),
        ("SELECT title FROM notes UNION ALL SELECT email FROM members", True),
        ("SELECT title FROM notes UNION SELECT body FROM notes", False),
        ("SELECT title FROM notes EXCEPT SELECT body FROM notes", True),
        ("VALUES (1), (2)", True),
        ("VALUES (1), (NULL)", False),
        ("SELECT x FROM (VALUES (1), ($9)) AS y (x)", False),
        ("SELECT x FROM unnest($1) AS y (x)", False),
        ("WITH RECURSIVE a (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a", False),
        ("SELECT member_id FROM notes GROUP BY member_id", True),
        ("SELECT member_id FROM notes GROUP BY ROLLUP (member_id)", False),
        ("SELECT max(version) FROM notes GROUP BY member_id", True),
        ("SELECT max(version) FROM notes", False),
        ("SELECT $9::text, count(*) FROM notes WHERE title = $9", False),
        ("SELECT $9::text FROM notes WHERE title = $9 ORDER BY count(*)", False),
        ("SELECT $9::text, count(*) OVER () FROM notes WHERE title = $9", True),
        ("SELECT note_id FROM revisions, (SELECT NULL AS note_id) AS other (id_)", True),
        ("SELECT title FROM (SELECT title::text FROM notes) AS t", True),
        ("SELECT text FROM (SELECT $9::text) AS t", False),
        ("SELECT lower FROM (SELECT lower(title) FROM notes) AS t", True),
        ("SELECT coalesce FROM (SELECT coalesce(body, 'a') FROM notes) AS t", True),
        ("INSERT INTO members VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET email = $2 RETURNING *", True),
    ],
)
def test_null_is_followed_through_a_statement(schema: DatabaseSchema, sql: str, *, expected: bool) -> None:
    assert is_never_null(schema, sql) is expected


def findings(schema: DatabaseSchema, sql: str) -> list[str]:
    """The findings about a statement in which the first parameter may be NULL and no other."""
    return [told for _, told in NullUses(Prover({1}), lambda number: f":p{number}").find(scope(schema, sql))]


@pytest.mark.parametrize(
    "condition",
    [
        "$1::text IS NULL OR topic = $1",
        "topic = $1 OR $1::text IS NULL",
        "($1::text IS NULL OR topic = $1) AND member_id = $2",
        "$1::text IS NULL OR version > 1 AND (topic = $1 OR title = $1)",
        "$1::text IS NOT NULL AND topic = $1",
        "NOT ($1::text IS NULL) AND topic = $1",
        "topic IS NOT DISTINCT FROM $1",
        "body IS DISTINCT FROM $1",
        "topic = coalesce($1, 'a')",
        "(topic = $1) IS NOT TRUE",
        "(topic = $1) IS NULL",
        "CASE WHEN $1::text IS NULL THEN true ELSE topic = $1 END",
        "CASE WHEN $1::text IS NOT NULL THEN topic = $1 ELSE true END",
        "CASE WHEN $1::bool IS NULL OR version > 1 THEN true WHEN $1 THEN true ELSE false END",
        "$1::text IS NULL OR EXISTS (SELECT FROM members WHERE email = $1)",
        "EXISTS (SELECT $1 FROM members WHERE id = $2)",
    ],
)
def test_these_say_what_becomes_of_null(schema: DatabaseSchema, condition: str) -> None:
    assert findings(schema, f"SELECT id FROM notes WHERE {condition}") == []


@pytest.mark.parametrize(
    "condition",
    [
        "topic = $1",
        "$1::text IS NULL AND topic = $1",
        "$1::text IS NOT NULL OR topic = $1",
        "($1::text IS NULL OR version > 1) AND topic = $1",
        "NOT topic = $1",
        "version = ANY ($1)",
        "topic IN ('a', $1)",
        "topic = coalesce(body, $1)",
        "topic = upper($1)",
        "strpos(title, (SELECT lower($1))) > 0",
        "EXISTS (SELECT FROM members WHERE email = $1)",
        "topic IN (SELECT $1::text)",
        "CASE WHEN version > 1 THEN topic = $1 ELSE true END",
        "CASE $1 WHEN 'a' THEN true ELSE false END",
        "CASE WHEN $1::bool THEN true ELSE false END",
    ],
)
def test_these_find_nothing_where_null_is_given(schema: DatabaseSchema, condition: str) -> None:
    (told,) = findings(schema, f"SELECT id FROM notes WHERE {condition}")
    assert told == (
        "Parameter :p1 may be NULL, and then this is not true of any row: write `… IS NULL OR …` before it, or let it"
        " not be NULL."
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM notes LIMIT $1",
        "SELECT id FROM notes OFFSET $1",
        "SELECT notes.id FROM notes JOIN members ON members.email = $1",
        "SELECT notes.id FROM members JOIN (notes JOIN revisions ON notes.title = $1) ON true",
        "SELECT member_id FROM notes GROUP BY member_id HAVING max(title) = $1",
        "SELECT count(*) FILTER (WHERE topic = $1) FROM notes",
        "SELECT CASE WHEN topic = $1 THEN 1 END FROM notes",
        "SELECT ARRAY(SELECT id FROM notes WHERE topic = $1)",
        "DELETE FROM notes WHERE title = $1 RETURNING id",
        "UPDATE notes SET title = 'a' WHERE title = $1 RETURNING id",
        "UPDATE notes SET title = CASE WHEN title = $1 THEN 'a' ELSE 'b' END",
        "WITH a AS (SELECT id FROM notes WHERE title = $1) SELECT id FROM a",
        "INSERT INTO notes (member_id, title) SELECT id, email FROM members WHERE email = $1",
        "INSERT INTO members VALUES (DEFAULT) ON CONFLICT (id) DO UPDATE SET email = 'b' WHERE members.email = $1",
        "SELECT id FROM notes WHERE title = $1 UNION SELECT id FROM members",
    ],
)
def test_every_condition_of_a_statement_is_looked_at(schema: DatabaseSchema, sql: str) -> None:
    assert [told.split(",")[0] for told in findings(schema, sql)] == ["Parameter :p1 may be NULL"]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO notes (member_id, title, body) VALUES ($2, $3, $1)",
        "INSERT INTO notes (member_id, title, body) SELECT id, $2, $1 FROM members",
        "UPDATE notes SET body = $1",
        "UPDATE notes SET body = CASE WHEN $2 THEN $1 ELSE body END",
        "UPDATE notes SET title = coalesce($1, title)",
        "UPDATE notes SET title = DEFAULT",
        "UPDATE notes SET (title, body) = ROW ('a', $1)",
        "UPDATE notes SET title = body WHERE body IS NOT NULL",
        "INSERT INTO notes (member_id, title) SELECT member_id, body FROM notes WHERE body > 'a'",
        "INSERT INTO notes (member_id, title) SELECT * FROM (SELECT id, email FROM members) AS given",
        "INSERT INTO notes (member_id, title) SELECT id, email FROM members UNION SELECT id, title FROM notes",
        "SELECT ROW (notes.*) IS NULL, $1 || 'a' FROM notes",
    ],
)
def test_null_may_be_handed_on_to_where_it_may_be(schema: DatabaseSchema, sql: str) -> None:
    assert findings(schema, sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO notes (member_id, title) SELECT * FROM (SELECT id, $1 FROM members) AS given",
        "INSERT INTO notes (member_id, title) SELECT id, email FROM members UNION SELECT id, $1 FROM notes",
        "UPDATE notes SET (title, body) = (SELECT title, body FROM notes AS others LIMIT 1)",
    ],
)
def test_null_is_seen_where_no_expression_is_to_blame(schema: DatabaseSchema, sql: str) -> None:
    (told,) = findings(schema, sql)
    assert told == (
        "Writes an expression, which may be NULL, into notes.title, which is NOT NULL: give something in its place, or"
        " let it not be NULL."
    )


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO notes (member_id, title) VALUES ($2, 'a'), ($2, $1)",
        "INSERT INTO notes (member_id, title) SELECT id, $1 FROM members",
        "INSERT INTO members (email) VALUES ($2) ON CONFLICT (email) DO UPDATE SET password_hash = $1",
        "UPDATE notes SET title = $1",
        "UPDATE notes SET (title, body) = ROW ($1, 'a')",
        "WITH a AS (UPDATE notes SET title = $1 RETURNING id) SELECT id FROM a",
    ],
)
def test_null_may_not_be_written_where_it_may_not_be(schema: DatabaseSchema, sql: str) -> None:
    column = "members.password_hash" if "members (" in sql else "notes.title"
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
    assert findings(schema, f"SELECT id FROM notes WHERE {expression}") == [told]


def test_a_test_for_null_counts_though_a_condition_rules_it_out(schema: DatabaseSchema) -> None:
    assert findings(schema, "SELECT body IS NULL FROM notes WHERE body = 'a'") == []
