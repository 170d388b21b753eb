"""Cardinality: how many rows a query gives, as far as unique indexes, limits and aggregates prove it."""

import re
from collections.abc import Callable, Collection
from typing import TypeAlias

from pglast import ast
from pglast.enums import OnConflictAction, SetOperation

from service.sqlcheck.proofs.aggregates import gives_one_each, is_aggregate
from service.sqlcheck.proofs.dependencies import dependencies
from service.sqlcheck.proofs.unique_keys import has_key
from service.sqlcheck.reading.schema import Table
from service.sqlcheck.reading.scopes import Attribute, Relation, Scope
from service.sqlcheck.reading.trees import Node, is_a

IsFixed: TypeAlias = Callable[[Attribute], bool]
"""Tells whether an attribute of a query further out has one value while the rows of this one are counted."""


def at_most_one(scope: Scope) -> bool:
    """Tell whether a query never gives a second row, for any one row of the queries around it."""
    return _is_unique(scope, frozenset(), frozenset(), lambda _: True)


def at_least_one(scope: Scope) -> bool:
    """Tell whether a query always gives a row."""
    node = scope.node
    if not scope.is_select:
        return _always_inserts(scope)
    if node.limitCount or node.limitOffset or node.havingClause or node.lockingClause:
        return False
    if scope.values:
        return True
    if scope.arms:
        return bool(node.op == SetOperation.SETOP_UNION) and any(at_least_one(arm) for arm in scope.arms)
    if not gives_one_each(scope):
        return False
    sources = node.fromClause or ()
    is_filtered = node.whereClause or node.groupClause
    return is_aggregate(scope) or (not is_filtered and all(_always_has_rows(source, scope) for source in sources))


def is_total(scope: Scope) -> bool:
    """Tell whether no two rows of a SELECT are equal to its ORDER BY, so that the order is one and always the same."""
    sorted_by = [_sorted_by(sort.node, scope) for sort in scope.node.sortClause or ()]
    places = frozenset(place for place, _ in sorted_by if place is not None)
    attributes = frozenset(attribute for _, attribute in sorted_by if attribute and _is_never_null(attribute))
    return _is_unique(scope, places, attributes, lambda _: True)


def _is_unique(  # noqa: PLR0911 -- one a kind of query
    scope: Scope, places: Collection[int], start: Collection[Attribute], is_fixed: IsFixed
) -> bool:
    """Tell whether no two rows of a query are the same in some of its columns, and in attributes that it reads.

    Args:
        scope: the scope of the query.
        places: the columns, by their places in the list.
        start: the attributes.
        is_fixed: tells which attributes of queries further out have one value meanwhile.
    """
    node = scope.node
    if scope.values:
        return len(scope.values) == 1
    if scope.arms:
        return _is_unique_set(scope, places, is_fixed)
    start = frozenset(start) | {
        output.attribute
        for place, output in enumerate(scope.outputs)
        if place in places and output.attribute and _is_never_null(output.attribute)
    }
    if not scope.is_select:
        return _writes_one(scope, start, is_fixed)
    if _is_closed(scope, is_fixed) and (_is_limited_to_one(node) or is_aggregate(scope)):
        return True
    if not gives_one_each(scope):
        return False
    # DISTINCT ON has its expressions in the clause, and plain DISTINCT has none.
    if node.distinctClause == (None,) and _are_all(places, scope):
        return True
    attributes, relations = _fixed(scope, start, is_fixed)
    # GROUP BY looks for columns of FROM first, ORDER BY for those of the list.
    groups = [scope.find(group) if is_a(group, ast.ColumnRef) else None for group in node.groupClause or ()]
    is_group = bool(groups) and all(group in attributes for group in groups)
    return is_group or all(relation in relations for relation in scope.relations)


def _is_unique_set(scope: Scope, places: Collection[int], is_fixed: IsFixed) -> bool:
    node = scope.node
    if _is_closed(scope, is_fixed) and _is_limited_to_one(node):
        return True
    if not node.all and _are_all(places, scope):
        return True
    return node.op != SetOperation.SETOP_UNION and _is_unique(scope.arms[0], places, frozenset(), is_fixed)


def _writes_one(scope: Scope, start: Collection[Attribute], is_fixed: IsFixed) -> bool:
    if is_a(scope.node, ast.InsertStmt):
        is_one = scope.source is None or at_most_one(scope.source)
    else:
        is_one = scope.target in _fixed(scope, start, is_fixed)[1]
    # RETURNING gives the row of the target as it is now, and no other has its key.
    written = {attribute.relation for attribute in start}.difference(scope.relations)
    return is_one or any(_is_one_row(relation, scope, start, is_fixed) for relation in written)


def _are_all(places: Collection[int], scope: Scope) -> bool:
    return scope.is_complete and set(range(len(scope.outputs))) <= set(places)


def _is_never_null(attribute: Attribute) -> bool:
    """Tell whether an attribute is of a column that is NOT NULL, seen through sub-selects and outer joins."""
    relation, position = attribute
    if relation.is_optional:
        return False
    if relation.scope:
        inner = relation.scope.outputs[position].attribute
        return inner is not None and _is_never_null(inner)
    return attribute.column is not None and attribute.column.not_null


def _fixed(scope: Scope, start: Collection[Attribute], is_fixed: IsFixed) -> tuple[set[Attribute], set[Relation]]:
    """Return all that is fixed once some attributes are.

    Args:
        scope: the scope of a query.
        start: attributes of it that are taken to have one value each.
        is_fixed: tells which attributes of queries further out have one value meanwhile.

    Returns:
        The attributes that then have one value each, and the relations that then have one row.
    """
    fixed, relations, inside = set(start), set[Relation](), set(scope.relations)
    found = list(dependencies(scope))

    def is_known(attribute: Attribute) -> bool:
        return attribute in fixed if attribute.relation in inside else is_fixed(attribute)

    grows = True
    while grows:
        size = len(fixed), len(relations)
        for one in found:
            if one.attribute.relation in one.narrows and all(map(is_known, one.sources)):
                fixed.add(one.attribute)
        for relation in scope.relations:
            if relation not in relations and _is_one_row(relation, scope, fixed, is_known):
                relations.add(relation)
                attributes = (Attribute(relation, position) for position in range(len(relation.columns)))
                fixed |= {attribute for attribute in attributes if _is_decided(attribute, is_known)}
        grows = (len(fixed), len(relations)) != size
    return fixed, relations


def _is_one_row(relation: Relation, scope: Scope, fixed: Collection[Attribute], is_known: IsFixed) -> bool:
    """Tell whether a relation has one row at most where some attributes have one value each."""
    places = {attribute.position for attribute in fixed if attribute.relation is relation}
    if relation.scope:
        return _is_unique(relation.scope, places, frozenset(), is_known)
    return has_key(relation, places, scope)


def _is_decided(attribute: Attribute, is_known: IsFixed) -> bool:
    """Tell whether one row of a relation has one value in a column, and not another with each row further out."""
    scope = attribute.relation.scope
    if scope is None or _is_closed(scope, is_known):
        return True
    inner = scope.outputs[attribute.position].attribute
    return inner is not None and inner.relation in scope.relations and _is_decided(inner, is_known)


def _is_closed(scope: Scope, is_fixed: IsFixed) -> bool:
    """Tell whether a query gives the same rows however often it is asked while other rows are counted."""
    around = scope.around()
    return not around or all(one is not None and (one.relation not in around or is_fixed(one)) for one in scope.named())


def _is_limited_to_one(node: Node) -> bool:
    count = node.limitCount
    return is_a(count, ast.A_Const) and is_a(count.val, ast.Integer) and count.val.ival <= 1


def _always_has_rows(source: Node, scope: Scope) -> bool:
    """Tell whether a relation of FROM, or a join, always has a row."""
    if is_a(source, ast.JoinExpr):
        left, right = _always_has_rows(source.larg, scope), _always_has_rows(source.rarg, scope)
        keeps = {"JOIN_LEFT": left, "JOIN_RIGHT": right, "JOIN_FULL": left or right}
        is_cross = source.quals is None and not source.usingClause and not source.isNatural
        return keeps.get(source.jointype.name, is_cross and left and right)
    return any(
        relation.scope is not None and at_least_one(relation.scope)
        for relation in scope.relations
        if relation.node is source
    )


def _always_inserts(scope: Scope) -> bool:
    if not is_a(scope.node, ast.InsertStmt) or not scope.returned:
        return False
    conflict = scope.node.onConflictClause
    if conflict and (conflict.action == OnConflictAction.ONCONFLICT_NOTHING or conflict.whereClause):
        return False
    table = scope.target.table if scope.target else None
    return table is not None and not _may_skip(table, scope) and (scope.source is None or at_least_one(scope.source))


def _may_skip(table: Table, scope: Scope) -> bool:
    """Tell whether a trigger may leave a row out, as one that returns NULL before it does."""
    events = {"INSERT", "UPDATE"} if scope.node.onConflictClause else {"INSERT"}
    for trigger in table.triggers.values():
        if trigger.events & events and re.search(r"\bBEFORE\b", trigger.definition):
            function = scope.schema.functions.get(trigger.function)
            body = re.sub(r"--.*", "", function.definition) if function else "RETURN NULL"
            if re.search(r"\bRETURN\s+NULL\b", body, re.IGNORECASE):
                return True
    return False


def _sorted_by(node: Node, scope: Scope) -> tuple[int | None, Attribute | None]:
    """Return what ORDER BY names: a place in the list, or else an attribute. Of an expression nothing is known."""
    if is_a(node, ast.A_Const) and is_a(node.val, ast.Integer):
        return node.val.ival - 1, None
    if is_a(node, ast.ColumnRef) and len(node.fields) == 1:
        names = [output.name for output in scope.outputs]
        if node.fields[0].sval in names:
            return names.index(node.fields[0].sval), None
        if None in names or not scope.is_complete:
            return None, None
    return None, scope.find(node)
