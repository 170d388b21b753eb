"""A name that a CTE takes from a table, where it is in scope and nowhere else: for what is granted and what is told."""

from dataclasses import replace

import pytest

from service.sqlcheck.catalogue.uses import uses_of
from service.sqlcheck.proofs.privileges import needed, reasons
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql


def _statement(subject: Subject, sql: str) -> Statement:
    return replace(subject.statements[0], sql=sql)


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("WITH topics AS (SELECT 1) SELECT FROM topics", False),
        ("WITH topics AS (SELECT FROM topics) SELECT FROM topics", True),
        ("WITH RECURSIVE topics AS (SELECT FROM topics) SELECT FROM topics", False),
        ("WITH topics AS (SELECT 1) SELECT FROM public.topics", True),
        ("WITH topics AS (SELECT 1), others AS (SELECT FROM topics) SELECT FROM others", False),
        ("WITH others AS (SELECT FROM topics), topics AS (SELECT 1) SELECT FROM others", True),
        ("SELECT FROM topics WHERE EXISTS (WITH topics AS (SELECT 1) SELECT FROM topics)", True),
        ("WITH topics AS (SELECT 1) SELECT FROM notes WHERE EXISTS (SELECT FROM topics)", False),
        # What is not followed has names as well.
        ("WITH topics AS (SELECT 1) SELECT FROM topics TABLESAMPLE system (1)", False),
        ("SELECT FROM topics TABLESAMPLE system (1)", True),
        ("WITH topics AS (SELECT 1) SELECT FROM notes NATURAL JOIN topics", False),
    ],
)
def test_a_cte_hides_the_table_of_its_name_where_it_is_in_scope(subject: Subject, sql: str, *, reads: bool) -> None:
    statement = _statement(subject, sql)
    found = reasons(statement, subject.schema)
    uses = [use.table for use in uses_of(statement, subject.schema, found)]
    assert ("SELECT ON topics" in map(str, found)) is reads
    assert ("topics" in uses) is reads


def test_what_is_written_is_a_table_even_where_a_cte_has_its_name(subject: Subject) -> None:
    statement = _statement(subject, "WITH topics AS (SELECT 1) UPDATE topics SET position = 1 FROM topics AS others")
    found = reasons(statement, subject.schema)
    assert [str(privilege) for privilege in found] == ["UPDATE (position) ON topics"]
    assert [(use.table, use.verbs) for use in uses_of(statement, subject.schema, found)] == [("topics", ("changes",))]


def test_a_function_that_is_called_knows_nothing_of_the_ctes_around_the_call(subject: Subject) -> None:
    statement = _statement(subject, "WITH topics AS (SELECT 1) SELECT notes_before_insert() FROM topics")
    assert [str(privilege) for privilege in needed(statement, subject.schema)] == ["SELECT ON topics"]
