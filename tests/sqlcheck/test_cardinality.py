"""Proofs of how many rows there are, each rule with a case that it decides and one that it leaves open."""

from typing import cast

import pytest
from pglast import parse_sql

from service.sqlcheck.project import Project
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
CREATE TABLE cards (
    id bigint PRIMARY KEY,
    code text UNIQUE,
    folder text NOT NULL,
    title text NOT NULL,
    is_live boolean NOT NULL
);
CREATE UNIQUE INDEX ON cards (folder, lower(title));
CREATE UNIQUE INDEX ON cards (title) WHERE is_live AND code IS NULL;
CREATE UNIQUE INDEX ON cards (folder) WHERE lower(code) = 'a';
CREATE TABLE skipping (id bigint PRIMARY KEY);
CREATE FUNCTION skip_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN null; END; $$;
CREATE TRIGGER skip_row BEFORE INSERT ON skipping FOR EACH ROW EXECUTE FUNCTION skip_row();
"""


@pytest.fixture(scope="module")
def schema(scratch: Connection, project: Project) -> DatabaseSchema:
    with rolled_back(scratch):
        scratch.execute(MORE)
        return read_schema(project, scratch)


def scope(schema: DatabaseSchema, sql: str) -> Scope:
    return read(cast(Node, parse_sql(sql)[0]).stmt, schema)[0]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT title FROM notes WHERE member_id = $1 AND id = $2",
        "SELECT title FROM notes WHERE $1 = member_id AND (id, topic) = ($2, $3)",
        "SELECT title FROM notes AS t (u, i) WHERE t.u = $1 AND i = $2",
        "SELECT title FROM notes WHERE member_id = $1 AND id IN ($2)",
        "SELECT title FROM notes WHERE member_id = $1 AND id = (SELECT note_id FROM revisions LIMIT 1)",
        "SELECT title FROM notes WHERE member_id = id AND id = $1",
        "SELECT id FROM members WHERE email = lower($1)",
        "SELECT title FROM notes LIMIT 1",
        "SELECT title FROM notes LIMIT 0",
        "SELECT count(*) FROM notes",
        "SELECT max(version) + 1 FROM notes",
        "SELECT 1 FROM notes HAVING count(*) > 1",
        "SELECT id FROM cards WHERE code = $1",
        "SELECT id FROM cards WHERE title = $1 AND is_live AND code IS NULL AND folder > $2",
        "SELECT n.id FROM cards AS n WHERE n.title = $1 AND n.is_live AND n.code IS NULL",
        "SELECT id FROM cards WHERE folder = $1 AND lower(code) = 'a'::text",
        "SELECT m.id FROM notes JOIN members AS m ON m.id = notes.member_id WHERE member_id = $1 AND notes.id = $2",
        "SELECT m.id FROM notes JOIN members AS m ON m.id = notes.member_id WHERE m.id = $1 AND notes.id = $2",
        "SELECT notes.id FROM notes LEFT JOIN members AS m ON m.id = member_id WHERE member_id = $1 AND notes.id = $2",
        "SELECT 1 FROM notes AS a JOIN notes AS b USING (member_id, id) WHERE a.member_id = $1 AND a.id = $2",
        "SELECT 1 FROM members CROSS JOIN (SELECT 1) AS one WHERE id = $1",
        "WITH found AS (SELECT id FROM members WHERE id = $1) SELECT 1 FROM found",
        "WITH found AS (SELECT id, email FROM members) SELECT 1 FROM found WHERE email = $1",
        "SELECT 1 FROM (SELECT member_id, id FROM notes) AS t (u, i) WHERE u = $1 AND i = $2",
        "SELECT member_id FROM notes WHERE member_id = $1 GROUP BY member_id",
        "SELECT DISTINCT email FROM members WHERE email = $1",
        "VALUES (1)",
        "SELECT id FROM members WHERE id = $1 EXCEPT SELECT id FROM members",
        "SELECT id FROM members UNION ALL SELECT id FROM notes LIMIT 1",
        "UPDATE notes SET title = 'a' WHERE member_id = $1 AND id = $2 RETURNING id",
        "UPDATE notes SET title = email FROM members WHERE member_id = $1 AND notes.id = $2 RETURNING notes.id",
        "DELETE FROM members WHERE id = $1 RETURNING id",
        "DELETE FROM notes USING members AS m WHERE member_id = m.id AND email = $1 AND notes.id = $2 RETURNING title",
        "INSERT INTO members (email, password_hash) VALUES ($1, $2) RETURNING id",
        "INSERT INTO members (email, password_hash) SELECT email, $2 FROM members WHERE id = $1 RETURNING id",
        "INSERT INTO skipping DEFAULT VALUES RETURNING id",
        "WITH gone AS (DELETE FROM members WHERE id = $1 RETURNING id) SELECT id FROM gone",
        "WITH changed AS (UPDATE members SET email = $1 RETURNING id) SELECT 1 FROM changed WHERE id = $2",
        "WITH added AS (INSERT INTO members SELECT id FROM notes RETURNING id) SELECT 1 FROM added WHERE id = $1",
        "SELECT 1 FROM members AS m, LATERAL (SELECT FROM notes WHERE member_id = m.id LIMIT 1) AS x WHERE m.id = $1",
        "SELECT 1 FROM members AS m, LATERAL (SELECT * FROM notes WHERE member_id = m.id LIMIT 1) AS x WHERE m.id = $1",
        "SELECT 1 FROM members, LATERAL (SELECT EXISTS (SELECT members.id) LIMIT 1) AS x WHERE members.id = $1",
        "SELECT 1 FROM members AS m, LATERAL (SELECT m.id IN (SELECT id FROM notes) LIMIT 1) AS x WHERE m.id = $1",
    ],
)
def test_a_second_row_is_ruled_out(schema: DatabaseSchema, sql: str) -> None:
    assert at_most_one(scope(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT title FROM notes",
        "SELECT title FROM notes WHERE id = $1",
        "SELECT title FROM notes WHERE member_id = $1 AND id > $2",
        "SELECT title FROM notes WHERE member_id = $1 AND id = ANY ($2)",
        "SELECT title FROM notes WHERE member_id = $1 AND id IN ($2, $3)",
        "SELECT title FROM notes WHERE member_id = $1 AND (id = $2 OR title = $3)",
        "SELECT title FROM notes WHERE member_id = $1 AND id::text = $2",
        "SELECT title FROM notes WHERE member_id = $1 AND id = gen_random_uuid()",
        "SELECT title FROM notes WHERE member_id = $1 AND id = ours.anything()",
        "SELECT title FROM notes WHERE member_id = $1 AND id = (SELECT id FROM members WHERE members.id = notes.id)",
        "SELECT title FROM notes WHERE member_id = $1 AND id = id",
        "SELECT email FROM members WHERE id OPERATOR(ours.=) $1",
        "SELECT email FROM ours.members WHERE id = $1",
        "SELECT email FROM members TABLESAMPLE bernoulli (100)",
        "SELECT title FROM notes LIMIT 2",
        "SELECT title FROM notes LIMIT $1",
        "SELECT count(*) FROM notes GROUP BY topic",
        "SELECT count(*) OVER () FROM notes",
        "SELECT (SELECT count(*) FROM members) FROM notes",
        "SELECT unnest($1)",
        "SELECT ours.anything()",
        "SELECT x FROM unnest($1) AS y (x)",
        "SELECT id FROM cards WHERE code IS NULL",
        "SELECT id FROM cards WHERE code IS NOT DISTINCT FROM $1",
        "SELECT id FROM cards WHERE folder = $1",
        "SELECT id FROM cards WHERE folder = $1 AND lower(code) = 'b'::text",
        "SELECT id FROM cards WHERE folder = $1 AND lower(title) = 'a'::text",
        "SELECT id FROM cards WHERE code = (EXISTS (SELECT FROM members))::text",
        "SELECT id FROM cards WHERE title = $1 AND is_live",
        "SELECT id FROM cards WHERE title = $1 AND (is_live AND code IS NULL OR id > $2)",
        "SELECT a.id FROM cards AS a JOIN cards AS b ON b.id = $2 WHERE a.title = $1 AND b.is_live AND b.code IS NULL",
        "SELECT members.id FROM notes JOIN members ON members.id = notes.member_id WHERE members.id = $1",
        "SELECT 1 FROM notes LEFT JOIN members ON notes.member_id = $1 AND notes.id = $2 AND members.id = $3",
        "SELECT 1 FROM members LEFT JOIN notes ON notes.member_id = members.id WHERE members.id = $1",
        "SELECT 1 FROM members FULL JOIN members AS others ON members.id = $1 AND others.id = $2",
        "SELECT 1 FROM notes AS a JOIN notes AS b USING (id) WHERE a.member_id = $1 AND a.id = $2",
        "SELECT 1 FROM members, members AS others WHERE members.id = $1",
        "WITH found AS (SELECT member_id, id FROM notes) SELECT 1 FROM found WHERE id = $1",
        "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a) SELECT x FROM a",
        "SELECT member_id FROM notes WHERE member_id = $1 GROUP BY member_id, topic",
        "SELECT DISTINCT topic FROM notes WHERE member_id = $1",
        "VALUES (1), (2)",
        "SELECT id FROM members WHERE id = $1 UNION SELECT id FROM members WHERE id = $2",
        "SELECT id FROM members EXCEPT SELECT id FROM members WHERE id = $1",
        "UPDATE notes SET title = 'a' FROM members WHERE members.id = $1 RETURNING notes.id",
        "DELETE FROM notes WHERE member_id = $1 RETURNING id",
        "INSERT INTO members (email, password_hash) VALUES ($1, $2), ($3, $4) RETURNING id",
        "INSERT INTO members (email, password_hash) SELECT title, $1 FROM notes RETURNING id",
        # The id as it is now and the member as it was are no key.
        (
            "WITH a AS (UPDATE notes SET member_id = id, id = 1 WHERE member_id = $1 RETURNING id)"
            " SELECT FROM a WHERE id = 1"
        ),
        "SELECT 1 FROM members JOIN unnest($1) AS y (id) USING (id) WHERE members.id = $1",
        "SELECT 1 FROM members, LATERAL (SELECT FROM unnest(ARRAY[members.id]) LIMIT 1) AS x",
        # An aggregate gives a row for each member, whatever it is of.
        "SELECT 1 FROM members, LATERAL (SELECT count(*) FROM notes WHERE members.id = $1) AS x",
        "SELECT 1 FROM members, LATERAL (SELECT jsonb_agg(id) FROM notes WHERE members.id = $1 LIMIT 1) AS x",
        "SELECT 1 FROM members, LATERAL (SELECT 1 FROM notes WHERE members.id = $1 GROUP BY () LIMIT 1) AS x",
        "SELECT 1 FROM members, LATERAL (SELECT 1 FROM notes WHERE members.id = $1 HAVING true LIMIT 1) AS x",
        "SELECT 1 FROM members, LATERAL (SELECT FROM notes WHERE EXISTS (SELECT members.id) LIMIT 1) AS x",
        "SELECT 1 FROM members, LATERAL (SELECT members.id IN (SELECT id FROM notes) LIMIT 1) AS x",
        "SELECT x.id FROM members CROSS JOIN LATERAL (SELECT id FROM notes WHERE member_id = members.id LIMIT 1) AS x",
    ],
)
def test_a_second_row_is_not_ruled_out(schema: DatabaseSchema, sql: str) -> None:
    assert not at_most_one(scope(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "VALUES (1), (2)",
        "SELECT count(*) FROM notes WHERE id = $1",
        "SELECT 1 FROM (SELECT 1) AS one",
        "WITH one AS (SELECT 1) SELECT 1 FROM one",
        "SELECT 1 FROM (SELECT 1) AS one CROSS JOIN (VALUES (1)) AS two",
        "SELECT 1 FROM (SELECT 1) AS one LEFT JOIN notes ON id = $1",
        "SELECT 1 FROM notes RIGHT JOIN (SELECT 1) AS one ON id = $1",
        "SELECT 1 FROM notes FULL JOIN (SELECT 1) AS one ON id = $1",
        "SELECT id FROM notes UNION ALL SELECT $1",
        "INSERT INTO members (email, password_hash) VALUES ($1, $2) RETURNING id",
        "INSERT INTO topics VALUES ($1, $2, 1) ON CONFLICT (topic) DO UPDATE SET is_closed = $2 RETURNING topic",
        "INSERT INTO members (email, password_hash) SELECT $1, $2 RETURNING id",
    ],
)
def test_there_always_is_a_row(schema: DatabaseSchema, sql: str) -> None:
    assert at_least_one(scope(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM notes",
        "SELECT 1 WHERE $1",
        "SELECT count(*) FROM notes HAVING count(*) > 1",
        "SELECT count(*) FROM notes GROUP BY topic",
        "SELECT count(*) FROM notes LIMIT 0",
        "SELECT count(*) FROM notes OFFSET 1",
        "SELECT unnest($1)",
        "SELECT 1 FROM (SELECT 1) AS one JOIN (SELECT 1) AS two ON $1",
        "SELECT 1 FROM (SELECT 1) AS one CROSS JOIN notes",
        "SELECT 1 FROM (SELECT 1 AS a) AS one NATURAL JOIN (SELECT 2 AS a) AS two",
        "SELECT 1 FROM (SELECT 1 AS a) AS one JOIN (SELECT 2 AS a) AS two USING (a)",
        "SELECT 1 FROM notes LEFT JOIN (SELECT 1) AS one ON true",
        "SELECT 1 FROM unnest($1) AS y (x)",
        "SELECT $1 EXCEPT SELECT 1",
        "SELECT $1 INTERSECT SELECT 1",
        "UPDATE members SET email = $1 WHERE id = $2 RETURNING id",
        "DELETE FROM members WHERE id = $2 RETURNING id",
        "INSERT INTO members (email, password_hash) VALUES ($1, $2)",
        "INSERT INTO members (email, password_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id",
        "INSERT INTO cards VALUES ($1) ON CONFLICT (id) DO UPDATE SET code = $1 WHERE cards.id > $1 RETURNING id",
        "INSERT INTO members (email, password_hash) SELECT email, $2 FROM members WHERE id = $1 RETURNING id",
        "INSERT INTO skipping VALUES (1) RETURNING id",
    ],
)
def test_there_may_be_no_row(schema: DatabaseSchema, sql: str) -> None:
    assert not at_least_one(scope(schema, sql))


LATERAL = """
SELECT newest.id FROM topics CROSS JOIN LATERAL (
    SELECT {columns} FROM notes WHERE {condition} ORDER BY created_at LIMIT $2
) AS newest ORDER BY newest.created_at, newest.id LIMIT $2
"""


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM notes WHERE member_id = $1 ORDER BY created_at, id",
        "SELECT id FROM notes ORDER BY member_id, id DESC",
        "SELECT id AS a FROM members ORDER BY a",
        "SELECT id FROM members ORDER BY 1",
        "SELECT title, member_id FROM notes AS t (u, i) ORDER BY u, t.i",
        "SELECT member_id, count(*) FROM notes GROUP BY member_id ORDER BY member_id",
        "SELECT DISTINCT topic FROM notes ORDER BY topic",
        "SELECT DISTINCT topic FROM notes ORDER BY 1",
        "SELECT id FROM members UNION SELECT id FROM notes ORDER BY id",
        "SELECT notes.id FROM notes JOIN members ON members.id = member_id ORDER BY email, notes.id",
        "SELECT id FROM (SELECT id FROM members) AS u ORDER BY id",
        "SELECT id, EXISTS (SELECT FROM notes) FROM members ORDER BY id",
        LATERAL.format(columns="created_at, id, topic", condition="member_id = $1 AND notes.topic = topics.topic"),
    ],
)
def test_this_order_is_total(schema: DatabaseSchema, sql: str) -> None:
    assert is_total(scope(schema, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM notes WHERE member_id = $1 ORDER BY created_at",
        "SELECT id FROM notes ORDER BY id",
        "SELECT id FROM members ORDER BY lower(id::text)",
        "SELECT email AS id FROM members, notes ORDER BY id",
        # Two rows with no code are not told apart by it.
        "SELECT id FROM cards ORDER BY code",
        "SELECT members.id FROM notes LEFT JOIN members ON members.id = member_id ORDER BY members.id",
        "SELECT DISTINCT topic, title FROM notes ORDER BY topic",
        "SELECT id FROM members UNION ALL SELECT id FROM notes ORDER BY id",
        # One note is the newest of each topic alike.
        LATERAL.format(columns="created_at, id, topic", condition="member_id = $1"),
        LATERAL.format(columns="created_at, id, topics.topic", condition="member_id = $1"),
        LATERAL.format(columns="created_at, id", condition="member_id = $1 AND notes.topic = topics.topic"),
    ],
)
def test_this_order_leaves_rows_equal(schema: DatabaseSchema, sql: str) -> None:
    assert not is_total(scope(schema, sql))
