"""Statements as the checks read them."""

from dataclasses import replace

import pytest
from pglast import ast

from service.sqlcheck.catalogue.gathering import gather
from service.sqlcheck.checks import style
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.run import CHECKS, check
from service.sqlcheck.subject import Subject
from tests.sharing import on_one_postgresql
from tests.sqlcheck.conftest import Plant

pytestmark = on_one_postgresql

_CHECKS = [name for name in CHECKS if name not in {"migrations", "compatibility"}]

# Each of these letters is two bytes.
_LETTERS = """
-- name: get_note(member_id, id)^
-- A note.
SELECT 'äöüßÄÖÜéèêáàâóòôúùûçñ' || 'äöüßÄÖÜéèêáàâóòôúùûçñ' AS title
FROM notes
WHERE member_id = :member_id
    and id = :id;
"""


def test_what_stands_behind_letters_of_two_bytes_is_on_its_line(plant: Plant) -> None:
    (statement,) = plant(_LETTERS)
    assert [statement.line_of(node) for node in statement.nodes(ast.RangeVar)] == [5]
    assert [statement.line_of(node) for node in statement.nodes(ast.ParamRef)] == [6, 7]


def test_the_words_behind_letters_of_two_bytes_are_read_whole(subject: Subject, plant: Plant) -> None:
    told = list(map(str, style.check(replace(subject, statements=plant(_LETTERS)))))
    assert "sql/planted.sql:7 get_note: Has the keyword and: write it AND." in told


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ROW()",
        "SELECT ROW() IS NULL",
        "SELECT title FROM notes WHERE ROW() = ROW() AND ROW() < ROW()",
        "SELECT pg_catalog.extract(:field, now()), pg_catalog.extract('epoch'::text, now())",
        "SELECT pg_catalog.extract()",
        "UPDATE notes SET (title, body) = ROW('x') WHERE member_id = :member_id",
        "UPDATE notes SET (title, body) = ROW() WHERE member_id = :member_id",
        "UPDATE notes SET title = (notes.*) WHERE member_id = :member_id",
        "INSERT INTO notes (member_id) VALUES (:member_id) ON CONFLICT (id) DO UPDATE SET (title, body) = ROW('x')",
        "INSERT INTO notes (member_id) VALUES (:member_id) ON CONFLICT (lower(title)) DO NOTHING",
        "SELECT title FROM notes JOIN (VALUES (1, :member_id::uuid), (2)) AS v (a, b) ON notes.member_id = v.b",
        "WITH RECURSIVE a (n) AS (VALUES (1), (2, 3) UNION ALL SELECT n FROM a) SELECT n FROM a",
    ],
)
def test_what_is_odd_or_refused_by_postgresql_ends_no_check(subject: Subject, plant: Plant, sql: str) -> None:
    parameters = ", ".join(name for name in ("field", "member_id") if f":{name}" in sql)
    [statement] = plant(f"-- name: get_note({parameters})^\n-- A note.\n-- Returns: Note.\n-- Plan: index.\n{sql};\n")
    planted = replace(subject, statements=[statement])
    told = [diagnostic for result in check(planted, _CHECKS) for diagnostic in result.diagnostics]
    assert {diagnostic.query for diagnostic in told} >= {"get_note"}
    with pytest.raises(CheckError, match="get_note: "):
        gather(planted, {})
