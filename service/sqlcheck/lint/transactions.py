"""Transactions: each begins and ends where the runner says, with its own note in it."""

from collections.abc import Iterator

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script
from service.sqlcheck.reading.trees import is_a


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield each BEGIN, COMMIT and the like."""
    for statement in script.statements:
        if is_a(statement.node, ast.TransactionStmt):
            yield script.diagnostic(
                statement,
                f"Says {statement.sql.split()[0].upper()}, but the runner begins and ends the transaction, with its own"
                " note in it: leave it out.",
            )
