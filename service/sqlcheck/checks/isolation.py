"""Isolation: each statement on a table with an owner is limited to the rows of one owner, in every scope.

`proofs.ownership` says what that means and proves it. Here it is told of what is not proved, of what cannot be, since
it may read by itself or is of another kind, and of a `Scope:` that excuses nothing.
"""

import re
from collections.abc import Iterator

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.proofs.functions import HARMLESS, called_name
from service.sqlcheck.proofs.ownership import Ownership
from service.sqlcheck.reading.resolver import read
from service.sqlcheck.reading.scopes import Relation, Scope
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.reading.trees import words
from service.sqlcheck.subject import Subject

CHECK = "isolation"

_KINDS = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt)
_WHY_NOT = "or write in a `Scope:` why the statement is not limited to one owner."


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each reference to a table with an owner that is not proved to be limited to one owner."""
    for statement in subject.statements:
        yield from dict.fromkeys(_check(statement, subject))


def _check(statement: Statement, subject: Subject) -> Iterator[Diagnostic]:
    refused = _refused(statement)
    if refused:
        yield statement.diagnostic(
            CHECK,
            f"{_kind(refused)} is refused, since nothing proves whose rows it touches. Use SELECT, INSERT, UPDATE or"
            " DELETE.",
            refused,
        )
        return
    yield from _calls(statement, subject)
    scope, unsupported = read(statement.tree, subject.schema)
    diagnostics = [statement.diagnostic(CHECK, one.message, one.node) for one in unsupported]
    diagnostics += _unlimited(statement, scope)
    label = statement.labels.get("Scope")
    if not label:
        yield from diagnostics
    elif not label.text.strip():
        yield statement.diagnostic(
            CHECK, "Its `Scope:` gives no reason. Write why the statement is not limited to one owner.", label
        )
    elif not diagnostics:
        yield statement.diagnostic(
            CHECK, "Its `Scope:` excuses nothing: no row of another owner is in reach. Remove the label.", label
        )


def _refused(statement: Statement) -> ast.Node | None:
    """Return what makes a statement one of a kind that is not followed."""
    for node in statement.nodes(ast.Node):
        if isinstance(node, ast.IntoClause) or (type(node).__name__.endswith("Stmt") and not isinstance(node, _KINDS)):
            return node
    return None


def _calls(statement: Statement, subject: Subject) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each call of what may read a table by itself."""
    # A function of the schema takes the place of one of PostgreSQL's that has its name.
    harmless = (HARMLESS - subject.schema.functions.keys()) | subject.project.harmless_functions
    for node in statement.nodes(ast.Node):
        match node:
            case ast.FuncCall() if (name := called_name(node)) not in harmless:
                yield statement.diagnostic(
                    CHECK,
                    f"{name}() is not known to read no table, and no predicate limits what it reads. Look at it, and if"
                    " it reads none, name it under harmless_functions in [tool.sqlcheck] of"
                    f" {subject.project.names['configuration']}.",
                    node,
                )
            case ast.A_Expr(name=names) | ast.SubLink(operName=names) | ast.SortBy(useOp=names):
                if len(words(names)) > 1 and words(names)[0] != "pg_catalog":
                    operator = ".".join(words(names))
                    yield statement.diagnostic(
                        CHECK,
                        f"OPERATOR({operator}) is not PostgreSQL's own, and may read anything. Use one that is.",
                        node,
                    )
            case ast.A_Indirection(indirection=parts) if words(parts):
                field_name = words(parts)[0]
                yield statement.diagnostic(
                    CHECK,
                    f"(…).{field_name} may be a call of a function. Name the column as alias.{field_name}.",
                    node,
                )


def _unlimited(statement: Statement, root: Scope) -> Iterator[Diagnostic]:
    proof = Ownership(root, statement.parameters)
    for scope in root.walk():
        for relation in scope.relations:
            if relation.owner and not proof.holds(relation.owner):
                yield statement.diagnostic(CHECK, _message(scope, relation, proof.parameter), relation.node)
        added, changed = scope.inserted, scope.changed
        if added and added.owner and not proof.holds(added.owner):
            message = f"{_owner(added)} is not given {proof.parameter} in each row that is inserted. Give it that"
            yield statement.diagnostic(CHECK, f"{message}, {_WHY_NOT}", added.node)
        given = scope.assignments.get(changed.owner.position) if changed and changed.owner else None
        if changed and given and not proof.holds(given.term):
            message = f"{_owner(changed)} is set to something else than {proof.parameter}. Leave it as it is"
            yield statement.diagnostic(CHECK, f"{message}, {_WHY_NOT}", given.node)


def _message(scope: Scope, relation: Relation, parameter: str) -> str:
    """Say what is not limited, and what would limit it."""
    table, owner = _owner(relation).split(".")
    limit = f"{relation.name}.{owner} = {parameter}"
    if scope.inserted:
        key = ", ".join(scope.conflict) or "no column"
        return (
            f"ON CONFLICT may change a row of another owner: it compares {key}, and not {owner}. Use a key that holds"
            f" {owner}, write {limit} into its WHERE, {_WHY_NOT}"
        )
    name = table if relation.name == table else f"{table} (as {relation.name})"
    return (
        f"{name} is not limited to one owner in its scope. Write {limit} into the AND chain of the WHERE, or of the ON"
        f" of a join that drops what does not match, {_WHY_NOT}"
    )


def _owner(relation: Relation) -> str:
    """Return what a message calls the column that says whose a row is: `tasks.user_id`."""
    return f"{relation.table.name}.{relation.table.owner}" if relation.table else ""


def _kind(node: ast.Node) -> str:
    """Return what a kind of statement is called: CREATE TABLE AS."""
    name = "SelectInto" if isinstance(node, ast.IntoClause) else type(node).__name__.removesuffix("Stmt")
    return re.sub(r"\B(?=[A-Z])", " ", name).upper()
