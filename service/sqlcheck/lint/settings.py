"""Settings: a migration leaves them as they are for those that come after it, and the timeouts to the runner."""

from collections.abc import Iterator
from typing import Final

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script, ScriptStatement
from service.sqlcheck.reading.trees import function_name, is_a, text_of

_TIMEOUTS: Final = ("lock_timeout", "statement_timeout")


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield each statement that changes a setting."""
    for statement in script.statements:
        for name in _set(statement):
            yield script.diagnostic(statement, _told(name))


def _told(name: str) -> str:
    if name in _TIMEOUTS:
        return f"Sets {name}, which the runner does and has to know: say `-- {name}: …` in the migration's header."
    return f"Changes {name or 'a setting'} for all that comes after it: write what does not depend on that."


def _set(statement: ScriptStatement) -> Iterator[str]:
    """Yield the name of each setting that a statement sets; an empty one where it is many, or not written out."""
    node = statement.node
    if is_a(node, ast.VariableSetStmt):
        yield (node.name or "").lower()
    # What a function sets is set when it is called.
    for call in [] if is_a(node, ast.CreateFunctionStmt) else statement.nodes(ast.FuncCall):
        if function_name(call) == "set_config":
            yield (text_of(next(iter(call.args or ()), None)) or "").lower()
