"""Reads the tree of a statement into the scopes of `service.sqlcheck.scopes`, resolving names as PostgreSQL does."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from pglast import ast
from pglast.enums import JoinType, OnConflictAction, SetOperation

from service.sqlcheck.schema import Schema, Table
from service.sqlcheck.scopes import Column, Condition, Equality, Item, Names, Output, Query, rename
from service.sqlcheck.trees import Node, children, conjuncts, equals, is_a, output_name, words

_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not followed, and what to write instead."""

    node: Node
    message: str


class UnreadableError(Exception):
    """Nothing is known here of statements of this kind; `node` is where it stands."""

    def __init__(self, node: Node) -> None:
        super().__init__(type(node).__name__)
        self.node = node


def read(tree: Node, schema: Schema) -> tuple[Query, list[Problem]]:
    """Read a SELECT, INSERT, UPDATE or DELETE.

    Returns:
        The query, and what of it is not followed: of that nothing is known.

    Raises:
        UnreadableError: it is of another kind, or such a one stands in it.
    """
    reader = _Reader(schema)
    return reader.query(tree, None, {}), reader.problems


class _Cte(NamedTuple):
    """A CTE that is in scope, with the names that it gives its first columns."""

    query: Query
    renamed: tuple[str, ...]
    is_recursive: bool = False


_Ctes: TypeAlias = Mapping[str, _Cte | None]
"""The CTEs in scope, by name; None for one that is written only further on."""


class _Reader:
    """Reads one statement."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.problems: list[Problem] = []

    def query(self, node: Node, outer: Names | None, ctes: _Ctes) -> Query:
        """Read a query, within what is around it."""
        match node:
            case ast.SelectStmt():
                return self._select(node, outer, ctes)
            case ast.InsertStmt():
                return self._insert(node, ctes)
            case ast.UpdateStmt():
                return self._change(node, node.fromClause, ctes)
            case ast.DeleteStmt():
                return self._change(node, node.usingClause, ctes)
        raise UnreadableError(node)

    # SELECT, with VALUES and UNION

    def _select(
        self, node: ast.SelectStmt, outer: Names | None, ctes: _Ctes, itself: ast.CommonTableExpr | None = None
    ) -> Query:
        query, names = Query(node, self._schema, outer), Names(outer=outer)
        ctes = self._with(node.withClause, query, outer, ctes)
        if node.op != SetOperation.SETOP_NONE:
            for arm in (node.larg, node.rarg):
                self._arm(query, self.query(arm, outer, ctes))
                if itself:
                    # The arm that comes next is the recursive one, and reads what both give.
                    ctes = {**ctes, str(itself.ctename): _Cte(query, words(itself.aliascolnames), is_recursive=True)}
        elif node.valuesLists:
            query.rows = [
                [Output(f"column{number}", names.term(value), value) for number, value in enumerate(row, 1)]
                for row in node.valuesLists
            ]
        else:
            names = self._from(query, node.fromClause, outer, ctes)
            self._filter(query, node.whereClause, names, frozenset(query.items), is_where=True)
            self._give(query, node.targetList, names)
        self._expressions(query, children(node, "withClause", "fromClause", "larg", "rarg"), names, ctes)
        return query

    def _arm(self, query: Query, arm: Query) -> None:
        query.arms.append(arm)
        query.rows += arm.rows
        query.queries.append(arm)
        query.is_complete &= arm.is_complete and len({len(row) for row in query.rows}) == 1

    def _with(self, clause: ast.WithClause | None, query: Query, outer: Names | None, ctes: _Ctes) -> _Ctes:
        """Read CTEs, and return what is in scope with them."""
        if not clause:
            return ctes
        found: Iterable[Node] = clause.ctes or ()
        if clause.recursive:
            # Here a name may be used before it is written, and hides a table of that name.
            ctes = {**ctes, **dict.fromkeys((str(cte.ctename) for cte in found), None)}
        for cte in found:
            node = cte.ctequery
            if clause.recursive and isinstance(node, ast.SelectStmt) and node.op == SetOperation.SETOP_UNION:
                inner = self._select(node, outer, ctes, itself=cte)
            else:
                inner = self.query(node, outer, ctes)
            if cte.search_clause or cte.cycle_clause:
                self._problem(cte, f"SEARCH and CYCLE of {cte.ctename} are not followed. Write the columns themselves.")
                inner.is_complete = False
            query.queries.append(inner)
            ctes = {**ctes, str(cte.ctename): _Cte(inner, words(cte.aliascolnames))}
        return ctes

    # INSERT, UPDATE and DELETE, which see nothing of what is around them

    def _insert(self, node: ast.InsertStmt, ctes: _Ctes) -> Query:
        query = Query(node, self._schema)
        ctes = self._with(node.withClause, query, None, ctes)
        target = self._target(node.relation)
        written = _assigned(target, node.cols) if node.cols else [column for _, column in Names.of(target).columns]
        given: dict[int, tuple[Output, ...]] = {}
        if node.selectStmt:
            source = query.source = self.query(node.selectStmt, None, ctes)
            query.queries.append(source)
            for position, column in enumerate(written):
                if column and source.is_complete and all(position < len(row) for row in source.rows):
                    given[column.position] = tuple(row[position] for row in source.rows)
        query.inserted = replace(target, name="excluded", given=given)
        self._expressions(query, node.cols or (), Names(), ctes)
        if node.onConflictClause:
            given = self._on_conflict(query, node.onConflictClause, target, query.inserted, ctes)
        returned = replace(target, given=given)
        self._return(query, node.returningClause, Names.of(returned), ctes)
        return query

    def _on_conflict(
        self, query: Query, clause: ast.OnConflictClause, target: Item, inserted: Item, ctes: _Ctes
    ) -> dict[int, tuple[Output, ...]]:
        """Read what becomes of a row that is there already, and return what RETURNING then gives."""
        names = Names.of(target) + Names.of(inserted)
        given = dict(inserted.given)
        if clause.action == OnConflictAction.ONCONFLICT_UPDATE:
            query.items.append(target)
            query.changed = target
            query.conflict = self._conflict_columns(clause.infer, target)
            for name in query.conflict:
                terms = target.column(name), inserted.column(name)
                query.equalities.append(Equality(*terms, clause, frozenset({target})))
            self._filter(query, clause.whereClause, names, frozenset({target}), is_where=True)
            self._assign(query, target, clause.targetList, names)
            kept = query.written(target)
            given = {position: given.get(position, (Output(None, None, None),)) + kept[position] for position in kept}
        self._expressions(query, children(clause), names, ctes)
        return given

    def _conflict_columns(self, infer: ast.InferClause | None, target: Item) -> tuple[str, ...]:
        """Return the columns of which a row that is in the way has the same values as the row that is inserted."""
        if not infer or not target.table:
            return ()
        if infer.conname:
            constraint = target.table.constraints.get(str(infer.conname))
            return constraint.columns if constraint else ()
        elements: Iterable[Node] = infer.indexElems or ()
        return tuple(str(one.name) for one in elements if one.name and not one.collation and not one.opclass)

    def _change(self, node: Node, sources: Node, ctes: _Ctes) -> Query:
        """Read an UPDATE or a DELETE."""
        query = Query(node, self._schema)
        ctes = self._with(node.withClause, query, None, ctes)
        target = returned = query.changed = self._target(node.relation)
        query.items.append(target)
        others = self._from(query, sources, None, ctes)
        names = Names.of(target) + others
        self._filter(query, node.whereClause, names, frozenset(query.items), is_where=True)
        if is_a(node, ast.UpdateStmt):
            self._assign(query, target, node.targetList, names)
            returned = replace(target, given=query.written(target))
        parts = children(node, "relation", "withClause", "fromClause", "usingClause", "returningClause")
        self._expressions(query, parts, names, ctes)
        self._return(query, node.returningClause, Names.of(returned) + others, ctes)
        return query

    def _assign(self, query: Query, item: Item, targets: Node, names: Names) -> None:
        """Read what SET assigns."""
        for target, column in zip(targets or (), _assigned(item, targets), strict=True):
            value = target.val
            match value:
                case ast.MultiAssignRef(source=ast.RowExpr(args=args), colno=int(number)) if args:
                    value = args[number - 1]
            if column:
                query.assignments[column.position] = Output(target.name, names.term(value), target)
            else:
                self._problem(target, f"An assignment to a part of {target.name} is not followed. Assign it whole.")

    def _return(self, query: Query, clause: ast.ReturningClause | None, names: Names, ctes: _Ctes) -> None:
        if clause:
            self._give(query, clause.exprs, names)
            self._expressions(query, [clause], names, ctes)

    # FROM

    def _from(self, query: Query, clause: Node, outer: Names | None, ctes: _Ctes) -> Names:
        names = Names(outer=outer)
        for node in clause or ():
            names += self._range(query, node, names, ctes)
        query.items += [item for item in names.items if item not in query.items]
        return names

    def _range(self, query: Query, node: Node, left: Names, ctes: _Ctes) -> Names:
        """Read one item of a FROM, to whose left others stand."""
        match node:
            case ast.JoinExpr():
                return self._join(query, node, left, ctes)
            case ast.RangeVar():
                item = self._relation(node, ctes)
            case ast.RangeSubselect():
                inner = self.query(node.subquery, left if node.lateral else left.outer, ctes)
                query.queries.append(inner)
                name, renamed = _alias(node)
                item = inner.item(name, node, renamed)
            case ast.RangeFunction():
                # Only the columns that its alias lists are known.
                self._expressions(query, children(node), left, ctes)
                item = Item(*_alias(node), node, is_complete=False)
            case _:
                self._problem(
                    node, f"{type(node).__name__} in a FROM is not followed. Use tables, sub-selects and CTEs."
                )
                self._expressions(query, children(node), left, ctes)
                item = Item(None, (), node, is_complete=False)
        return Names.of(item).within(left.outer)

    def _join(self, query: Query, node: ast.JoinExpr, left: Names, ctes: _Ctes) -> Names:
        one = self._range(query, node.larg, left, ctes)
        other = self._range(query, node.rarg, left + one, ctes)
        kind = JoinType(node.jointype or 0)
        names = one + other
        sides = {JoinType.JOIN_LEFT: other, JoinType.JOIN_RIGHT: one, JoinType.JOIN_FULL: names}
        optional = sides.get(kind, Names()).items
        for item in optional:
            item.is_optional = True
        binds = frozenset({JoinType.JOIN_INNER: names.items, JoinType.JOIN_FULL: ()}.get(kind, optional))
        self._filter(query, node.quals, names, binds, is_where=False)
        # Not even of what is to the left does an ON see anything but the two sides.
        self._expressions(query, [node.quals] if node.quals else (), names, ctes)
        merged: list[tuple[str | None, Column | None]] = []
        for name in words(node.usingClause):
            terms = one.own(name), other.own(name)
            query.equalities.append(Equality(*terms, node, binds))
            merged.append((name, {JoinType.JOIN_RIGHT: terms[1], JoinType.JOIN_FULL: None}.get(kind, terms[0])))
        used = dict(merged)
        names = replace(names, columns=(*merged, *(pair for pair in names.columns if pair[0] not in used)))
        if node.isNatural or node.alias or node.join_using_alias:
            self._problem(
                other.items[0].node, "NATURAL joins and joins with an alias are not followed. Write ON or USING."
            )
            unknown = Names.of(Item(_alias(node)[0], (), node, is_complete=False)).within(left.outer)
            if not node.alias:
                return names + unknown
            # An alias hides what is below it, from an outer join around it as well.
            for item in names.items:
                item.is_optional = True
            query.items += names.items
            return unknown
        return names

    def _relation(self, node: ast.RangeVar, ctes: _Ctes) -> Item:
        alias, renamed = _alias(node)
        name = alias or str(node.relname)
        if not node.schemaname and node.relname in ctes:
            cte = ctes[str(node.relname)]
            if cte:
                item = cte.query.item(name, node, cte.renamed, renamed)
                return replace(item, query=None, itself=cte.query) if cte.is_recursive else item
            self._problem(node, f"{node.relname} is used before it is written. Put that CTE first.")
            return Item(name, (), node, is_complete=False)
        table = self._table(node)
        if not table:
            return Item(name, (), node, is_complete=False)
        return Item(name, rename(table.columns, renamed), node, table)

    def _target(self, node: Node) -> Item:
        """Read what is written: a table, even where a CTE has its name."""
        return self._relation(node, {})

    def _table(self, node: ast.RangeVar) -> Table | None:
        table = (
            None
            if node.catalogname or node.schemaname not in (None, "public")
            else self._schema.tables.get(str(node.relname))
        )
        if not table:
            name = ".".join(part for part in (node.catalogname, node.schemaname, node.relname) if part)
            self._problem(
                node, f"{name} is no table of the schema, so nobody knows whose rows it shows. Read the tables."
            )
        return table

    # Expressions

    def _filter(self, query: Query, condition: Node, names: Names, binds: frozenset[Item], *, is_where: bool) -> None:
        for link in conjuncts(condition):
            query.conditions.append(Condition(link, binds, is_where))
            for one, other in equals(link):
                query.equalities.append(Equality(names.term(one), names.term(other), link, binds))

    def _give(self, query: Query, targets: Node, names: Names) -> None:
        """Read what a query gives out."""
        row: list[Output] = []
        for target in targets or ():
            match target.val:
                case ast.ColumnRef(fields=(ast.A_Star(),)):
                    columns, items = names.columns, names.items
                case ast.ColumnRef(fields=(ast.String(sval=str(qualifier)), ast.A_Star())):
                    item = names.item(qualifier)
                    columns, items = (Names.of(item).columns, (item,)) if item else ((), ())
                    query.is_complete &= item is not None
                case ast.A_Indirection(indirection=(*_, ast.A_Star())) | ast.ColumnRef(fields=(*_, ast.A_Star())):
                    columns, items = (), ()
                    query.is_complete = False
                case value:
                    row.append(Output(target.name or output_name(value), names.term(value), target))
                    continue
            query.is_complete &= all(item.is_complete for item in items)
            row += [Output(name, column, target) for name, column in columns]
        query.rows.append(row)

    def _expressions(self, query: Query, nodes: Iterable[Node], names: Names, ctes: _Ctes) -> None:
        """Read the sub-queries in expressions, and look at every name."""
        for node in nodes:
            match node:
                case ast.SubLink():
                    query.subqueries.append((node, self.query(node.subselect, names, ctes)))
                    self._expressions(query, children(node, "subselect"), names, ctes)
                case ast.SelectStmt():
                    query.queries.append(self.query(node, names, ctes))
                case ast.LockingClause():
                    pass  # It repeats aliases.
                case ast.ColumnRef():
                    self._name(query, node, names)
                case _:
                    if is_a(node, ast.RangeVar):
                        self._problem(node, "A table is not followed here. Read it in a FROM.")
                    self._expressions(query, children(node), names, ctes)

    def _name(self, query: Query, node: Node, names: Names) -> None:
        """Note what a name means; refuse one that may be more than a column: `t.f` is also a call of f with t."""
        fields, is_star = node.fields, is_a(node.fields[-1], ast.A_Star)
        item = names.item(words(fields)[0]) if len(fields) > 1 else None
        # A `*` of this query's own rows depends on nothing around it.
        if not is_star or (item not in names.items and len(fields) > 1):
            query.names[id(node)] = names.column_of(node)
        if len(fields) == 1:
            return
        qualifier, *rest = words(fields)
        if len(fields) > 2:  # noqa: PLR2004 -- alias.column
            self._problem(node, f"{'.'.join(words(fields))} is not followed. Write alias.column.")
        elif not item:
            self._problem(
                node, f"{qualifier} is not known here. Name something that stands in this FROM, or around it."
            )
        elif rest and rest[0] not in item.columns and rest[0] not in _SYSTEM_COLUMNS:
            self._problem(
                node,
                f"{qualifier}.{rest[0]} is no column that is known, and so may be a call of a function."
                " Name it with AS where it comes from.",
            )

    def _problem(self, node: Node, message: str) -> None:
        self.problems.append(Problem(node, message))


def _alias(node: Node) -> tuple[str | None, tuple[str, ...]]:
    """Return the alias of an item of FROM, and the names that it gives its columns."""
    return (node.alias.aliasname, words(node.alias.colnames)) if node.alias else (None, ())


def _assigned(item: Item, targets: Node) -> Iterator[Column | None]:
    """Yield the column of each target of an INSERT or a SET; None where it is a part of one."""
    for target in targets or ():
        yield None if target.indirection else item.column(target.name)
