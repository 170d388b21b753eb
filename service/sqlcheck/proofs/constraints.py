"""Constraints: those that a statement can break, held against those that its `Raises:` names.

A constraint can be broken by who writes a column of it, and a foreign key also by who takes away the row that it names.
What the triggers write is theirs to keep right.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.project import Project
from service.sqlcheck.reading.resolver import UnreadableError, read
from service.sqlcheck.reading.schema import DatabaseSchema, Table
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.reading.trees import Node, is_a

CHECK = "contracts"

_NAMED = re.compile(r"(\w+)(?: \([^()]*\))?")
_DRAWN = re.compile(r"\b(gen_random_uuid|nextval)\(")
_CASCADES = re.compile(r" ON DELETE (CASCADE|SET )")


def check_raises(project: Project, statement: Statement, scope: Scope, schema: DatabaseSchema) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each constraint that is named and cannot be broken, or can be broken and is not named."""
    label = statement.labels.get("Raises")
    can_break = breakable(scope, schema)
    existing = {name for table in schema.tables.values() for name in (*table.constraints, *table.indexes)}
    for text in _raised(statement):
        match = _NAMED.fullmatch(text)
        if match is None:
            told = f"Raises {text!r}, which cannot be read: write `Raises: name (what it means), name.`"
        elif match[1] not in existing:
            told = f"Raises {match[1]}, but there is no such constraint: correct the name or remove it."
        elif match[1] not in can_break:
            told = f"Raises {match[1]}, but writes nothing that could break it: remove it."
        else:
            continue
        yield statement.diagnostic(CHECK, told, label)
    for name, table in sorted(can_break.items()):
        if name not in _named(statement) and (name in project.violations or name not in project.ruled_out):
            yield statement.diagnostic(
                CHECK,
                f"Writes what can break {name} of {table}, and does not say so: name it under Raises, or rule it out in"
                f" [tool.sqlcheck.ruled_out] of {project.names['configuration']}, with the reason.",
                label,
            )


def check_ruled_out(project: Project, statements: Sequence[Statement], schema: DatabaseSchema) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each constraint that the project rules out, and that no statement could break anyway.

    Args:
        project: the project.
        statements: all of its statements.
        schema: the schema of the database.
    """
    needed = set[str]()
    for statement in statements:
        with suppress(UnreadableError):  # which is told of already
            scope, _ = read(statement.tree, schema)
            needed |= breakable(scope, schema).keys() - _named(statement) - project.violations
    for name in project.ruled_out:
        if name not in needed:
            line = project.line_of(name)
            told = f"Rules out {name}, which no statement could break without saying so: remove it."
            yield Diagnostic(project.names["configuration"], line, "", CHECK, told)


def breakable(scope: Scope, schema: DatabaseSchema) -> dict[str, str]:
    """Return the constraints that a query can break, with all that is in it, and the table of each."""
    return dict(found for part in scope for found in _breakable(part, schema))


def _raised(statement: Statement) -> list[str]:
    """Return what `Raises:` lists."""
    label = statement.labels.get("Raises")
    return re.split(r", (?![^()]*\))", label.text.removesuffix(".")) if label else []


def _named(statement: Statement) -> set[str]:
    """Return the constraints that `Raises:` names."""
    return {match[1] for text in _raised(statement) if (match := _NAMED.fullmatch(text))}


def _breakable(scope: Scope, schema: DatabaseSchema) -> Iterator[tuple[str, str]]:
    """Yield the constraints, and the tables that they are of, that a query can break by itself."""
    target, node = scope.target, scope.node
    if target is None or target.table is None:
        return
    table = target.table
    if is_a(node, ast.DeleteStmt):
        yield from _left_behind(table, schema)
        return
    if is_a(node, ast.UpdateStmt):
        yield from _of_columns(table, {one.name for one in node.targetList})
        return
    columns = {column.name for column in node.cols or ()} or set(table.columns)
    conflict = node.onConflictClause
    arbiter = _arbiter(conflict) if conflict else None
    changed = {one.name for one in conflict.targetList or ()} if conflict else set()
    for name, own_table in _of_columns(table, columns | changed):
        key = _key(table, name)
        # A value that is drawn anew meets no other but by a chance that nobody waits for.
        is_drawn = any(_DRAWN.search(table.columns[one].default_value or "") for one in key - columns)
        if not key or (not is_drawn and arbiter not in (key, set())):
            yield name, own_table


def _of_columns(table: Table, columns: set[str]) -> Iterator[tuple[str, str]]:
    for constraint in table.constraints.values():
        if columns & set(constraint.columns):
            yield constraint.name, table.name
    for index in table.unique_indexes:
        if index.constraint is None and columns & set(index.columns):
            yield index.name, table.name


def _left_behind(table: Table, schema: DatabaseSchema) -> Iterator[tuple[str, str]]:
    for other in schema.tables.values():
        for constraint in other.foreign_keys:
            if constraint.referenced_table == table.name and not _CASCADES.search(constraint.definition):
                yield constraint.name, other.name


def _key(table: Table, name: str) -> set[str]:
    """Return the columns that an index makes unique, by its name or its constraint's; none for another constraint."""
    return next((set(one.columns) for one in table.unique_indexes if name in (one.constraint, one.name)), set())


def _arbiter(conflict: Node) -> set[str] | None:
    """Return the columns of ON CONFLICT; none of them where it takes any conflict, and None where it names an index."""
    if conflict.infer is None:
        return set()
    names = {element.name for element in conflict.infer.indexElems or ()}
    return names or None
