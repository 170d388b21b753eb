"""The proof that each statement is limited to one owner: held against a corpus, against itself, against PostgreSQL."""

import re
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pglast import ast
from pglast.stream import RawStream

from service.dsn import Dsn
from service.sqlcheck.checks import isolation
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.project import read_project
from service.sqlcheck.proofs import functions, ownership
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.reading.statements import Label, Statement, read_statements
from service.sqlcheck.subject import Subject
from tests.edits import edit
from tests.sharing import on_one_postgresql
from tests.sqlcheck.corpus import CASES, FOLDER, Case, World, corpus, depends_on_bob, outcome, two_members, worlds

__all__ = ["corpus", "worlds"]

pytestmark = on_one_postgresql

PRODUCT = Path(__file__).parents[2]
_README = (PRODUCT / "README.md").read_text(encoding="utf-8")
# What limits them stands there twice, and one of the two is enough.
TWICE = {"a_union_that_hands_on_the_caller", "an_update_of_several_with_own"}


def _named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.statement.name for case in cases])


def _told(statement: Statement, subject: Subject) -> list[Diagnostic]:
    return list(isolation.check(replace(subject, statements=[statement])))


# The corpus


@_named(CASES)
def test_a_statement_of_the_corpus_is_judged_as_its_label_says(case: Case, corpus: Subject) -> None:
    diagnostics = _told(case.statement, corpus)
    if case.diagnostic is None:
        assert not diagnostics
    else:
        assert [diagnostic for diagnostic in diagnostics if case.diagnostic in diagnostic.message], [
            str(diagnostic) for diagnostic in diagnostics
        ]


@_named([case for case in CASES if case.verdict == "right"])
def test_a_right_statement_does_not_depend_on_another_user(case: Case, worlds: tuple[World, World]) -> None:
    found = outcome(worlds[0], case.statement)
    assert not found.error
    assert found.returned or found.rows != worlds[0].rows, "It does nothing, and so shows nothing."
    assert not depends_on_bob(case.statement, worlds)


@_named([case for case in CASES if case.verdict == "wrong"])
def test_a_wrong_statement_depends_on_another_user(case: Case, worlds: tuple[World, World]) -> None:
    assert depends_on_bob(case.statement, worlds)


# The proof, held against itself


def _true() -> ast.Node:
    return ast.A_Const(val=ast.Boolean(boolval=True))


def _put(value: Any, old: ast.Node, new: ast.Node) -> Any:
    """Put a node in the place of another."""
    if value is old:
        return new
    if isinstance(value, tuple):
        return tuple(_put(part, old, new) for part in value)
    if isinstance(value, ast.Node):
        for name in value:
            part = getattr(value, name)
            if isinstance(part, tuple | ast.Node):
                setattr(value, name, _put(part, old, new))
    return value


def _without(statement: Statement, limit: ast.Node) -> Statement:
    """Return a statement with TRUE in the place of what limits it."""
    copies: dict[int, Any] = {}
    tree = deepcopy(statement.tree, copies)
    copied = copies[id(limit)]
    if isinstance(copied, ast.ResTarget):
        copied.val = _true()
    elif isinstance(copied, ast.JoinExpr):
        copied.usingClause, copied.quals = None, _true()
    elif isinstance(copied, ast.OnConflictClause):
        copied.infer = None
    else:
        tree = _put(tree, copied, _true())
    return replace(statement, sql=RawStream()(tree), sql_lines=tuple(range(1, 100)))


@pytest.fixture(scope="module")
def product(template: Dsn) -> Iterator[Subject]:
    """The service, with the schema that its migrations make."""
    project = read_project(PRODUCT)
    with psycopg.connect(template.direct.libpq_url, autocommit=True) as connection:
        yield Subject(project, read_statements(project), read_schema(project, connection), connection)


def test_every_statement_of_the_service_is_limited(product: Subject) -> None:
    assert [str(diagnostic) for diagnostic in isolation.check(product)] == []


def test_the_fault_that_the_readme_shows_is_told_in_these_words(product: Subject, tmp_path: Path) -> None:
    changed = product.project.at(tmp_path)
    shutil.copytree(product.project.sql, changed.sql)
    file = changed.sql / "tasks.sql"
    made = "@@ -- name: get_task(user_id, id)^\n WHERE user_id = :user_id\n-    AND id = :id;\n+    OR id = :id;\n"
    file.write_text(edit(file.read_text(encoding="utf-8"), made), encoding="utf-8")
    told = isolation.check(replace(product, project=changed, statements=read_statements(changed)))
    shown = re.search(r"```text\n(sql/tasks\.sql:… get_task: .+?)\n```", _README, re.DOTALL)
    assert shown
    # Where a query stands changes with every query that is added above it.
    assert [re.sub(r":\d+ ", ":… ", str(diagnostic)) for diagnostic in told] == [shown[1].replace("\n", " ")]


def test_a_statement_of_the_service_without_any_of_its_predicates_is_a_fault(product: Subject) -> None:
    deleted = _without_each(product)
    print(f"{deleted} predicates deleted, {deleted} faults found")  # noqa: T201 -- the guarantee's figure


def test_a_statement_of_the_example_without_any_of_its_predicates_is_a_fault(subject: Subject) -> None:
    _without_each(subject)


def _without_each(subject: Subject) -> int:
    """Hold each statement against the proof without each of its predicates, and return how many these are."""
    deleted = [
        (statement, limit)
        for statement in subject.statements
        if "Scope" not in statement.labels
        for limit in ownership.limits(statement, subject.schema)
    ]
    for statement, limit in deleted:
        assert _told(_without(statement, limit), subject), f"{statement.name} without {RawStream()(limit)}"
    assert deleted
    return len(deleted)


@_named([case for case in CASES if case.verdict == "right" and case.statement.name not in TWICE])
def test_a_right_statement_without_any_of_its_predicates_is_a_fault(case: Case, corpus: Subject) -> None:
    for limit in ownership.limits(case.statement, corpus.schema):
        assert _told(_without(case.statement, limit), corpus), RawStream()(limit)


def test_what_limits_a_statement_is_known(corpus: Subject, subject: Subject) -> None:
    by_name = {statement.name: statement for statement in subject.statements}
    limits = ownership.limits(by_name["get_revision"], subject.schema)
    assert [RawStream()(limit) for limit in limits] == [
        "revisions.member_id = $1",
        "notes.member_id = revisions.member_id",
    ]
    assert ownership.limits(by_name["list_topics"], subject.schema) == []
    assert ownership.limits(_statement("a_merge"), corpus.schema) == []


def test_every_function_of_a_statement_is_known(subject: Subject) -> None:
    by_name = {statement.name: statement for statement in subject.statements}
    assert functions.called(by_name["create_revision"]) == ["make_interval", "now"]
    assert functions.called(by_name["list_notes"]) == []


def test_every_function_that_is_allowed_is_built_in(worlds: tuple[World, World]) -> None:
    built_in = {row[0] for row in two_members.list_own_functions(worlds[0].connection)}
    assert built_in >= functions.HARMLESS


def test_a_function_of_the_schema_hides_one_that_is_allowed(corpus: Subject) -> None:
    own = replace(corpus.schema, functions={"count": corpus.schema.functions["notes_before_insert"]})
    told = _told(_statement("in_a_filter"), replace(corpus, schema=own))
    assert any("count() is not known to read no table" in diagnostic.message for diagnostic in told)


def test_a_function_that_the_project_calls_harmless_is_allowed(corpus: Subject) -> None:
    statement = _statement("a_file")
    project = replace(corpus.project, harmless_functions=frozenset(functions.called(statement)))
    assert _told(statement, replace(corpus, project=project)) == []


# What the developer is told


def _statement(name: str) -> Statement:
    return next(case.statement for case in CASES if case.statement.name == name)


MESSAGES = {
    "the_same_table_twice_but_once": (
        "JOIN notes AS other ON other.id = one.id",
        (
            "notes (as other) is not limited to one owner in its scope. Write other.member_id = :member_id into the"
            " AND chain of the WHERE, or of the ON of a join that drops what does not match, or write in a"
            " `Scope:` why the statement is not limited to one owner."
        ),
    ),
    "an_insert_for_another": (
        "INSERT INTO notes (member_id, id, title)",
        (
            "notes.member_id is not given :member_id in each row that is inserted. Give it that, or write in a"
            " `Scope:` why the statement is not limited to one owner."
        ),
    ),
    "a_gift": (
        "SET member_id = :other_id, number = 9",
        (
            "revisions.member_id is set to something else than :member_id. Leave it as it is, or write in"
            " a `Scope:` why the statement is not limited to one owner."
        ),
    ),
    "on_conflict_without_the_owner": (
        "INSERT INTO labels (member_id, shelf_id, name, size)",
        (
            "ON CONFLICT may change a row of another owner: it compares shelf_id, name, and not member_id. Use a key"
            " that holds member_id, write labels.member_id = :member_id into its WHERE, or write in a"
            " `Scope:` why the statement is not limited to one owner."
        ),
    ),
    "a_file": (
        "SELECT pg_read_file('postgresql.conf');",
        (
            "pg_read_file() is not known to read no table, and no predicate limits what it reads. Look at it, and"
            " if it reads none, name it under harmless_functions in [tool.sqlcheck] of pyproject.toml."
        ),
    ),
    "a_merge": (
        "MERGE INTO notes",
        ("MERGE is refused, since nothing proves whose rows it touches. Use SELECT, INSERT, UPDATE or DELETE."),
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_fault_says_where_it_is_and_what_to_do(name: str, corpus: Subject) -> None:
    text, message = MESSAGES[name]
    [diagnostic] = _told(_statement(name), corpus)
    assert diagnostic.message == message
    assert (FOLDER / diagnostic.file).read_text(encoding="utf-8").splitlines()[diagnostic.line - 1] == text
    assert str(diagnostic) == f"{diagnostic.file}:{diagnostic.line} {name}: {message}"


# Scope


def _with_scope(name: str, reason: str) -> Statement:
    return replace(_statement(name), labels={"Scope": Label(reason, 7)})


def test_a_scope_with_its_reason_excuses_a_statement(corpus: Subject) -> None:
    assert _told(_with_scope("a_delete_by_id", "all members, since time passes for everybody."), corpus) == []


def test_a_scope_without_a_reason_is_a_fault(corpus: Subject) -> None:
    [diagnostic] = _told(_with_scope("a_delete_by_id", ""), corpus)
    assert diagnostic.line == 7
    assert diagnostic.message == "Its `Scope:` gives no reason. Write why the statement is not limited to one owner."


@pytest.mark.parametrize("name", ["a_delete", "tables_of_nobody"])
def test_a_scope_that_excuses_nothing_is_a_fault(name: str, corpus: Subject) -> None:
    [diagnostic] = _told(_with_scope(name, "all members."), corpus)
    assert diagnostic.line == 7
    assert diagnostic.message == "Its `Scope:` excuses nothing: no row of another owner is in reach. Remove the label."


@pytest.mark.parametrize("name", ["a_merge", "a_table_in_a_string"])
def test_a_scope_does_not_excuse_what_cannot_be_looked_into(name: str, corpus: Subject) -> None:
    messages = [diagnostic.message for diagnostic in _told(_with_scope(name, "all members."), corpus)]
    assert any(
        case.diagnostic in message
        for case in CASES
        if case.statement.name == name and case.diagnostic
        for message in messages
    )
