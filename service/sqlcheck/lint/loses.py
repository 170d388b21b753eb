"""Losses: a rollback says what it loses, since the runner asks before that."""

from collections.abc import Iterator
from typing import Final

from pglast import ast
from pglast.enums import AlterTableType, ObjectType

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script, ScriptStatement
from service.sqlcheck.reading.trees import is_a

_WITH_ROWS: Final = {
    ObjectType.OBJECT_FOREIGN_TABLE,
    ObjectType.OBJECT_MATVIEW,
    ObjectType.OBJECT_SCHEMA,
    ObjectType.OBJECT_TABLE,
}
"""The kinds of objects with which rows are lost."""


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield what loses data in a rollback that says that it loses nothing."""
    if not script.is_rollback or not script.migration.loses or script.migration.loses_data:
        return
    for statement in script.statements:
        for lost in _lost(statement):
            yield script.diagnostic(
                statement,
                f"{lost}, but `Loses:` says that nothing is lost: say what is, since the runner asks before that.",
            )


def _lost(statement: ScriptStatement) -> Iterator[str]:
    """Yield how a statement loses data."""
    node = statement.node
    if is_a(node, ast.DropStmt) and node.removeType in _WITH_ROWS:
        yield f"Drops a {node.removeType.name.removeprefix('OBJECT_').lower()}"
    if is_a(node, ast.TruncateStmt):
        yield "Truncates a table"
    if any(command.subtype == AlterTableType.AT_DropColumn for command in statement.nodes(ast.AlterTableCmd)):
        yield "Drops a column"
    # A WITH may do so too, and a function when it is called.
    if not is_a(node, ast.CreateFunctionStmt) and statement.nodes(ast.DeleteStmt):
        yield "Deletes rows"
