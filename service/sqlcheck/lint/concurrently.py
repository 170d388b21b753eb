"""CONCURRENTLY: an index is made so outside of a transaction, and all that is outside of one can be repeated."""

from collections.abc import Iterator

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script, ScriptStatement
from service.sqlcheck.reading.trees import is_a


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield what works CONCURRENTLY in a transaction; and without one, what is not a single, repeatable statement."""
    if script.migration.is_transactional:
        for statement in script.statements:
            if statement.is_concurrent:
                yield script.diagnostic(
                    statement,
                    "Works CONCURRENTLY, which PostgreSQL refuses in a transaction: write `-- transactional: false`"
                    f" below the `depends` of {script.migration.path.name}.",
                )
        return
    statements = [statement for statement in script.statements if not statement.in_block]
    for statement in statements:
        if not _can_be_repeated(statement):
            yield script.diagnostic(
                statement,
                "Is not in a transaction, and neither CREATE INDEX CONCURRENTLY name ON … nor DROP INDEX CONCURRENTLY"
                " IF EXISTS name, which the runner can repeat: write one of these, or leave out `transactional:"
                " false`.",
            )
    if len(statements) != 1 and not script.unreadable:
        yield script.diagnostic(
            1,
            f"Has {len(statements)} statements and no transaction, so that some of them may be done and some not: have"
            " one, and migrations of their own for others.",
        )


def _can_be_repeated(statement: ScriptStatement) -> bool:
    node = statement.node
    if not statement.is_concurrent:
        return False
    return bool(node.idxname) if is_a(node, ast.IndexStmt) else bool(node.missing_ok) and len(node.objects) == 1
