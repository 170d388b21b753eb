"""TRUNCATE: rows are deleted in batches, and not all at once for everybody."""

from collections.abc import Iterator

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script
from service.sqlcheck.reading.trees import is_a


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield each TRUNCATE but those of a rollback, which takes the table away or says what it loses."""
    for statement in script.statements:
        if is_a(statement.node, ast.TruncateStmt) and not script.is_rollback:
            yield script.diagnostic(
                statement,
                "Truncates a table, which stops everybody who uses it, and no rollback brings the rows back: delete"
                " those that have to go, in batches where they are many.",
            )
