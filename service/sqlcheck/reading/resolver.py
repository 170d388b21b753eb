"""The resolver: it makes scopes of the parse tree of a statement, and finds what names mean as PostgreSQL does."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from pglast import ast
from pglast.enums import JoinType, OnConflictAction, SetOperation

from service.sqlcheck.reading.schema import DatabaseSchema, Table
from service.sqlcheck.reading.scopes import Attribute, Condition, Equality, Names, Output, Relation, Scope, rename
from service.sqlcheck.reading.trees import Node, children, conjuncts, equals, is_a, output_name, words

_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Something that is not followed, and what to write instead."""

    node: Node
    message: str


class UnreadableError(Exception):
    """Nothing is known here of statements of this kind; `node` is where it stands."""

    def __init__(self, node: Node) -> None:
        super().__init__(type(node).__name__)
        self.node = node


def read(tree: Node, schema: DatabaseSchema) -> tuple[Scope, list[Unsupported]]:
    """Read a SELECT, INSERT, UPDATE or DELETE.

    Returns:
        The query, and what of it is not followed: of that nothing is known.

    Raises:
        UnreadableError: it is of another kind, or such a one stands in it.
    """
    reader = _Reader(schema)
    return reader.scope(tree, None, {}), reader.unsupported


class _Cte(NamedTuple):
    """A CTE that is in scope, with the names that it gives its first columns."""

    scope: Scope
    renamed: tuple[str, ...]
    is_recursive: bool = False


_Ctes: TypeAlias = Mapping[str, _Cte | None]
"""The CTEs in scope, by name; None for one that is written only further on."""


class _Reader:
    """Reads one statement."""

    def __init__(self, schema: DatabaseSchema) -> None:
        self._schema = schema
        self.unsupported: list[Unsupported] = []

    def scope(self, node: Node, outer: Names | None, ctes: _Ctes) -> Scope:
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
    ) -> Scope:
        scope, names = Scope(node, self._schema, outer), Names(outer=outer)
        ctes = self._with(node.withClause, scope, outer, ctes)
        if node.op != SetOperation.SETOP_NONE:
            for arm in (node.larg, node.rarg):
                self._arm(scope, self.scope(arm, outer, ctes))
                if itself:
                    # The arm that comes next is the recursive one, and reads what both give.
                    ctes = {**ctes, str(itself.ctename): _Cte(scope, words(itself.aliascolnames), is_recursive=True)}
        elif node.valuesLists:
            scope.rows = [
                [Output(f"column{number}", names.term(value), value) for number, value in enumerate(row, 1)]
                for row in node.valuesLists
            ]
        else:
            names = self._from(scope, node.fromClause, outer, ctes)
            self._filter(scope, node.whereClause, names, frozenset(scope.relations), is_where=True)
            self._give(scope, node.targetList, names)
        self._expressions(scope, children(node, "withClause", "fromClause", "larg", "rarg"), names, ctes)
        return scope

    def _arm(self, scope: Scope, arm: Scope) -> None:
        scope.arms.append(arm)
        scope.rows += arm.rows
        scope.scopes.append(arm)
        scope.is_complete &= arm.is_complete and len({len(row) for row in scope.rows}) == 1

    def _with(self, clause: ast.WithClause | None, scope: Scope, outer: Names | None, ctes: _Ctes) -> _Ctes:
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
                inner = self.scope(node, outer, ctes)
            if cte.search_clause or cte.cycle_clause:
                self._unsupported(
                    cte, f"SEARCH and CYCLE of {cte.ctename} are not followed. Write the columns themselves."
                )
                inner.is_complete = False
            scope.scopes.append(inner)
            ctes = {**ctes, str(cte.ctename): _Cte(inner, words(cte.aliascolnames))}
        return ctes

    # INSERT, UPDATE and DELETE, which see nothing of what is around them

    def _insert(self, node: ast.InsertStmt, ctes: _Ctes) -> Scope:
        scope = Scope(node, self._schema)
        ctes = self._with(node.withClause, scope, None, ctes)
        target = self._target(node.relation)
        written = _assigned(target, node.cols) if node.cols else [column for _, column in Names.of(target).columns]
        given: dict[int, tuple[Output, ...]] = {}
        if node.selectStmt:
            source = scope.source = self.scope(node.selectStmt, None, ctes)
            scope.scopes.append(source)
            for position, column in enumerate(written):
                if column and source.is_complete and all(position < len(row) for row in source.rows):
                    given[column.position] = tuple(row[position] for row in source.rows)
        scope.inserted = replace(target, name="excluded", given=given)
        self._expressions(scope, node.cols or (), Names(), ctes)
        if node.onConflictClause:
            given = self._on_conflict(scope, node.onConflictClause, target, scope.inserted, ctes)
        returned = replace(target, given=given)
        self._return(scope, node.returningClause, Names.of(returned), ctes)
        return scope

    def _on_conflict(
        self, scope: Scope, clause: ast.OnConflictClause, target: Relation, inserted: Relation, ctes: _Ctes
    ) -> dict[int, tuple[Output, ...]]:
        """Read what becomes of a row that is there already, and return what RETURNING then gives."""
        names = Names.of(target) + Names.of(inserted)
        given = dict(inserted.given)
        if clause.action == OnConflictAction.ONCONFLICT_UPDATE:
            scope.relations.append(target)
            scope.changed = target
            scope.conflict = self._conflict_columns(clause.infer, target)
            for name in scope.conflict:
                terms = target.column(name), inserted.column(name)
                scope.equalities.append(Equality(*terms, clause, frozenset({target})))
            self._filter(scope, clause.whereClause, names, frozenset({target}), is_where=True)
            self._assign(scope, target, clause.targetList, names)
            kept = scope.written(target)
            given = {position: given.get(position, (Output(None, None, None),)) + kept[position] for position in kept}
        self._expressions(scope, children(clause), names, ctes)
        return given

    def _conflict_columns(self, infer: ast.InferClause | None, target: Relation) -> tuple[str, ...]:
        """Return the columns of which a row that is in the way has the same values as the row that is inserted."""
        if not infer or not target.table:
            return ()
        if infer.conname:
            constraint = target.table.constraints.get(str(infer.conname))
            return constraint.columns if constraint else ()
        elements: Iterable[Node] = infer.indexElems or ()
        return tuple(str(one.name) for one in elements if one.name and not one.collation and not one.opclass)

    def _change(self, node: Node, sources: Node, ctes: _Ctes) -> Scope:
        """Read an UPDATE or a DELETE."""
        scope = Scope(node, self._schema)
        ctes = self._with(node.withClause, scope, None, ctes)
        target = returned = scope.changed = self._target(node.relation)
        scope.relations.append(target)
        others = self._from(scope, sources, None, ctes)
        names = Names.of(target) + others
        self._filter(scope, node.whereClause, names, frozenset(scope.relations), is_where=True)
        if is_a(node, ast.UpdateStmt):
            self._assign(scope, target, node.targetList, names)
            returned = replace(target, given=scope.written(target))
        parts = children(node, "relation", "withClause", "fromClause", "usingClause", "returningClause")
        self._expressions(scope, parts, names, ctes)
        self._return(scope, node.returningClause, Names.of(returned) + others, ctes)
        return scope

    def _assign(self, scope: Scope, relation: Relation, targets: Node, names: Names) -> None:
        """Read what SET assigns."""
        for target, column in zip(targets or (), _assigned(relation, targets), strict=True):
            value = target.val
            match value:
                case ast.MultiAssignRef(source=ast.RowExpr(args=args), colno=int(number)) if args:
                    value = args[number - 1]
            if column:
                scope.assignments[column.position] = Output(target.name, names.term(value), target)
            else:
                self._unsupported(target, f"An assignment to a part of {target.name} is not followed. Assign it whole.")

    def _return(self, scope: Scope, clause: ast.ReturningClause | None, names: Names, ctes: _Ctes) -> None:
        if clause:
            self._give(scope, clause.exprs, names)
            self._expressions(scope, [clause], names, ctes)

    # FROM

    def _from(self, scope: Scope, clause: Node, outer: Names | None, ctes: _Ctes) -> Names:
        names = Names(outer=outer)
        for node in clause or ():
            names += self._range(scope, node, names, ctes)
        scope.relations += [relation for relation in names.relations if relation not in scope.relations]
        return names

    def _range(self, scope: Scope, node: Node, left: Names, ctes: _Ctes) -> Names:
        """Read one item of a FROM, to whose left others stand."""
        match node:
            case ast.JoinExpr():
                return self._join(scope, node, left, ctes)
            case ast.RangeVar():
                relation = self._relation(scope, node, ctes)
            case ast.RangeSubselect():
                inner = self.scope(node.subquery, left if node.lateral else left.outer, ctes)
                scope.scopes.append(inner)
                name, renamed = _alias(node)
                relation = inner.relation(name, node, renamed)
            case ast.RangeFunction():
                # Only the columns that its alias lists are known.
                self._expressions(scope, children(node), left, ctes)
                relation = Relation(*_alias(node), node, is_complete=False)
            case _:
                self._unsupported(
                    node, f"{type(node).__name__} in a FROM is not followed. Use tables, sub-selects and CTEs."
                )
                self._expressions(scope, children(node), left, ctes)
                relation = Relation(None, (), node, is_complete=False)
        return Names.of(relation).within(left.outer)

    def _join(self, scope: Scope, node: ast.JoinExpr, left: Names, ctes: _Ctes) -> Names:
        one = self._range(scope, node.larg, left, ctes)
        other = self._range(scope, node.rarg, left + one, ctes)
        kind = JoinType(node.jointype or 0)
        names = one + other
        sides = {JoinType.JOIN_LEFT: other, JoinType.JOIN_RIGHT: one, JoinType.JOIN_FULL: names}
        optional = sides.get(kind, Names()).relations
        for relation in optional:
            relation.is_optional = True
        binds = frozenset({JoinType.JOIN_INNER: names.relations, JoinType.JOIN_FULL: ()}.get(kind, optional))
        self._filter(scope, node.quals, names, binds, is_where=False)
        # Not even of what is to the left does an ON see anything but the two sides.
        self._expressions(scope, [node.quals] if node.quals else (), names, ctes)
        merged: list[tuple[str | None, Attribute | None]] = []
        for name in words(node.usingClause):
            terms = one.own(name), other.own(name)
            scope.equalities.append(Equality(*terms, node, binds))
            merged.append((name, {JoinType.JOIN_RIGHT: terms[1], JoinType.JOIN_FULL: None}.get(kind, terms[0])))
        used = dict(merged)
        names = replace(names, columns=(*merged, *(pair for pair in names.columns if pair[0] not in used)))
        if node.isNatural or node.alias or node.join_using_alias:
            self._unsupported(
                other.relations[0].node, "NATURAL joins and joins with an alias are not followed. Write ON or USING."
            )
            unknown = Names.of(Relation(_alias(node)[0], (), node, is_complete=False)).within(left.outer)
            if not node.alias:
                return names + unknown
            # An alias hides what is below it, from an outer join around it as well.
            for relation in names.relations:
                relation.is_optional = True
            scope.relations += names.relations
            return unknown
        return names

    def _relation(self, scope: Scope, node: ast.RangeVar, ctes: _Ctes) -> Relation:
        """Read what a FROM names: a CTE, or else a table."""
        alias, renamed = _alias(node)
        name = alias or str(node.relname)
        if _is_cte(node, ctes):
            cte = ctes[str(node.relname)]
            if cte:
                relation = cte.scope.relation(name, node, cte.renamed, renamed)
                return replace(relation, scope=None, itself=cte.scope) if cte.is_recursive else relation
            self._unsupported(node, f"{node.relname} is used before it is written. Put that CTE first.")
            return Relation(name, (), node, is_complete=False)
        scope.reads.append(node)
        return self._target(node)

    def _target(self, node: Node) -> Relation:
        """Read what is written: a table, even where a CTE has its name."""
        (alias, renamed), table = _alias(node), self._table(node)
        name = alias or str(node.relname)
        if not table:
            return Relation(name, (), node, is_complete=False)
        return Relation(name, rename(table.columns, renamed), node, table)

    def _table(self, node: ast.RangeVar) -> Table | None:
        table = (
            None
            if node.catalogname or node.schemaname not in (None, "public")
            else self._schema.tables.get(str(node.relname))
        )
        if not table:
            name = ".".join(part for part in (node.catalogname, node.schemaname, node.relname) if part)
            self._unsupported(
                node, f"{name} is no table of the schema, so nobody knows whose rows it shows. Read the tables."
            )
        return table

    # Expressions

    def _filter(
        self, scope: Scope, condition: Node, names: Names, binds: frozenset[Relation], *, is_where: bool
    ) -> None:
        for link in conjuncts(condition):
            scope.conditions.append(Condition(link, binds, is_where))
            for one, other in equals(link):
                scope.equalities.append(Equality(names.term(one), names.term(other), link, binds))

    def _give(self, scope: Scope, targets: Node, names: Names) -> None:
        """Read what a query gives out."""
        row: list[Output] = []
        for target in targets or ():
            match target.val:
                case ast.ColumnRef(fields=(ast.A_Star(),)):
                    columns, relations = names.columns, names.relations
                case ast.ColumnRef(fields=(ast.String(sval=str(qualifier)), ast.A_Star())):
                    relation = names.relation(qualifier)
                    columns, relations = (Names.of(relation).columns, (relation,)) if relation else ((), ())
                    scope.is_complete &= relation is not None
                case ast.A_Indirection(indirection=(*_, ast.A_Star())) | ast.ColumnRef(fields=(*_, ast.A_Star())):
                    columns, relations = (), ()
                    scope.is_complete = False
                case value:
                    row.append(Output(target.name or output_name(value), names.term(value), target))
                    continue
            scope.is_complete &= all(relation.is_complete for relation in relations)
            row += [Output(name, column, target) for name, column in columns]
        scope.rows.append(row)

    def _expressions(self, scope: Scope, nodes: Iterable[Node], names: Names, ctes: _Ctes) -> None:
        """Read the sub-queries in expressions, and look at every name."""
        for node in nodes:
            match node:
                case ast.SubLink():
                    scope.subqueries.append((node, self.scope(node.subselect, names, ctes)))
                    self._expressions(scope, children(node, "subselect"), names, ctes)
                case ast.SelectStmt():
                    scope.scopes.append(self.scope(node, names, ctes))
                case ast.LockingClause():
                    pass  # It repeats aliases.
                case ast.ColumnRef():
                    self._name(scope, node, names)
                case ast.RangeVar():
                    self._unsupported(node, "A table is not followed here. Read it in a FROM.")
                    scope.reads += [] if _is_cte(node, ctes) else [node]
                case _:
                    self._expressions(scope, children(node), names, ctes)

    def _name(self, scope: Scope, node: Node, names: Names) -> None:
        """Note what a name means; refuse one that may be more than a column: `t.f` is also a call of f with t."""
        fields, is_star = node.fields, is_a(node.fields[-1], ast.A_Star)
        relation = names.relation(words(fields)[0]) if len(fields) > 1 else None
        # A `*` of this query's own rows depends on nothing around it.
        if not is_star or (relation not in names.relations and len(fields) > 1):
            scope.names[id(node)] = names.column_of(node)
        if len(fields) == 1:
            return
        qualifier, *rest = words(fields)
        if len(fields) > 2:  # noqa: PLR2004 -- alias.column
            self._unsupported(node, f"{'.'.join(words(fields))} is not followed. Write alias.column.")
        elif not relation:
            self._unsupported(
                node, f"{qualifier} is not known here. Name something that stands in this FROM, or around it."
            )
        elif rest and rest[0] not in relation.columns and rest[0] not in _SYSTEM_COLUMNS:
            self._unsupported(
                node,
                f"{qualifier}.{rest[0]} is no column that is known, and so may be a call of a function."
                " Name it with AS where it comes from.",
            )

    def _unsupported(self, node: Node, message: str) -> None:
        self.unsupported.append(Unsupported(node, message))


def _is_cte(node: ast.RangeVar, ctes: _Ctes) -> bool:
    """Tell whether a name in a FROM is that of a CTE."""
    return not node.schemaname and node.relname in ctes


def _alias(node: Node) -> tuple[str | None, tuple[str, ...]]:
    """Return the alias of an item of FROM, and the names that it gives its columns."""
    return (node.alias.aliasname, words(node.alias.colnames)) if node.alias else (None, ())


def _assigned(relation: Relation, targets: Node) -> Iterator[Attribute | None]:
    """Yield the column of each target of an INSERT or a SET; None where it is a part of one."""
    for target in targets or ():
        yield None if target.indirection else relation.column(target.name)
