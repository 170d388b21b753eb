"""SELECT, WITH and FROM, and the names in expressions: what is in scope where, as PostgreSQL sees it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from pglast import ast
from pglast.enums import JoinType, SetOperation

from service.sqlcheck.reading.schema import DatabaseSchema, Table
from service.sqlcheck.reading.scopes import Attribute, Condition, Equality, Names, Output, Relation, Scope, rename
from service.sqlcheck.reading.trees import Node, children, conjuncts, equals, is_a, output_name, words

_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A part of a statement that is not followed.

    Attributes:
        node: where it stands.
        message: what it is, and what to write instead.
    """

    node: Node
    message: str


class Cte(NamedTuple):
    """A CTE that is in scope.

    Attributes:
        scope: that of its query.
        renamed: the names that it gives its first columns.
        is_recursive: whether it is in scope for itself.
    """

    scope: Scope
    renamed: tuple[str, ...]
    is_recursive: bool = False


Ctes: TypeAlias = Mapping[str, Cte | None]
"""The CTEs in scope, by name; None for one that is written only further on."""


class SelectResolver(ABC):
    """Makes scopes of the SELECTs of one statement, and of what is in them.

    Args:
        schema: the schema that the statement is held against.

    Attributes:
        unsupported: what of the statement is not followed; it grows while the statement is read.
    """

    def __init__(self, schema: DatabaseSchema) -> None:
        self._schema = schema
        self.unsupported: list[Unsupported] = []

    @abstractmethod
    def scope(self, node: Node, outer: Names | None, ctes: Ctes) -> Scope:
        """Make the scope of a query, within what is around it.

        Args:
            node: the query.
            outer: the names around it that it may use.
            ctes: the CTEs around it.
        """

    # SELECT, with VALUES and UNION

    def _select(
        self, node: ast.SelectStmt, outer: Names | None, ctes: Ctes, itself: ast.CommonTableExpr | None = None
    ) -> Scope:
        scope, names = Scope(node, self._schema, outer), Names(outer=outer)
        ctes = self._with(node.withClause, scope, outer, ctes)
        if node.op != SetOperation.SETOP_NONE:
            for arm in (node.larg, node.rarg):
                self._arm(scope, self.scope(arm, outer, ctes))
                if itself:
                    # The arm that comes next is the recursive one, and reads what both give.
                    ctes = {**ctes, str(itself.ctename): Cte(scope, words(itself.aliascolnames), is_recursive=True)}
        elif node.valuesLists:
            scope.rows = [
                [Output(f"column{number}", names.term(value), value) for number, value in enumerate(row, 1)]
                for row in node.valuesLists
            ]
        else:
            names = self._from(scope, node.fromClause, outer, ctes)
            self._filter(scope, node.whereClause, names, frozenset(scope.relations), is_where=True)
            self._give(scope, node.targetList, names)
        # Rows of which one has more columns than another are refused by PostgreSQL.
        scope.is_complete &= len({len(row) for row in scope.rows}) == 1
        self._expressions(scope, children(node, "withClause", "fromClause", "larg", "rarg"), names, ctes)
        return scope

    def _arm(self, scope: Scope, arm: Scope) -> None:
        scope.arms.append(arm)
        scope.rows += arm.rows
        scope.scopes.append(arm)
        scope.is_complete &= arm.is_complete

    def _with(self, clause: ast.WithClause | None, scope: Scope, outer: Names | None, ctes: Ctes) -> Ctes:
        """Read CTEs, and return all that are in scope with them."""
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
            ctes = {**ctes, str(cte.ctename): Cte(inner, words(cte.aliascolnames))}
        return ctes

    # FROM

    def _from(self, scope: Scope, clause: Node, outer: Names | None, ctes: Ctes) -> Names:
        names = Names(outer=outer)
        for node in clause or ():
            names += self._range(scope, node, names, ctes)
        scope.relations += [relation for relation in names.relations if relation not in scope.relations]
        return names

    def _range(self, scope: Scope, node: Node, left: Names, ctes: Ctes) -> Names:
        """Read a relation of a FROM, or a join of some; `left` are the names to its left."""
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

    def _join(self, scope: Scope, node: ast.JoinExpr, left: Names, ctes: Ctes) -> Names:
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

    def _relation(self, scope: Scope, node: ast.RangeVar, ctes: Ctes) -> Relation:
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
        """Read the list of what a query gives out."""
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
            row += [Output(name, attribute, target) for name, attribute in columns]
        scope.rows.append(row)

    def _expressions(self, scope: Scope, nodes: Iterable[Node], names: Names, ctes: Ctes) -> None:
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
        """Note which attribute a name means. One that may be more is not followed: `t.f` is also a call of f with t."""
        fields, is_star = node.fields, is_a(node.fields[-1], ast.A_Star)
        relation = names.relation(words(fields)[0]) if len(fields) > 1 else None
        # A `*` of the query's own rows depends on nothing around it.
        if not is_star or (relation not in names.relations and len(fields) > 1):
            scope.names[id(node)] = names.attribute_of(node)
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


def _is_cte(node: ast.RangeVar, ctes: Ctes) -> bool:
    """Tell whether a name in a FROM is that of a CTE."""
    return not node.schemaname and node.relname in ctes


def _alias(node: Node) -> tuple[str | None, tuple[str, ...]]:
    """Return the alias of a relation, and the names that it gives its columns."""
    return (node.alias.aliasname, words(node.alias.colnames)) if node.alias else (None, ())
