"""Statements as the checks read them."""

from dataclasses import replace

from pglast import ast

from service.sqlcheck.checks import style
from service.sqlcheck.subject import Subject
from tests.sharing import on_one_postgresql
from tests.sqlcheck.conftest import Plant

pytestmark = on_one_postgresql

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
