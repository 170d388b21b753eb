"""The parse tree of a statement as relations: which query reads from what, and which column a name in it means.

Names are resolved as PostgreSQL does it. What cannot be resolved here (the columns of a function in FROM, OLD and NEW
in RETURNING, an alias of a whole join) is None, of which nothing can be proved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from pglast import ast
from pglast.enums import BoolExprType, JoinType, OnConflictAction, SetOperation

from service.sqlcheck.schema import Schema, Table

Node: TypeAlias = Any
"""A node of pglast, whose types say of every member that it may be None, which PostgreSQL's grammar knows better."""

Reference: TypeAlias = tuple["Item", str]
"""A column, by the item of FROM that has it."""


@dataclass(eq=False, slots=True)
class Item:
    """What stands in FROM, or is written to.

    Attributes:
        name: what columns are qualified with.
        columns: the names of its columns, in order; None where they are not known.
        table: the table that it is.
        query: the sub-select or the CTE that it is.
        is_optional: whether an outer join can make a row of NULLs of it.
        is_hidden: whether its columns count only where they are qualified, as those of `excluded` do.
    """

    name: str
    columns: tuple[str, ...] | None
    table: Table | None = None
    query: "Query | None" = None
    is_optional: bool = False
    is_hidden: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Condition:
    """A part of an AND chain, in WHERE or ON.

    Attributes:
        node: the part.
        is_sure: whether it is true of each row that comes out; the ON of an outer join is not.
        narrows: the items of which it can leave out rows.
    """

    node: Node
    is_sure: bool
    narrows: frozenset[Item]


@dataclass(frozen=True, eq=False, slots=True)
class Output:
    """A column that a query gives. `node` is its expression; None for a part of `*`, which is `reference` then."""

    name: str
    node: Node | None
    reference: Reference | None


class Query:
    """A SELECT, VALUES, INSERT, UPDATE or DELETE, be it a whole statement or a part of one.

    Attributes:
        node: it, as parsed.
        parent: the query whose columns it can name as well.
        ctes: those of its own WITH.
        items: what it reads from; what it writes to comes first.
        conditions: its WHERE and its ONs, taken apart at their ANDs.
        arms: the two sides of a UNION, INTERSECT or EXCEPT.
        source: what an INSERT inserts.
    """

    def __init__(
        self,
        node: Node,
        schema: Schema,
        parent: "Query | None" = None,
        visible: Mapping[str, "Query"] | None = None,
    ) -> None:
        if not is_a(node, ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt):
            raise UnreadableError(node)
        self.node = node
        self.parent = parent
        self.ctes: list[Query] = []
        self.items: list[Item] = []
        self.conditions: list[Condition] = []
        self.joined_by_name: list[tuple[Reference, Reference, frozenset[Item]]] = []
        self.arms: tuple[Query, ...] = ()
        self.source: Query | None = None
        self.schema = schema
        self._visible = dict(visible or {})
        self._subqueries: dict[int, Query] = {}
        self._items: dict[int, Item] = {}
        for cte in node.withClause.ctes if node.withClause else ():
            # A recursive one sees itself, of which nothing is known.
            visible_to_it = {name: one for name, one in self._visible.items() if name != cte.ctename}
            made = Query(cte.ctequery, schema, parent, visible_to_it)
            made.names = tuple(name.sval for name in cte.aliascolnames or ())
            self.ctes.append(made)
            self._visible[cte.ctename] = made
        self._read()

    names: tuple[str, ...] = ()
    """What WITH calls its columns, where it says so."""

    @property
    def is_select(self) -> bool:
        """Whether it is a SELECT or VALUES."""
        return is_a(self.node, ast.SelectStmt)

    @property
    def target(self) -> Item | None:
        """What it writes to."""
        return None if self.is_select else self.items[0]

    @property
    def rows(self) -> Sequence[Sequence[Node]]:
        """The rows of a VALUES."""
        return getattr(self.node, "valuesLists", None) or ()

    @property
    def returned(self) -> Sequence[Node]:
        """Its list of columns, as it is written."""
        if self.is_select:
            return self.node.targetList or ()
        return self.node.returningClause.exprs if self.node.returningClause else ()

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The columns that it gives."""
        if self.arms:
            found = [Output(output.name, None, None) for output in self.arms[0].outputs]
        elif self.rows:
            found = [Output(f"column{place}", None, None) for place in range(1, len(self.rows[0]) + 1)]
        else:
            found = [output for target in self.returned for output in self._outputs_of(target)]
        names = self.names + tuple(output.name for output in found[len(self.names) :])
        return tuple(Output(name, one.node, one.reference) for name, one in zip(names, found, strict=True))

    def find(self, column: Node) -> Reference | None:
        """Return the column that a name means."""
        *qualifier, name = (getattr(field, "sval", None) for field in column.fields)
        if name is None:  # It is a `*`.
            return None
        if qualifier:
            named = [item for item in self.items if item.name == qualifier[-1]]
        else:
            named = [item for item in self.items if item.columns and name in item.columns and not item.is_hidden]
            if not named and any(item.columns is None for item in self.items):
                return None
        if named:
            # Of those that USING makes one, that of the side which is always there.
            item = min(named, key=lambda item: item.is_optional)
            return (item, name) if item.columns and name in item.columns else None
        return self.parent.find(column) if self.parent else None

    def subquery(self, link: Node) -> "Query":
        """Return the query of an EXISTS (…), an ARRAY(…) or a (SELECT …) in an expression of this one."""
        if id(link) not in self._subqueries:
            self._subqueries[id(link)] = Query(link.subselect, self.schema, self, self._visible)
        return self._subqueries[id(link)]

    def item_of(self, node: Node) -> Item:
        """Return the item that a part of FROM is, if it is no join."""
        return self._items[id(node)]

    def parts(self) -> "list[Query]":
        """Return the queries that it is put together from, but for those in its expressions."""
        read = [item.query for item in self.items if item.query and item.query not in self._visible.values()]
        return [*self.ctes, *read, *self.arms, *([self.source] if self.source else [])]

    def __iter__(self) -> "Iterator[Query]":
        """Walk over it and every query in it that is no part of an expression."""
        yield self
        for part in self.parts():
            yield from part

    def _read(self) -> None:
        node = self.node
        if is_a(node, ast.SelectStmt):
            if node.op != SetOperation.SETOP_NONE:
                self.arms = tuple(Query(arm, self.schema, self.parent, self._visible) for arm in (node.larg, node.rarg))
            for item in node.fromClause or ():
                self._add(item)
        else:
            table = node.relation
            self._add(table)
            if is_a(node, ast.InsertStmt):
                if node.selectStmt:
                    self.source = Query(node.selectStmt, self.schema, self.parent, self._visible)
                if node.onConflictClause and node.onConflictClause.action == OnConflictAction.ONCONFLICT_UPDATE:
                    target = self.items[0]
                    self.items.append(Item("excluded", target.columns, target.table, is_hidden=True))
                return
            for item in (node.usingClause if is_a(node, ast.DeleteStmt) else node.fromClause) or ():
                self._add(item)
        self._add_conditions(node.whereClause, frozenset(self.items), is_sure=True)

    def _add(self, node: Node) -> list[Item]:
        """Add an item of FROM, or each of a join."""
        if is_a(node, ast.JoinExpr):
            return self._add_join(node)
        alias = node.alias
        name = alias.aliasname if alias else getattr(node, "relname", "")
        query, table = None, None
        if is_a(node, ast.RangeVar):
            query = self._visible.get(node.relname) if not node.schemaname else None
            table = self.schema.tables.get(node.relname) if not query else None
        elif is_a(node, ast.RangeSubselect):
            query = Query(node.subquery, self.schema, self if node.lateral else self.parent, self._visible)
        columns = tuple(output.name for output in query.outputs) if query else tuple(table.columns) if table else None
        if columns is not None and alias and alias.colnames:
            renamed = tuple(column.sval for column in alias.colnames)
            columns = renamed + columns[len(renamed) :]
        item = self._items[id(node)] = Item(name, columns, table, query)
        self.items.append(item)
        return [item]

    def _add_join(self, join: Node) -> list[Item]:
        left, right = self._add(join.larg), self._add(join.rarg)
        both, kind = left + right, join.jointype
        # Whose rows an outer join keeps, the other side's ON cannot leave out.
        optional = {JoinType.JOIN_LEFT: right, JoinType.JOIN_RIGHT: left, JoinType.JOIN_FULL: both}.get(kind, [])
        for item in optional:
            item.is_optional = True
        narrows = frozenset(() if kind == JoinType.JOIN_FULL else optional or both)
        is_sure = not any(item.is_optional for item in both)
        self._add_conditions(join.quals, narrows, is_sure=is_sure)
        for name in join.usingClause or ():
            sides = [next((one for one in side if name.sval in (one.columns or ())), None) for side in (left, right)]
            if sides[0] and sides[1]:
                self.joined_by_name.append(((sides[0], name.sval), (sides[1], name.sval), narrows))
        return both

    def _add_conditions(self, node: Node | None, narrows: frozenset[Item], *, is_sure: bool) -> None:
        self.conditions += [Condition(part, is_sure, narrows) for part in conjuncts(node)]

    def _outputs_of(self, target: Node) -> Iterator[Output]:
        value = target.val
        if not is_a(value, ast.ColumnRef):
            yield Output(target.name or _name_of(value), value, None)
        elif not is_a(value.fields[-1], ast.A_Star):
            yield Output(target.name or value.fields[-1].sval, value, self.find(value))
        else:
            qualifier = value.fields[-2].sval if len(value.fields) > 1 else None
            for item in self.items:
                if not item.is_hidden and qualifier in (None, item.name):
                    yield from (Output(name, None, (item, name)) for name in item.columns or ())


class UnreadableError(Exception):
    """Nothing is known here of statements of this kind; `node` is where it stands."""

    def __init__(self, node: Node) -> None:
        super().__init__(type(node).__name__)
        self.node = node


def is_a(node: Node, *kinds: type[ast.Node]) -> bool:
    """Tell whether a node is of one of these classes, without binding mypy to their types."""
    return isinstance(node, kinds)


def conjuncts(node: Node) -> Iterator[Node]:
    """Yield the parts of an expression all of which have to be true."""
    if is_a(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        for part in node.args:
            yield from conjuncts(part)
    elif node is not None:
        yield node


def never_null(reference: Reference) -> bool:
    """Tell whether a column is declared NOT NULL, seen through sub-selects and outer joins."""
    item, name = reference
    if item.is_optional or item.columns is None:
        return False
    place = item.columns.index(name)
    if item.query:
        inner = item.query.outputs[place].reference
        return inner is not None and never_null(inner)
    return item.table is not None and tuple(item.table.columns.values())[place].not_null


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes right below one."""
    for name in node:
        yield from _nodes(getattr(node, name))


def columns_in(node: Node, query: Query) -> Iterator[Reference | None]:
    """Yield each column that an expression of a query names, in its sub-queries too."""
    if is_a(node, ast.ColumnRef):
        # A `*` is of the query's own items.
        if not is_a(node.fields[-1], ast.A_Star):
            yield query.find(node)
        return
    if is_a(node, ast.SubLink):
        yield from columns_of(query.subquery(node))
        if node.testexpr:
            yield from columns_in(node.testexpr, query)
        return
    for child in children(node):
        yield from columns_in(child, query)


def columns_of(query: Query) -> Iterator[Reference | None]:
    """Yield each column that a query names, in all that it is put together from."""
    for part in query:
        for node in expressions(part):
            yield from columns_in(node, part)


def expressions(query: Query) -> Iterator[Node]:
    """Yield the expressions of a query, but for those of its parts."""
    skipped = {"withClause", "larg", "rarg", "selectStmt", "relation", "fromClause", "usingClause"}
    for name in query.node:
        if name not in skipped:
            yield from _nodes(getattr(query.node, name))
    for source in getattr(query.node, "fromClause", None) or ():
        yield from _expressions_of_source(source)


def _expressions_of_source(node: Node) -> Iterator[Node]:
    if is_a(node, ast.JoinExpr):
        yield from _expressions_of_source(node.larg)
        yield from _expressions_of_source(node.rarg)
        yield from _nodes(node.quals)
    elif not is_a(node, ast.RangeVar, ast.RangeSubselect):
        yield node


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, ast.Node):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _nodes(one)


def _name_of(node: Node) -> str:
    """Return the name that PostgreSQL gives a column which has none."""
    if is_a(node, ast.FuncCall):
        return str(node.funcname[-1].sval)
    if is_a(node, ast.TypeCast):
        inner = _name_of(node.arg)
        return str(node.typeName.names[-1].sval) if inner == "?column?" else inner
    if is_a(node, ast.ColumnRef):
        return str(node.fields[-1].sval)
    return {ast.CoalesceExpr: "coalesce", ast.CaseExpr: "case"}.get(type(node), "?column?")
