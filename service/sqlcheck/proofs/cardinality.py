"""How many rows a query gives: what is proved of it by unique indexes, limits and aggregates."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, OnConflictAction, SetOperation, SubLinkType

from service.sqlcheck.proofs.functions import AGGREGATES, SCALAR, VOLATILE
from service.sqlcheck.reading.schema import Table
from service.sqlcheck.reading.scopes import Attribute, Relation, Scope
from service.sqlcheck.reading.trees import Node, children, conjuncts, equals, function_name, is_a, operator_name, words

IsFixed: TypeAlias = Callable[[Attribute], bool]
"""Whether a column of a query further out has one value while the rows of this one are counted."""


@dataclass(frozen=True, slots=True)
class _Equality:
    """A column that the `sources` alone decide, in each row of the items that the condition narrows."""

    column: Attribute
    sources: frozenset[Attribute]
    narrows: frozenset[Relation]
    is_sure: bool


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
    if not _gives_one_each(scope):
        return False
    sources = node.fromClause or ()
    is_filtered = node.whereClause or node.groupClause
    return _is_aggregate(scope) or (not is_filtered and all(_always_has_rows(source, scope) for source in sources))


def is_total(scope: Scope) -> bool:
    """Tell whether no two rows of a SELECT are equal to its ORDER BY, so that the order is one and always the same."""
    sorted_by = [_sorted_by(sort.node, scope) for sort in scope.node.sortClause or ()]
    places = frozenset(place for place, _ in sorted_by if place is not None)
    columns = frozenset(column for _, column in sorted_by if column and _is_never_null(column))
    return _is_unique(scope, places, columns, lambda _: True)


def makes_row_of_none(scope: Scope) -> bool:
    """Tell whether a SELECT may give a row though its conditions leave it none, as one with an aggregate does."""
    node = scope.node
    if not scope.is_select:
        return False
    if node.groupClause:
        return any(is_a(group, ast.GroupingSet) for group in node.groupClause)
    parts = children(node, "withClause", "fromClause", "whereClause", "larg", "rarg")
    return node.havingClause is not None or any(_calls(part, _may_aggregate) for part in parts)


def _is_unique(  # noqa: PLR0911 -- one a kind of query
    scope: Scope, places: Collection[int], start: Collection[Attribute], is_fixed: IsFixed
) -> bool:
    """Tell whether no two rows have the same values at some places of the list and in some columns behind it."""
    node = scope.node
    if scope.values:
        return len(scope.values) == 1
    if scope.arms:
        return _is_unique_set(scope, places, is_fixed)
    start = frozenset(start) | {
        output.column
        for place, output in enumerate(scope.outputs)
        if place in places and output.column and _is_never_null(output.column)
    }
    if not scope.is_select:
        return _writes_one(scope, start, is_fixed)
    if _is_closed(scope, is_fixed) and (_is_limited_to_one(node) or _is_aggregate(scope)):
        return True
    if not _gives_one_each(scope):
        return False
    # DISTINCT ON has its expressions in the clause, and plain DISTINCT has none.
    if node.distinctClause == (None,) and _are_all(places, scope):
        return True
    columns, relations = _fixed(scope, start, is_fixed)
    # GROUP BY looks for columns of FROM first, ORDER BY for those of the list.
    groups = [scope.find(group) if is_a(group, ast.ColumnRef) else None for group in node.groupClause or ()]
    is_group = bool(groups) and all(group in columns for group in groups)
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
    # What RETURNING gives of the target is the row as it is now, which no other has the key of.
    written = {column.relation for column in start}.difference(scope.relations)
    return is_one or any(_is_unique_item(relation, scope, start, is_fixed) for relation in written)


def _are_all(places: Collection[int], scope: Scope) -> bool:
    return scope.is_complete and set(range(len(scope.outputs))) <= set(places)


def _is_never_null(column: Attribute) -> bool:
    """Tell whether a column is declared NOT NULL, seen through sub-selects and outer joins."""
    relation, position = column
    if relation.is_optional:
        return False
    if relation.scope:
        inner = relation.scope.outputs[position].column
        return inner is not None and _is_never_null(inner)
    return relation.table is not None and list(relation.table.columns.values())[position].not_null


def _fixed(scope: Scope, start: Collection[Attribute], is_fixed: IsFixed) -> tuple[set[Attribute], set[Relation]]:
    """Return the columns and the items that have one value, or row, where the columns of `start` have one each."""
    fixed, relations, inside = set(start), set[Relation](), set(scope.relations)
    equalities = list(_equalities(scope))

    def is_known(column: Attribute) -> bool:
        return column in fixed if column.relation in inside else is_fixed(column)

    grows = True
    while grows:
        size = len(fixed), len(relations)
        for equality in equalities:
            if equality.column.relation in equality.narrows and all(map(is_known, equality.sources)):
                fixed.add(equality.column)
        for relation in scope.relations:
            if relation not in relations and _is_unique_item(relation, scope, fixed, is_known):
                relations.add(relation)
                columns = (Attribute(relation, position) for position in range(len(relation.columns)))
                fixed |= {column for column in columns if _is_decided(column, is_known)}
        grows = (len(fixed), len(relations)) != size
    return fixed, relations


def _is_unique_item(relation: Relation, scope: Scope, fixed: Collection[Attribute], is_known: IsFixed) -> bool:
    places = {column.position for column in fixed if column.relation is relation}
    if relation.scope:
        return _is_unique(relation.scope, places, frozenset(), is_known)
    names = {name for place, name in enumerate(relation.table.columns) if place in places} if relation.table else set()
    return any(
        columns <= names and all(_stands(part, relation, scope) for part in predicate)
        for columns, predicate in (_keys(relation.table) if relation.table else ())
    )


def _is_decided(column: Attribute, is_known: IsFixed) -> bool:
    """Tell whether one row of an item has one value in a column, and not another with each row further out."""
    scope = column.relation.scope
    if scope is None or _is_closed(scope, is_known):
        return True
    inner = scope.outputs[column.position].column
    return inner is not None and inner.relation in scope.relations and _is_decided(inner, is_known)


def _equalities(scope: Scope) -> Iterator[_Equality]:
    for condition in scope.conditions:
        for left, right in (*equals(condition.node), *_only_one(condition.node)):
            for one, other in ((left, right), (right, left)):
                column, sources = scope.find(one), _sources(other, scope)
                if column and sources is not None:
                    yield _Equality(column, sources, condition.binds, condition.is_sure)
    for equality in scope.equalities:  # Those of a USING, too.
        for one, other in ((equality.left, equality.right), (equality.right, equality.left)):
            if isinstance(one, Attribute) and isinstance(other, Attribute):
                yield _Equality(one, frozenset({other}), equality.binds, is_sure=False)
    for relation in scope.relations:
        # What a LATERAL sub-select says of the items before it.
        if relation.scope and not (relation.is_optional or relation.scope.arms or makes_row_of_none(relation.scope)):
            yield from _said_of_others(relation, relation.scope, frozenset(scope.relations))


def _said_of_others(relation: Relation, inner: Scope, relations: frozenset[Relation]) -> Iterator[_Equality]:
    shown = {output.column: place for place, output in enumerate(inner.outputs) if output.column}
    for equality in _equalities(inner):
        if (
            equality.is_sure
            and equality.column.relation in relations
            and all(source in shown for source in equality.sources)
        ):
            sources = frozenset(Attribute(relation, shown[source]) for source in equality.sources)
            yield _Equality(equality.column, sources, relations, is_sure=True)


def _only_one(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield what `a IN (b)` says is equal."""
    is_in = is_a(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_IN and operator_name(node) == "="
    if is_in and len(node.rexpr) == 1:
        yield node.lexpr, node.rexpr[0]


def _sources(node: Node, scope: Scope) -> frozenset[Attribute] | None:
    """Return the columns that alone decide an expression; None where something else does as well."""
    if is_a(node, ast.SubLink):
        return _sources_of_subquery(node, scope)
    if is_a(node, ast.FuncCall):
        name = function_name(node)
        if name in VOLATILE or name not in SCALAR:
            return None
    if is_a(node, ast.ColumnRef):
        found = scope.find(node)
        return frozenset({found}) if found else None
    below = [_sources(child, scope) for child in children(node)]
    return None if None in below else frozenset().union(*(one for one in below if one is not None))


def _sources_of_subquery(link: Node, scope: Scope) -> frozenset[Attribute] | None:
    """Return the columns further out that a (SELECT …) depends on; it runs once if it depends on none of its query."""
    if link.subLinkType != SubLinkType.EXPR_SUBLINK:
        return None
    found, around = scope.subquery(link).named(), scope.around()
    if None in found or any(one.relation in scope.relations for one in found if one):
        return None
    return frozenset(one for one in found if one and one.relation in around)


def _is_closed(scope: Scope, is_fixed: IsFixed) -> bool:
    """Tell whether a query gives the same rows however often it is asked while other rows are counted."""
    around = scope.around()
    return not around or all(one is not None and (one.relation not in around or is_fixed(one)) for one in scope.named())


def _is_limited_to_one(node: Node) -> bool:
    count = node.limitCount
    return is_a(count, ast.A_Const) and is_a(count.val, ast.Integer) and count.val.ival <= 1


def _is_aggregate(scope: Scope) -> bool:
    """Tell whether a SELECT makes one row of all."""
    node = scope.node
    if scope.arms or scope.values or node.groupClause:
        return False
    return any(_calls(target, _is_aggregating) for target in (*scope.returned, node.havingClause) if target)


def _is_aggregating(call: Node) -> bool:
    return function_name(call) in AGGREGATES and call.over is None


def _may_aggregate(call: Node) -> bool:
    return call.over is None and function_name(call) not in SCALAR - AGGREGATES


def _gives_one_each(scope: Scope) -> bool:
    """Tell whether no function in the list of a SELECT can give a set."""
    return not any(_calls(target, lambda call: function_name(call) not in SCALAR) for target in scope.returned)


def _calls(node: Node, is_such: Callable[[Node], bool]) -> bool:
    """Tell whether an expression calls such a function, not counting its sub-queries."""
    if is_a(node, ast.SubLink):
        return False
    return (is_a(node, ast.FuncCall) and is_such(node)) or any(_calls(child, is_such) for child in children(node))


def _always_has_rows(source: Node, scope: Scope) -> bool:
    """Tell whether an item of FROM, or a join, always has a row."""
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
    """Return what ORDER BY names: a place in the list, or a column behind it. Of an expression nothing is known."""
    if is_a(node, ast.A_Const) and is_a(node.val, ast.Integer):
        return node.val.ival - 1, None
    if is_a(node, ast.ColumnRef) and len(node.fields) == 1:
        names = [output.name for output in scope.outputs]
        if node.fields[0].sval in names:
            return names.index(node.fields[0].sval), None
        if None in names or not scope.is_complete:
            return None, None
    return None, scope.find(node)


_Key: TypeAlias = tuple[frozenset[str], tuple[Node, ...]]


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
    """Tell whether a part of an index's predicate is among the conditions of a query on the table."""
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
