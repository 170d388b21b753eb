"""The uses that a statement makes of tables: its own, its triggers', and those of the keys that take rows along."""

from collections.abc import Iterator, Mapping
from typing import Final

from pglast import ast

from service.sqlcheck.catalogue.model import VERBS, Use
from service.sqlcheck.proofs.privileges import ANY, Privilege, Reason
from service.sqlcheck.reading.resolver import read
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.reading.trees import Node

_WRITES: Final = {ast.InsertStmt: "adds", ast.UpdateStmt: "changes", ast.DeleteStmt: "deletes"}
_VERB_OF: Final = {"SELECT": "reads", "INSERT": "adds", "UPDATE": "changes", "DELETE": "deletes"}


def uses_of(statement: Statement, schema: DatabaseSchema, needed: Mapping[Privilege, Reason]) -> tuple[Use, ...]:
    """Return what a statement does with tables: first itself, then its triggers, then the foreign keys.

    Args:
        statement: the statement.
        schema: the schema.
        needed: the privileges that it needs, and why.
    """
    own = _own(statement, schema, needed)
    deleted = [table for table in sorted(own) if "deletes" in own[table]]
    return (
        *(Use(table, _in_order(own[table]), "") for table in sorted(own)),
        *_by_triggers(needed),
        *(use for table in deleted for use in _taken_along(table, schema, {table})),
    )


def _own(statement: Statement, schema: DatabaseSchema, needed: Mapping[Privilege, Reason]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    node: Node
    for kind, verb in _WRITES.items():
        for node in statement.nodes(kind):
            conflict = getattr(node, "onConflictClause", None)
            verbs = {verb, "changes"} if conflict and conflict.targetList else {verb}
            found.setdefault(node.relation.relname, set()).update(verbs)
    scope, _ = read(statement.tree, schema)
    for node in (node for part in scope.walk() for node in part.reads):
        if node.relname in schema.tables:
            found.setdefault(node.relname, set()).add("reads")
    for privilege, reason in needed.items():
        # That on any column is the lock's.
        if privilege.column == ANY and not reason.trigger:
            found.setdefault(privilege.table, set()).add("locks")
    return found


def _by_triggers(needed: Mapping[Privilege, Reason]) -> Iterator[Use]:
    found: dict[tuple[str, str], set[str]] = {}
    for privilege, reason in needed.items():
        if reason.trigger:
            found.setdefault((privilege.table, reason.trigger), set()).add(_VERB_OF[privilege.verb])
    for (table, trigger), verbs in sorted(found.items()):
        # To write, a trigger may have to be granted SELECT as well.
        yield Use(table, _in_order(verbs - {"reads"} or verbs), trigger)


def _taken_along(table: str, schema: DatabaseSchema, seen: set[str]) -> Iterator[Use]:
    """Yield what is deleted with the rows of a table; tables that have been seen are left out."""
    for other in schema.tables.values():
        for key in other.foreign_keys:
            if key.referenced_table == table and "ON DELETE CASCADE" in key.definition and other.name not in seen:
                seen.add(other.name)
                yield Use(other.name, ("deletes",), key.name)
                yield from _taken_along(other.name, schema, seen)


def _in_order(verbs: set[str]) -> tuple[str, ...]:
    return tuple(verb for verb in VERBS if verb in verbs)
