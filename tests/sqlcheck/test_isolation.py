"""The proof that each statement is limited to one user: held against a corpus, against itself, against PostgreSQL."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from pglast import ast
from pglast.stream import RawStream

from service.resources import resource_folder
from service.sqlcheck.checks import isolation
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.statements import Label, Statement, read_statements
from tests.sharing import on_one_postgresql
from tests.sqlcheck.corpus import CASES, FOLDER, Case, World, depends_on_bob, outcome, schema, two_users, worlds

__all__ = ["schema", "worlds"]

pytestmark = on_one_postgresql

STATEMENTS = read_statements(resource_folder("sql"))
# What limits them stands there twice, and one of the two is enough.
TWICE = {"a_union_that_hands_on_the_caller", "an_update_of_several_with_own"}


def _named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.statement.name for case in cases])


def _faults(statement: Statement, schema: DatabaseSchema) -> list[Diagnostic]:
    return list(isolation.check([statement], schema))


# The corpus


@_named(CASES)
def test_a_statement_of_the_corpus_is_judged_as_its_label_says(case: Case, schema: DatabaseSchema) -> None:
    diagnostics = _faults(case.statement, schema)
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


def test_every_statement_of_the_service_is_limited(schema: DatabaseSchema) -> None:
    assert [str(diagnostic) for diagnostic in isolation.check(STATEMENTS, schema)] == []


def test_a_statement_of_the_service_without_any_of_its_predicates_is_a_fault(schema: DatabaseSchema) -> None:
    deleted = diagnostics = 0
    for statement in STATEMENTS:
        if "Scope" in statement.labels:
            continue
        for limit in isolation.limits(statement, schema):
            deleted += 1
            found = _faults(_without(statement, limit), schema)
            diagnostics += bool(found)
            assert found, f"{statement.name} without {RawStream()(limit)}"
    print(f"{deleted} predicates deleted, {diagnostics} faults found")  # noqa: T201 -- the guarantee's figure
    assert deleted == diagnostics >= 25


@_named([case for case in CASES if case.verdict == "right" and case.statement.name not in TWICE])
def test_a_right_statement_without_any_of_its_predicates_is_a_fault(case: Case, schema: DatabaseSchema) -> None:
    for limit in isolation.limits(case.statement, schema):
        assert _faults(_without(case.statement, limit), schema), RawStream()(limit)


def test_what_limits_a_statement_is_known(schema: DatabaseSchema) -> None:
    by_name = {statement.name: statement for statement in STATEMENTS}
    limits = isolation.limits(by_name["get_spent_refresh_token"], schema)
    assert [RawStream()(limit) for limit in limits] == [
        "spent_refresh_tokens.user_id = $1",
        "sessions.user_id = spent_refresh_tokens.user_id",
    ]
    assert isolation.limits(by_name["list_task_statuses"], schema) == []
    assert isolation.limits(_statement("a_merge"), schema) == []


def test_every_function_of_a_statement_is_known() -> None:
    by_name = {statement.name: statement for statement in STATEMENTS}
    assert isolation.functions_of(by_name["count_login_wait"]) == ["ceil", "extract", "max", "now"]
    assert isolation.functions_of(by_name["list_tasks"]) == []


def test_every_function_that_is_allowed_is_built_in(worlds: tuple[World, World]) -> None:
    built_in = {row[0] for row in two_users.list_own_functions(worlds[0].connection)}
    assert built_in >= isolation.FUNCTIONS


def test_a_function_of_the_schema_hides_one_that_is_allowed(schema: DatabaseSchema) -> None:
    statement = _statement("in_a_filter")
    own = replace(schema, functions={"count": schema.functions["tasks_before_insert"]})
    assert any("count() is not known to read no table" in diagnostic.message for diagnostic in _faults(statement, own))


# What the developer is told


def _statement(name: str) -> Statement:
    return next(case.statement for case in CASES if case.statement.name == name)


MESSAGES = {
    "the_same_table_twice_but_once": (
        "JOIN tasks AS other ON other.id = one.id",
        (
            "tasks (as other) is not limited to one user in its scope. Write other.user_id = :user_id into the"
            " AND chain of the WHERE, or of the ON of a join that drops what does not match, or write in a"
            " `Scope:` why the statement is not limited to one user."
        ),
    ),
    "an_insert_for_another": (
        "INSERT INTO tasks (user_id, id, title)",
        (
            "tasks.user_id is not given :user_id in each row that is inserted. Give it that, or write in a"
            " `Scope:` why the statement is not limited to one user."
        ),
    ),
    "a_gift": (
        "SET user_id = :other_id, token_hash = sha256('gift')",
        (
            "spent_refresh_tokens.user_id is set to something else than :user_id. Leave it as it is, or write in"
            " a `Scope:` why the statement is not limited to one user."
        ),
    ),
    "on_conflict_without_the_owner": (
        "INSERT INTO idempotency_records (user_id, caller_id, key, fingerprint, status)",
        (
            "ON CONFLICT may change a row of another user: it compares caller_id, key, and not user_id. Use a key"
            " that holds user_id, write idempotency_records.user_id = :user_id into its WHERE, or write in a"
            " `Scope:` why the statement is not limited to one user."
        ),
    ),
    "a_file": (
        "SELECT pg_read_file('postgresql.conf');",
        (
            "pg_read_file() is not known to read no table, and no predicate limits what it reads. Look at it, and"
            " add it to FUNCTIONS in service/sqlcheck/checks/isolation.py if it reads none."
        ),
    ),
    "a_merge": (
        "MERGE INTO tasks",
        ("MERGE is refused, since nothing proves whose rows it touches. Use SELECT, INSERT, UPDATE or DELETE."),
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_fault_says_where_it_is_and_what_to_do(name: str, schema: DatabaseSchema) -> None:
    text, message = MESSAGES[name]
    [diagnostic] = _faults(_statement(name), schema)
    assert diagnostic.message == message
    assert (FOLDER / diagnostic.file).read_text(encoding="utf-8").splitlines()[diagnostic.line - 1] == text
    assert str(diagnostic) == f"{diagnostic.file}:{diagnostic.line} {name}: {message}"


# Scope


def _with_scope(name: str, reason: str) -> Statement:
    return replace(_statement(name), labels={"Scope": Label(reason, 7)})


def test_a_scope_with_its_reason_excuses_a_statement(schema: DatabaseSchema) -> None:
    assert _faults(_with_scope("a_delete_by_id", "all users, since time passes for everybody."), schema) == []


def test_a_scope_without_a_reason_is_a_fault(schema: DatabaseSchema) -> None:
    [diagnostic] = _faults(_with_scope("a_delete_by_id", ""), schema)
    assert diagnostic.line == 7
    assert diagnostic.message == "Its `Scope:` gives no reason. Write why the statement is not limited to one user."


@pytest.mark.parametrize("name", ["a_delete", "tables_of_nobody"])
def test_a_scope_that_excuses_nothing_is_a_fault(name: str, schema: DatabaseSchema) -> None:
    [diagnostic] = _faults(_with_scope(name, "all users."), schema)
    assert diagnostic.line == 7
    assert diagnostic.message == "Its `Scope:` excuses nothing: no row of another user is in reach. Remove the label."


@pytest.mark.parametrize("name", ["a_merge", "a_table_in_a_string", "two_statements"])
def test_a_scope_does_not_excuse_what_cannot_be_looked_into(name: str, schema: DatabaseSchema) -> None:
    messages = [diagnostic.message for diagnostic in _faults(_with_scope(name, "all users."), schema)]
    assert any(
        case.diagnostic in message
        for case in CASES
        if case.statement.name == name and case.diagnostic
        for message in messages
    )
