"""What a migration may say: nothing that is the runner's to do, that hides what happens, or that cannot be repeated."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import sqlparse
from pglast import ast, parse_sql
from pglast.enums import AlterTableType, DropBehavior, ObjectType
from pglast.parser import ParseError, scan

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script, ScriptStatement
from service.sqlcheck.reading.trees import Node, function_name, is_a

_TIMEOUTS: Final = ("lock_timeout", "statement_timeout")

_WITH_ROWS: Final = {
    ObjectType.OBJECT_FOREIGN_TABLE,
    ObjectType.OBJECT_MATVIEW,
    ObjectType.OBJECT_SCHEMA,
    ObjectType.OBJECT_TABLE,
}
"""What rows are lost with."""


def check_statements(script: Script) -> Iterator[Diagnostic]:
    """Yield what a file says and should not."""
    for statement in script.statements:
        for rule in _RULES:
            for message in rule(script, statement):
                yield script.diagnostic(statement, message)
    yield from _number(script)
    yield from _cuts(script)


def _transaction(_script: Script, statement: ScriptStatement) -> Iterator[str]:
    if is_a(statement.node, ast.TransactionStmt):
        word = statement.sql.split()[0].upper()
        yield f"Says {word}, but the runner begins and ends the transaction, with its own note in it: leave it out."


def _settings(_script: Script, statement: ScriptStatement) -> Iterator[str]:
    for name in _set(statement):
        if name in _TIMEOUTS:
            yield f"Sets {name}, which the runner does and has to know: say `-- {name}: …` in the migration's header."
        else:
            yield f"Changes {name or 'a setting'} for all that comes after it: write what does not depend on that."


def _if_exists(_script: Script, statement: ScriptStatement) -> Iterator[str]:
    names = [token.name for token in scan(statement.sql) if "COMMENT" not in token.name]
    said = set(pairwise(names))
    if ("IF_P", "NOT") in said:
        yield (
            "Says IF NOT EXISTS, which takes whatever has the name for what is meant: leave that out, since the runner"
            " knows what was applied."
        )
    if ("IF_P", "EXISTS") in said and not _is_concurrent(statement.node):
        yield (
            "Says IF EXISTS, which hides that something is not as it should be: leave that out, since the runner knows"
            " what was applied."
        )


def _cascade(_script: Script, statement: ScriptStatement) -> Iterator[str]:
    if any(getattr(node, "behavior", None) == DropBehavior.DROP_CASCADE for node in statement.nodes()):
        yield "Says CASCADE, which takes along what nobody named: name that in statements of its own, before this one."


def _truncate(script: Script, statement: ScriptStatement) -> Iterator[str]:
    if is_a(statement.node, ast.TruncateStmt) and not script.is_rollback:
        yield (
            "Truncates a table, which stops everybody who uses it, and no rollback brings the rows back: delete those"
            " that have to go, in batches where they are many."
        )


def _rows(_script: Script, statement: ScriptStatement) -> Iterator[str]:
    node = statement.node
    is_query = is_a(node, ast.SelectStmt) and node.intoClause is None
    is_shown = is_a(node, ast.ExplainStmt, ast.VariableShowStmt)
    if not statement.in_block and (is_query or is_shown or getattr(node, "returningClause", None)):
        yield "Returns rows, which yoyo prints between what the runner says: leave it out, or PERFORM it in a DO block."


def _concurrently(script: Script, statement: ScriptStatement) -> Iterator[str]:
    if script.migration.is_transactional and _is_concurrent(statement.node):
        yield (
            "Works CONCURRENTLY, which PostgreSQL refuses in a transaction: write `-- transactional: false` below the"
            f" `depends` of {script.migration.path.name}."
        )


def _repeatable(script: Script, statement: ScriptStatement) -> Iterator[str]:
    if not script.migration.is_transactional and not statement.in_block and not _can_be_repeated(statement.node):
        yield (
            "Is not in a transaction, and neither CREATE INDEX CONCURRENTLY name ON … nor DROP INDEX CONCURRENTLY IF"
            " EXISTS name, which the runner can repeat: write one of these, or leave out `transactional: false`."
        )


def _loses(script: Script, statement: ScriptStatement) -> Iterator[str]:
    if script.is_rollback and script.migration.loses and not script.migration.loses_data:
        for what in _lost(statement):
            yield f"{what}, but `Loses:` says that nothing is lost: say what is, since the runner asks before that."


_RULES: Final[tuple[Callable[[Script, ScriptStatement], Iterator[str]], ...]] = (
    _transaction,
    _settings,
    _if_exists,
    _cascade,
    _truncate,
    _rows,
    _concurrently,
    _repeatable,
    _loses,
)


def _number(script: Script) -> Iterator[Diagnostic]:
    """Yield a fault where a file has no transaction, and other than one statement."""
    count = sum(not statement.in_block for statement in script.statements)
    if not script.migration.is_transactional and not script.unreadable and count != 1:
        yield script.diagnostic(
            1,
            f"Has {count} statements and no transaction, so that some of them may be done and some not: have one, and"
            " migrations of their own for others.",
        )


def _cuts(script: Script) -> Iterator[Diagnostic]:
    """Yield the first place where yoyo, which takes a file apart with sqlparse, cuts through a statement."""
    end = 0
    for piece in [] if script.unreadable else sqlparse.split(script.text):
        end = script.text.index(piece, end) + len(piece)
        try:
            parse_sql(piece)
        except ParseError:
            yield script.diagnostic(
                script.line_of(end),
                "Is cut through here by yoyo, which takes this for the end of a statement: write it otherwise, such as"
                " without a comment in a comment.",
            )
            return


def _set(statement: ScriptStatement) -> Iterator[str]:
    """Yield the name of each setting that a statement sets; an empty one where it is many, or not written out."""
    node = statement.node
    if is_a(node, ast.VariableSetStmt):
        yield (node.name or "").lower()
    # What a function sets is set when it is called.
    for call in [] if is_a(node, ast.CreateFunctionStmt) else statement.nodes(ast.FuncCall):
        if function_name(call) == "set_config":
            name: Node = getattr(call.args[0], "val", None)
            yield name.sval.lower() if is_a(name, ast.String) else ""


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


def _is_concurrent(node: Node) -> bool:
    return is_a(node, ast.IndexStmt, ast.DropStmt) and bool(node.concurrent)


def _can_be_repeated(node: Node) -> bool:
    if not _is_concurrent(node):
        return False
    return bool(node.idxname) if is_a(node, ast.IndexStmt) else bool(node.missing_ok) and len(node.objects) == 1
