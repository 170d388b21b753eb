"""The unique indexes of a table, and whether columns hold one of them."""

from collections.abc import Collection
from functools import cache
from typing import TypeAlias

from pglast import ast, parse_sql

from service.sqlcheck.reading.schema import Table
from service.sqlcheck.reading.scopes import Attribute, Relation, Scope
from service.sqlcheck.reading.trees import Node, conjuncts, is_a, words

_Key: TypeAlias = tuple[frozenset[str], tuple[Node, ...]]
"""The columns of a unique index, and the parts of its predicate."""


def has_key(relation: Relation, places: Collection[int], scope: Scope) -> bool:
    """Tell whether some columns of a table hold a unique index of it, so that one row at most has their values.

    Args:
        relation: the table.
        places: the columns, by their positions.
        scope: the scope of the query that reads it; its conditions have to say what the predicate of the index does.
    """
    if not relation.table:
        return False
    names = {name for place, name in enumerate(relation.table.columns) if place in places}
    return any(
        columns <= names and all(_stands(part, relation, scope) for part in predicate)
        for columns, predicate in _keys(relation.table)
    )


def _keys(table: Table) -> list[_Key]:
    """Return the columns and the predicates of the unique indexes of a table."""
    return [key for index in table.unique_indexes for key in _read_index(index.definition)]


@cache
def _read_index(definition: str) -> tuple[_Key, ...]:
    """Return the key that an index on plain columns makes."""
    index: Node = parse_sql(definition)[0].stmt
    names = [element.name for element in index.indexParams]
    return () if None in names else ((frozenset(names), tuple(conjuncts(index.whereClause))),)


def _stands(pattern: Node, relation: Relation, scope: Scope) -> bool:
    """Tell whether a part of an index's predicate is among the conditions of a query."""
    return any(one.is_sure and _is_same(pattern, one.node, relation, scope) for one in scope.conditions)


def _is_same(pattern: Node, node: Node, relation: Relation, scope: Scope) -> bool:
    if is_a(pattern, ast.ColumnRef) and is_a(node, ast.ColumnRef):
        own_names = list(relation.table.columns) if relation.table else []
        return scope.find(node) == Attribute(relation, own_names.index(words(pattern.fields)[-1]))
    if isinstance(pattern, ast.Node) and type(pattern) is type(node):
        names = (name for name in pattern if name != "location")
        return all(_is_same(getattr(pattern, name), getattr(node, name), relation, scope) for name in names)
    if isinstance(pattern, tuple) and isinstance(node, tuple) and len(pattern) == len(node):
        return all(_is_same(one, other, relation, scope) for one, other in zip(pattern, node, strict=True))
    return bool(pattern == node)
