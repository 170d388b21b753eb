"""Printed rows: a migration returns none, since yoyo would print them."""

from collections.abc import Iterator

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script, ScriptStatement
from service.sqlcheck.reading.trees import is_a


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield each statement that returns rows."""
    for statement in script.statements:
        if not statement.in_block and _returns_rows(statement):
            yield script.diagnostic(
                statement,
                "Returns rows, which yoyo prints between what the runner says: leave it out, or PERFORM it in a DO"
                " block.",
            )


def _returns_rows(statement: ScriptStatement) -> bool:
    node = statement.node
    if is_a(node, ast.SelectStmt):
        return node.intoClause is None
    return is_a(node, ast.ExplainStmt, ast.VariableShowStmt) or bool(getattr(node, "returningClause", None))
