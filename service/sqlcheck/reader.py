"""Reads the tree of a statement into the scopes of `service.sqlcheck.scopes`, resolving names as PostgreSQL does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, cast

from pglast import ast
from pglast.enums import JoinType, OnConflictAction, SetOperation

from service.sqlcheck.schema import Schema, Table
from service.sqlcheck.scopes import Column, Equality, Item, Names, Output, Query, equals, rename, words

_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not followed, and what to write instead."""

    node: ast.Node
    message: str


def read(tree: ast.Node, schema: Schema) -> tuple[Query, list[Problem]]:
    """Read a SELECT, INSERT, UPDATE or DELETE.

    Returns:
        The query, and what of it is not followed.

    Raises:
        TypeError: it is of another kind, or such a one stands in it.
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

    def query(self, node: object, outer: Names | None, ctes: _Ctes) -> Query:
        """Read a query, within what is around it."""
        match node:
            case ast.SelectStmt():
                return self._select(node, outer, ctes)
            case ast.InsertStmt():
                return self._insert(node, ctes)
            case ast.UpdateStmt():
                return self._update(node, ctes)
            case ast.DeleteStmt():
                return self._delete(node, ctes)
        raise TypeError(f"{type(node).__name__} is not a query")

    # SELECT, with VALUES and UNION

    def _select(
        self, node: ast.SelectStmt, outer: Names | None, ctes: _Ctes, itself: ast.CommonTableExpr | None = None
    ) -> Query:
        query, names = Query(node), Names(outer=outer)
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
            self._filter(query, node.whereClause, names, frozenset(query.items))
            self._give(query, node.targetList, names)
        self._expressions(query, _parts(node, "withClause", "fromClause", "larg", "rarg"), names, ctes)
        return query

    def _arm(self, query: Query, arm: Query) -> None:
        query.queries.append(arm)
        query.rows += arm.rows
        query.is_complete &= arm.is_complete and len({len(row) for row in query.rows}) == 1

    def _with(self, clause: ast.WithClause | None, query: Query, outer: Names | None, ctes: _Ctes) -> _Ctes:
        """Read CTEs, and return what is in scope with them."""
        if not clause:
            return ctes
        found: Any = clause.ctes or ()
        if clause.recursive:
            # Here a name may be used before it is written, and hides a table of that name.
            ctes = {**ctes, **dict.fromkeys((str(cte.ctename) for cte in found), None)}
        for cte in found:
            if cte.search_clause or cte.cycle_clause:
                self._problem(cte, f"SEARCH and CYCLE of {cte.ctename} are not followed. Write the columns themselves.")
            node = cte.ctequery
            if clause.recursive and isinstance(node, ast.SelectStmt) and node.op == SetOperation.SETOP_UNION:
                inner = self._select(node, outer, ctes, itself=cte)
            else:
                inner = self.query(node, outer, ctes)
            query.queries.append(inner)
            ctes = {**ctes, str(cte.ctename): _Cte(inner, words(cte.aliascolnames))}
        return ctes

    # INSERT, UPDATE and DELETE, which see nothing of what is around them

    def _insert(self, node: ast.InsertStmt, ctes: _Ctes) -> Query:
        query = Query(node)
        ctes = self._with(node.withClause, query, None, ctes)
        target = self._target(node.relation)
        written = _assigned(target, node.cols) if node.cols else [column for _, column in Names.of(target).columns]
        given: dict[int, tuple[Output, ...]] = {}
        if node.selectStmt:
            source = self.query(node.selectStmt, None, ctes)
            query.queries.append(source)
            for position, column in enumerate(written):
                if column and source.is_complete and all(position < len(row) for row in source.rows):
                    given[column.position] = tuple(row[position] for row in source.rows)
        query.inserted = replace(target, name="excluded", given=given)
        self._expressions(query, node.cols, Names(), ctes)
        if node.onConflictClause:
            given = self._on_conflict(query, node.onConflictClause, target, query.inserted, ctes)
        returned = replace(target, table=None, given=given)
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
            self._filter(query, clause.whereClause, names, frozenset({target}))
            self._assign(query, target, clause.targetList, names)
            kept = query.written(target)
            given = {position: given.get(position, (Output(None, None, None),)) + kept[position] for position in kept}
        self._expressions(query, _parts(clause), names, ctes)
        return given

    def _conflict_columns(self, infer: ast.InferClause | None, target: Item) -> tuple[str, ...]:
        """Return the columns of which a row that is in the way has the same values as the row that is inserted."""
        if not infer or not target.table:
            return ()
        if infer.conname:
            constraint = target.table.constraints.get(str(infer.conname))
            return constraint.columns if constraint else ()
        elements: Any = infer.indexElems or ()
        return tuple(str(one.name) for one in elements if one.name and not one.collation and not one.opclass)

    def _update(self, node: ast.UpdateStmt, ctes: _Ctes) -> Query:
        query = Query(node)
        ctes = self._with(node.withClause, query, None, ctes)
        target = query.changed = self._target(node.relation)
        query.items.append(target)
        others = self._from(query, node.fromClause, None, ctes)
        names = Names.of(target) + others
        self._filter(query, node.whereClause, names, frozenset(query.items))
        self._assign(query, target, node.targetList, names)
        parts = _parts(node, "relation", "withClause", "fromClause", "returningClause")
        self._expressions(query, parts, names, ctes)
        returned = replace(target, table=None, given=query.written(target))
        self._return(query, node.returningClause, Names.of(returned) + others, ctes)
        return query

    def _delete(self, node: ast.DeleteStmt, ctes: _Ctes) -> Query:
        query = Query(node)
        ctes = self._with(node.withClause, query, None, ctes)
        target = query.changed = self._target(node.relation)
        query.items.append(target)
        names = Names.of(target) + self._from(query, node.usingClause, None, ctes)
        self._filter(query, node.whereClause, names, frozenset(query.items))
        self._expressions(query, _parts(node, "relation", "withClause", "usingClause", "returningClause"), names, ctes)
        self._return(query, node.returningClause, names, ctes)
        return query

    def _assign(self, query: Query, item: Item, targets: Any, names: Names) -> None:  # noqa: ANN401 -- pglast's
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

    def _from(self, query: Query, clause: Any, outer: Names | None, ctes: _Ctes) -> Names:  # noqa: ANN401 -- pglast's
        names = Names(outer=outer)
        for node in clause or ():
            names += self._range(query, node, names, ctes)
        query.items += [item for item in names.items if item not in query.items]
        return names

    def _range(self, query: Query, node: Any, left: Names, ctes: _Ctes) -> Names:  # noqa: ANN401 -- any node of pglast's
        """Read one item of a FROM, to whose left others stand."""
        match node:
            case ast.JoinExpr():
                return self._join(query, node, left, ctes)
            case ast.RangeVar():
                item = self._relation(node, ctes)
            case ast.RangeSubselect():
                inner = self.query(node.subquery, left if node.lateral else left.outer, ctes)
                query.queries.append(inner)
                item = inner.item(_alias(node), inner.node, words(node.alias.colnames if node.alias else ()))
            case ast.RangeFunction():
                item = self._function(query, node, left, ctes)
            case _:
                self._problem(
                    node, f"{type(node).__name__} in a FROM is not followed. Use tables, sub-selects and CTEs."
                )
                self._expressions(query, _parts(node), left, ctes)
                item = Item(None, (), node, is_complete=False)
        return Names.of(item).within(left.outer)

    def _join(self, query: Query, node: ast.JoinExpr, left: Names, ctes: _Ctes) -> Names:
        one = self._range(query, node.larg, left, ctes)
        other = self._range(query, node.rarg, left + one, ctes)
        if node.isNatural or node.alias or node.join_using_alias:
            self._problem(
                other.items[0].node, "NATURAL joins and joins with an alias are not followed. Write ON or USING."
            )
        kind = JoinType(node.jointype or 0)
        binds = {
            JoinType.JOIN_INNER: frozenset(one.items + other.items),
            JoinType.JOIN_LEFT: frozenset(other.items),
            JoinType.JOIN_RIGHT: frozenset(one.items),
        }.get(kind, frozenset())
        names = one + other
        self._filter(query, node.quals, names, binds)
        # Not even of what is to the left does an ON see anything but the two sides.
        self._expressions(query, [node.quals], names, ctes)
        merged: list[tuple[str | None, Column | None]] = []
        for name in words(node.usingClause):
            terms = one.own(name), other.own(name)
            query.equalities.append(Equality(*terms, node, binds))
            merged.append((name, {JoinType.JOIN_RIGHT: terms[1], JoinType.JOIN_FULL: None}.get(kind, terms[0])))
        used = dict(merged)
        return replace(names, columns=(*merged, *(pair for pair in names.columns if pair[0] not in used)))

    def _relation(self, node: ast.RangeVar, ctes: _Ctes) -> Item:
        name = _alias(node) or str(node.relname)
        renamed = words(node.alias.colnames) if node.alias else ()
        if not node.schemaname and node.relname in ctes:
            cte = ctes[str(node.relname)]
            if cte:
                return replace(cte.query.item(name, node, cte.renamed, renamed), is_recursive=cte.is_recursive)
            self._problem(node, f"{node.relname} is used before it is written. Put that CTE first.")
            return Item(name, (), node, is_complete=False)
        table = self._table(node)
        if not table:
            return Item(name, (), node, is_complete=False)
        return Item(name, rename(table.columns, renamed), node, table)

    def _target(self, node: ast.RangeVar | None) -> Item:
        """Read what is written: a table, even where a CTE has its name."""
        return self._relation(cast(ast.RangeVar, node), {})  # the grammar demands one

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

    def _function(self, query: Query, node: ast.RangeFunction, left: Names, ctes: _Ctes) -> Item:
        """Read a function in a FROM. Only the columns that its alias lists are known."""
        self._expressions(query, _parts(node), left, ctes)
        return Item(_alias(node), words(node.alias.colnames if node.alias else ()), query.node, is_complete=False)

    # Expressions

    def _filter(self, query: Query, condition: ast.Node | None, names: Names, binds: frozenset[Item]) -> None:
        for node, one, other in equals(condition):
            query.equalities.append(Equality(names.term(one), names.term(other), node, binds))

    def _give(self, query: Query, targets: Any, names: Names) -> None:  # noqa: ANN401 -- pglast's list of nodes
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
                    row.append(Output(target.name or _own_name(value), names.term(value), target))
                    continue
            query.is_complete &= all(item.is_complete for item in items)
            row += [Output(name, column, target) for name, column in columns]
        query.rows.append(row)

    def _expressions(self, query: Query, value: object, names: Names, ctes: _Ctes) -> None:
        """Read the sub-queries in expressions, and look at every name."""
        match value:
            case list() | tuple():
                for part in value:
                    self._expressions(query, part, names, ctes)
            case ast.SelectStmt():
                query.queries.append(self.query(value, names, ctes))
            case ast.LockingClause():
                return  # It repeats aliases.
            case ast.ColumnRef():
                self._look_at(value, names)
            case ast.Node():
                if isinstance(value, ast.RangeVar):
                    self._problem(value, "A table is not followed here. Read it in a FROM.")
                self._expressions(query, _parts(value), names, ctes)

    def _look_at(self, node: ast.ColumnRef, names: Names) -> None:
        """Refuse a qualified name that may be more than a column: to PostgreSQL `t.f` is also a call of f with t."""
        fields: Any = node.fields
        if len(fields) == 1:
            return
        qualifier, *rest = words(fields)
        item = names.item(qualifier)
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

    def _problem(self, node: ast.Node, message: str) -> None:
        self.problems.append(Problem(node, message))


def _alias(node: ast.RangeVar | ast.RangeSubselect | ast.RangeFunction) -> str | None:
    return node.alias.aliasname if node.alias else None


def _parts(node: ast.Node, *but: str) -> list[object]:
    """Return what hangs on a node, but for what is read otherwise."""
    return [getattr(node, name) for name in node if name not in but]


def _assigned(item: Item, targets: Any) -> Iterator[Column | None]:  # noqa: ANN401 -- pglast's list of nodes
    """Yield the column of each target of an INSERT or a SET; None where it is a part of one."""
    for target in targets or ():
        yield None if target.indirection else item.column(target.name)


def _own_name(value: object) -> str | None:
    """Return the name of an output that is given none; None where PostgreSQL makes one up."""
    match value:
        case (
            ast.ColumnRef(fields=(*_, ast.String(sval=str(name))))
            | ast.FuncCall(funcname=(*_, ast.String(sval=str(name))))
        ):
            return name
    return None
