"""Names: each tells the table and the kind, since a program turns that of a constraint into what a user reads."""

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from pglast import ast
from pglast.enums import ConstrType, ObjectType

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script, ScriptStatement
from service.sqlcheck.reading.trees import Node, is_a, words

Named_: TypeAlias = tuple[Node, str | None]
"""A named node with the fault of its name; None for none."""

_KINDS: Final = {
    ConstrType.CONSTR_PRIMARY: ("primary key", "_pkey"),
    ConstrType.CONSTR_UNIQUE: ("unique constraint", "_key"),
    ConstrType.CONSTR_FOREIGN: ("foreign key", "_fkey"),
    ConstrType.CONSTR_CHECK: ("check constraint", "_check"),
    ConstrType.CONSTR_EXCLUSION: ("exclusion constraint", "_excl"),
}
"""Each kind of constraint that is named, and how its name ends. NOT NULL has a name since PostgreSQL 18 only."""


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield each constraint, index and trigger that has no name of its own, or one that does not tell what it is."""
    for statement in script.statements:
        for node, message in _named(statement):
            if message:
                yield script.diagnostic(script.line_of_node(statement, node), message)


def _named(statement: ScriptStatement) -> Iterator[Named_]:
    node = statement.node
    if is_a(node, ast.CreateStmt):
        yield from _of_table(node.relation.relname, node.tableElts or ())
    elif is_a(node, ast.AlterTableStmt):
        yield from _of_table(node.relation.relname, [command.def_ for command in node.cmds])
    elif is_a(node, ast.IndexStmt):
        yield from _of_index(node, node.relation.relname)
    elif is_a(node, ast.CreateTrigStmt):
        yield node, _of_trigger(node.relation.relname, node.trigname)
    elif is_a(node, ast.RenameStmt) and node.renameType == ObjectType.OBJECT_TRIGGER:
        yield node, _of_trigger(node.relation.relname, node.newname)
    elif is_a(node, ast.RenameStmt) and node.renameType == ObjectType.OBJECT_TABCONSTRAINT:
        table, endings = node.relation.relname, [ending for _, ending in _KINDS.values()]
        yield node, _wrong("constraint", table, node.newname, f"{table}_…_check", *endings)


def _of_table(table: str, elements: Iterable[Node]) -> Iterator[Named_]:
    for element in elements:
        if is_a(element, ast.Constraint):
            yield from _of_constraint(element, table, words(element.fk_attrs or element.keys))
        elif is_a(element, ast.ColumnDef):
            for constraint in element.constraints or ():
                yield from _of_constraint(constraint, table, (element.colname,))
        elif is_a(element, ast.TableLikeClause) and element.options:
            wrong = f"Makes {table} like {element.relation.relname}, and PostgreSQL names what it copies"
            yield element, f"{wrong}: write out what the table has."


def _of_constraint(constraint: Node, table: str, columns: tuple[str, ...]) -> Iterator[Named_]:
    if constraint.contype in _KINDS:
        kind, ending = _KINDS[constraint.contype]
        parts = () if ending == "_pkey" else columns or ("…",)
        # Made of an index that is there, it takes its name.
        name = constraint.conname or constraint.indexname
        example = "_".join([table, *parts]) + ending
        yield constraint, _wrong(kind, table, name, example, ending)


def _of_index(node: Node, table: str) -> Iterator[Named_]:
    # A unique one may be what a primary key is made of next.
    kind, *endings = ("unique index", "_key", "_pkey") if node.unique else ("index", "_idx")
    columns = [element.name or "…" for element in node.indexParams]
    example = "_".join([table, *columns]) + endings[0]
    yield node, _wrong(kind, table, node.idxname, example, *endings)


def _of_trigger(table: str, name: str) -> str | None:
    return _wrong("trigger", table, name, f"{table}_set_updated_at")


def _wrong(kind: str, table: str, name: str | None, example: str, *endings: str) -> str | None:
    """Return a message where a name is missing, or does not begin with its table and end with one of these."""
    if not name:
        return f"Leaves it to PostgreSQL to name the {kind} of {table}: call it {example}."
    if name.startswith(f"{table}_") and name.endswith(endings or ("",)):
        return None
    ends = f" and ends with {' or '.join(endings)}" if endings else ""
    return f"Calls the {kind} of {table} {name}: give it a name that begins with {table}_{ends}, such as {example}."
