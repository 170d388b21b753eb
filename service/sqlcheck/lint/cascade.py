"""CASCADE: everything that is dropped is named."""

from collections.abc import Iterator

from pglast.enums import DropBehavior

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield each statement that says CASCADE."""
    for statement in script.statements:
        if any(getattr(node, "behavior", None) == DropBehavior.DROP_CASCADE for node in statement.nodes()):
            yield script.diagnostic(
                statement,
                "Says CASCADE, which takes along what nobody named: name that in statements of its own, before this"
                " one.",
            )
