"""How many rows a query gives: what is proved of it by unique indexes, limits and aggregates."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, OnConflictAction, SetOperation, SubLinkType

from service.sqlcheck.functions import AGGREGATES, SCALAR, VOLATILE
from service.sqlcheck.schema import Table
from service.sqlcheck.scopes import Column, Item, Query
from service.sqlcheck.trees import Node, children, conjuncts, equals, function_name, is_a, operator_name, words

IsFixed: TypeAlias = Callable[[Column], bool]
"""Whether a column of a query further out has one value while the rows of this one are counted."""


@dataclass(frozen=True, slots=True)
class _Equality:
    """A column that the `sources` alone decide, in each row of the items that the condition narrows."""

    column: Column
    sources: frozenset[Column]
    narrows: frozenset[Item]
    is_sure: bool


def at_most_one(query: Query) -> bool:
    """Tell whether a query never gives a second row, for any one row of the queries around it."""
    return _is_unique(query, frozenset(), frozenset(), lambda _: True)


def at_least_one(query: Query) -> bool:
    """Tell whether a query always gives a row."""
    node = query.node
    if not query.is_select:
        return _always_inserts(query)
    if node.limitCount or node.limitOffset or node.havingClause or node.lockingClause:
        return False
    if query.values:
        return True
    if query.arms:
        return bool(node.op == SetOperation.SETOP_UNION) and any(at_least_one(arm) for arm in query.arms)
    if not _gives_one_each(query):
        return False
    sources = node.fromClause or ()
    is_filtered = node.whereClause or node.groupClause
    return _is_aggregate(query) or (not is_filtered and all(_always_has_rows(source, query) for source in sources))


def is_total(query: Query) -> bool:
    """Tell whether no two rows of a SELECT are equal to its ORDER BY, so that the order is one and always the same."""
    sorted_by = [_sorted_by(sort.node, query) for sort in query.node.sortClause or ()]
    places = frozenset(place for place, _ in sorted_by if place is not None)
    columns = frozenset(column for _, column in sorted_by if column and _is_never_null(column))
    return _is_unique(query, places, columns, lambda _: True)


def makes_row_of_none(query: Query) -> bool:
    """Tell whether a SELECT may give a row though its conditions leave it none, as one with an aggregate does."""
    node = query.node
    if not query.is_select:
        return False
    if node.groupClause:
        return any(is_a(group, ast.GroupingSet) for group in node.groupClause)
    parts = children(node, "withClause", "fromClause", "whereClause", "larg", "rarg")
    return node.havingClause is not None or any(_calls(part, _may_aggregate) for part in parts)


def _is_unique(  # noqa: PLR0911 -- one a kind of query
    query: Query, places: Collection[int], start: Collection[Column], is_fixed: IsFixed
) -> bool:
    """Tell whether no two rows have the same values at some places of the list and in some columns behind it."""
    node = query.node
    if query.values:
        return len(query.values) == 1
    if query.arms:
        return _is_unique_set(query, places, is_fixed)
    start = frozenset(start) | {
        output.column
        for place, output in enumerate(query.outputs)
        if place in places and output.column and _is_never_null(output.column)
    }
    if not query.is_select:
        return _writes_one(query, start, is_fixed)
    if _is_closed(query, is_fixed) and (_is_limited_to_one(node) or _is_aggregate(query)):
        return True
    if not _gives_one_each(query):
        return False
    # DISTINCT ON has its expressions in the clause, and plain DISTINCT has none.
    if node.distinctClause == (None,) and _are_all(places, query):
        return True
    columns, items = _fixed(query, start, is_fixed)
    # GROUP BY looks for columns of FROM first, ORDER BY for those of the list.
    groups = [query.find(group) if is_a(group, ast.ColumnRef) else None for group in node.groupClause or ()]
    is_group = bool(groups) and all(group in columns for group in groups)
    return is_group or all(item in items for item in query.items)


def _is_unique_set(query: Query, places: Collection[int], is_fixed: IsFixed) -> bool:
    node = query.node
    if _is_closed(query, is_fixed) and _is_limited_to_one(node):
        return True
    if not node.all and _are_all(places, query):
        return True
    return node.op != SetOperation.SETOP_UNION and _is_unique(query.arms[0], places, frozenset(), is_fixed)


def _writes_one(query: Query, start: Collection[Column], is_fixed: IsFixed) -> bool:
    if is_a(query.node, ast.InsertStmt):
        is_one = query.source is None or at_most_one(query.source)
    else:
        is_one = query.target in _fixed(query, start, is_fixed)[1]
    # What RETURNING gives of the target is the row as it is now, which no other has the key of.
    written = {column.item for column in start}.difference(query.items)
    return is_one or any(_is_unique_item(item, query, start, is_fixed) for item in written)


def _are_all(places: Collection[int], query: Query) -> bool:
    return query.is_complete and set(range(len(query.outputs))) <= set(places)


def _is_never_null(column: Column) -> bool:
    """Tell whether a column is declared NOT NULL, seen through sub-selects and outer joins."""
    item, position = column
    if item.is_optional:
        return False
    if item.query:
        inner = item.query.outputs[position].column
        return inner is not None and _is_never_null(inner)
    return item.table is not None and list(item.table.columns.values())[position].not_null


def _fixed(query: Query, start: Collection[Column], is_fixed: IsFixed) -> tuple[set[Column], set[Item]]:
    """Return the columns and the items that have one value, or row, where the columns of `start` have one each."""
    fixed, items, inside = set(start), set[Item](), set(query.items)
    equalities = list(_equalities(query))

    def is_known(column: Column) -> bool:
        return column in fixed if column.item in inside else is_fixed(column)

    grows = True
    while grows:
        size = len(fixed), len(items)
        for equality in equalities:
            if equality.column.item in equality.narrows and all(map(is_known, equality.sources)):
                fixed.add(equality.column)
        for item in query.items:
            if item not in items and _is_unique_item(item, query, fixed, is_known):
                items.add(item)
                columns = (Column(item, position) for position in range(len(item.columns)))
                fixed |= {column for column in columns if _is_decided(column, is_known)}
        grows = (len(fixed), len(items)) != size
    return fixed, items


def _is_unique_item(item: Item, query: Query, fixed: Collection[Column], is_known: IsFixed) -> bool:
    places = {column.position for column in fixed if column.item is item}
    if item.query:
        return _is_unique(item.query, places, frozenset(), is_known)
    names = {name for place, name in enumerate(item.table.columns) if place in places} if item.table else set()
    return any(
        columns <= names and all(_stands(part, item, query) for part in predicate)
        for columns, predicate in (_keys(item.table) if item.table else ())
    )


def _is_decided(column: Column, is_known: IsFixed) -> bool:
    """Tell whether one row of an item has one value in a column, and not another with each row further out."""
    query = column.item.query
    if query is None or _is_closed(query, is_known):
        return True
    inner = query.outputs[column.position].column
    return inner is not None and inner.item in query.items and _is_decided(inner, is_known)


def _equalities(query: Query) -> Iterator[_Equality]:
    for condition in query.conditions:
        for left, right in (*equals(condition.node), *_only_one(condition.node)):
            for one, other in ((left, right), (right, left)):
                column, sources = query.find(one), _sources(other, query)
                if column and sources is not None:
                    yield _Equality(column, sources, condition.binds, condition.is_sure)
    for equality in query.equalities:  # Those of a USING, too.
        for one, other in ((equality.left, equality.right), (equality.right, equality.left)):
            if isinstance(one, Column) and isinstance(other, Column):
                yield _Equality(one, frozenset({other}), equality.binds, is_sure=False)
    for item in query.items:
        # What a LATERAL sub-select says of the items before it.
        if item.query and not (item.is_optional or item.query.arms or makes_row_of_none(item.query)):
            yield from _said_of_others(item, item.query, frozenset(query.items))


def _said_of_others(item: Item, inner: Query, items: frozenset[Item]) -> Iterator[_Equality]:
    shown = {output.column: place for place, output in enumerate(inner.outputs) if output.column}
    for equality in _equalities(inner):
        if equality.is_sure and equality.column.item in items and all(source in shown for source in equality.sources):
            sources = frozenset(Column(item, shown[source]) for source in equality.sources)
            yield _Equality(equality.column, sources, items, is_sure=True)


def _only_one(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield what `a IN (b)` says is equal."""
    is_in = is_a(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_IN and operator_name(node) == "="
    if is_in and len(node.rexpr) == 1:
        yield node.lexpr, node.rexpr[0]


def _sources(node: Node, query: Query) -> frozenset[Column] | None:
    """Return the columns that alone decide an expression; None where something else does as well."""
    if is_a(node, ast.SubLink):
        return _sources_of_subquery(node, query)
    if is_a(node, ast.FuncCall):
        name = function_name(node)
        if name in VOLATILE or name not in SCALAR:
            return None
    if is_a(node, ast.ColumnRef):
        found = query.find(node)
        return frozenset({found}) if found else None
    below = [_sources(child, query) for child in children(node)]
    return None if None in below else frozenset().union(*(one for one in below if one is not None))


def _sources_of_subquery(link: Node, query: Query) -> frozenset[Column] | None:
    """Return the columns further out that a (SELECT …) depends on; it runs once if it depends on none of its query."""
    if link.subLinkType != SubLinkType.EXPR_SUBLINK:
        return None
    found, around = query.subquery(link).named(), query.around()
    if None in found or any(one.item in query.items for one in found if one):
        return None
    return frozenset(one for one in found if one and one.item in around)


def _is_closed(query: Query, is_fixed: IsFixed) -> bool:
    """Tell whether a query gives the same rows however often it is asked while other rows are counted."""
    around = query.around()
    return not around or all(one is not None and (one.item not in around or is_fixed(one)) for one in query.named())


def _is_limited_to_one(node: Node) -> bool:
    count = node.limitCount
    return is_a(count, ast.A_Const) and is_a(count.val, ast.Integer) and count.val.ival <= 1


def _is_aggregate(query: Query) -> bool:
    """Tell whether a SELECT makes one row of all."""
    node = query.node
    if query.arms or query.values or node.groupClause:
        return False
    return any(_calls(target, _is_aggregating) for target in (*query.returned, node.havingClause) if target)


def _is_aggregating(call: Node) -> bool:
    return function_name(call) in AGGREGATES and call.over is None


def _may_aggregate(call: Node) -> bool:
    return call.over is None and function_name(call) not in SCALAR - AGGREGATES


def _gives_one_each(query: Query) -> bool:
    """Tell whether no function in the list of a SELECT can give a set."""
    return not any(_calls(target, lambda call: function_name(call) not in SCALAR) for target in query.returned)


def _calls(node: Node, is_such: Callable[[Node], bool]) -> bool:
    """Tell whether an expression calls such a function, not counting its sub-queries."""
    if is_a(node, ast.SubLink):
        return False
    return (is_a(node, ast.FuncCall) and is_such(node)) or any(_calls(child, is_such) for child in children(node))


def _always_has_rows(source: Node, query: Query) -> bool:
    """Tell whether an item of FROM, or a join, always has a row."""
    if is_a(source, ast.JoinExpr):
        left, right = _always_has_rows(source.larg, query), _always_has_rows(source.rarg, query)
        keeps = {"JOIN_LEFT": left, "JOIN_RIGHT": right, "JOIN_FULL": left or right}
        is_cross = source.quals is None and not source.usingClause and not source.isNatural
        return keeps.get(source.jointype.name, is_cross and left and right)
    return any(item.query is not None and at_least_one(item.query) for item in query.items if item.node is source)


def _always_inserts(query: Query) -> bool:
    if not is_a(query.node, ast.InsertStmt) or not query.returned:
        return False
    conflict = query.node.onConflictClause
    if conflict and (conflict.action == OnConflictAction.ONCONFLICT_NOTHING or conflict.whereClause):
        return False
    table = query.target.table if query.target else None
    return table is not None and not _may_skip(table, query) and (query.source is None or at_least_one(query.source))


def _may_skip(table: Table, query: Query) -> bool:
    """Tell whether a trigger may leave a row out, as one that returns NULL before it does."""
    events = {"INSERT", "UPDATE"} if query.node.onConflictClause else {"INSERT"}
    for trigger in table.triggers.values():
        if trigger.events & events and re.search(r"\bBEFORE\b", trigger.definition):
            function = query.schema.functions.get(trigger.function)
            body = re.sub(r"--.*", "", function.definition) if function else "RETURN NULL"
            if re.search(r"\bRETURN\s+NULL\b", body, re.IGNORECASE):
                return True
    return False


def _sorted_by(node: Node, query: Query) -> tuple[int | None, Column | None]:
    """Return what ORDER BY names: a place in the list, or a column behind it. Of an expression nothing is known."""
    if is_a(node, ast.A_Const) and is_a(node.val, ast.Integer):
        return node.val.ival - 1, None
    if is_a(node, ast.ColumnRef) and len(node.fields) == 1:
        names = [output.name for output in query.outputs]
        if node.fields[0].sval in names:
            return names.index(node.fields[0].sval), None
        if None in names or not query.is_complete:
            return None, None
    return None, query.find(node)


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


def _stands(pattern: Node, item: Item, query: Query) -> bool:
    """Tell whether a part of an index's predicate is among the conditions of a query on the table."""
    return any(one.is_sure and _is_same(pattern, one.node, item, query) for one in query.conditions)


def _is_same(pattern: Node, node: Node, item: Item, query: Query) -> bool:
    if is_a(pattern, ast.ColumnRef) and is_a(node, ast.ColumnRef):
        own_names = list(item.table.columns) if item.table else []
        return query.find(node) == Column(item, own_names.index(words(pattern.fields)[-1]))
    if isinstance(pattern, ast.Node) and type(pattern) is type(node):
        names = (name for name in pattern if name != "location")
        return all(_is_same(getattr(pattern, name), getattr(node, name), item, query) for name in names)
    if isinstance(pattern, tuple) and isinstance(node, tuple) and len(pattern) == len(node):
        return all(_is_same(one, other, item, query) for one, other in zip(pattern, node, strict=True))
    return bool(pattern == node)
