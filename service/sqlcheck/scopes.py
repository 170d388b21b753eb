"""Scopes: what each name of a statement means to PostgreSQL, and what must be equal in the rows of a query.

`service.sqlcheck.reader` makes a `Query` of a statement, with those inside it: what stands in its FROM, what it gives
out, and the equalities that hold in each of its rows. Proofs follow the columns from there. Nothing is said of what is
not understood: a proof that asks finds less then, never more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType

from service.sqlcheck.schema import Table


class Parameter(NamedTuple):
    """A parameter, by its number."""

    number: int


class Column(NamedTuple):
    """A column of what stands in a FROM, by its position."""

    item: "Item"
    position: int


Term: TypeAlias = Parameter | Column | None
"""What an expression is, as far as equalities follow it; None is any other."""


@dataclass(eq=False)
class Item:
    """What is read under one name: a table, a sub-select, a CTE, a function; or the row that is written.

    Attributes:
        name: its alias, or its own name where it has none.
        columns: the names of its columns in their order, None where a name is not known.
        node: where it stands.
        table: the table of the schema that it is.
        query: the query whose rows it is.
        given: what the columns of a row that is written are given, by position, each alternative.
        is_complete: whether `columns` are all of them.
        is_recursive: whether it is a CTE inside itself.
    """

    name: str | None
    columns: tuple[str | None, ...]
    node: ast.Node
    table: Table | None = None
    query: "Query | None" = None
    given: Mapping[int, tuple["Output", ...]] = field(default_factory=dict)
    is_complete: bool = True
    is_recursive: bool = False

    @property
    def owner(self) -> Column | None:
        """The column of a per-user table that says whose a row is, whatever the alias calls it."""
        if not self.table or not self.table.owner:
            return None
        return Column(self, list(self.table.columns).index(self.table.owner))

    def column(self, name: str) -> Column | None:
        """Return the one column of a name."""
        return Column(self, self.columns.index(name)) if self.columns.count(name) == 1 else None

    def sources(self, position: int) -> list["Output"]:
        """Return every output that a column may take its value from; none where that is not known."""
        if self.query:
            return [row[position] for row in self.query.rows] if self.query.is_complete else []
        return list(self.given.get(position, ()))


@dataclass(frozen=True, eq=False, slots=True)
class Equality:
    """Two terms that are equal in each row of a query, wherever the items in `binds` are not null-extended.

    Attributes:
        left: one term.
        right: the other.
        node: the predicate that says so, or the join with its USING.
        binds: whose columns it says something of. The ON of an outer join says nothing of the side that is preserved.
    """

    left: Term
    right: Term
    node: ast.Node
    binds: frozenset[Item]


@dataclass(frozen=True, slots=True)
class Output:
    """A column that a query gives out, or a value that it assigns; without a node, one that stays as it is."""

    name: str | None
    term: Term
    node: ast.Node | None


@dataclass(eq=False)
class Query:
    """One SELECT, VALUES, INSERT, UPDATE or DELETE, or a UNION, INTERSECT or EXCEPT of queries.

    Attributes:
        node: where it stands.
        items: what it reads, and the rows that an UPDATE, a DELETE or an ON CONFLICT changes.
        equalities: what is equal in each of its rows.
        rows: what it gives out: one row of outputs, or one for each row of VALUES and each arm of a UNION.
        is_complete: whether `rows` hold every column.
        queries: those directly inside: CTEs, arms, sub-selects, in FROM and in expressions.
        inserted: the row that an INSERT adds.
        changed: the row that an UPDATE or an ON CONFLICT changes, or that a DELETE removes; one of `items`.
        conflict: the columns of an ON CONFLICT DO UPDATE.
        assignments: what SET assigns to the row that is changed, by position.
    """

    node: ast.Node
    items: list[Item] = field(default_factory=list)
    equalities: list[Equality] = field(default_factory=list)
    rows: list[list[Output]] = field(default_factory=list)
    is_complete: bool = True
    queries: list["Query"] = field(default_factory=list)
    inserted: Item | None = None
    changed: Item | None = None
    conflict: tuple[str, ...] = ()
    assignments: dict[int, Output] = field(default_factory=dict)

    def walk(self) -> Iterator["Query"]:
        """Yield this query and every one inside it."""
        yield self
        for query in self.queries:
            yield from query.walk()

    def item(self, name: str | None, node: ast.Node, *renamed: Sequence[str]) -> Item:
        """Return what reads its rows under a name, with the names that aliases give its first columns."""
        columns = tuple(output.name for output in self.rows[0]) if self.rows else ()
        for names in renamed:
            columns = rename(columns, names)
        return Item(name, columns, node, query=self, is_complete=self.is_complete)

    def written(self, item: Item) -> dict[int, tuple[Output, ...]]:
        """Return what the columns of a row hold after its change."""
        return {
            position: (self.assignments.get(position) or Output(name, Column(item, position), None),)
            for position, name in enumerate(item.columns)
        }


@dataclass(frozen=True, slots=True)
class Names:
    """What names mean at one place: what is in scope there, and around it.

    Attributes:
        items: what a qualified name may begin with.
        columns: the columns in the order of `*`; None for one that a FULL JOIN merges.
        outer: what the names mean that are not found.
    """

    items: tuple[Item, ...] = ()
    columns: tuple[tuple[str | None, Column | None], ...] = ()
    outer: "Names | None" = None

    @classmethod
    def of(cls, item: Item) -> "Names":
        """Return the names of a single item."""
        return cls((item,), tuple((name, Column(item, position)) for position, name in enumerate(item.columns)))

    def __add__(self, other: "Names") -> "Names":
        """Return both, side by side, within what is around the first."""
        return Names(self.items + other.items, self.columns + other.columns, self.outer)

    def within(self, outer: "Names | None") -> "Names":
        """Return the same within something else."""
        return replace(self, outer=outer)

    def item(self, name: str) -> Item | None:
        """Return what a qualified name begins with."""
        found = [item for item in self.items if item.name == name]
        if found:
            return found[0] if len(found) == 1 else None
        return self.outer.item(name) if self.outer else None

    def column(self, name: str) -> Column | None:
        """Return the column that a bare name means; None where there is none, or more than one."""
        if any(own == name for own, _ in self.columns):
            return self.own(name)
        if not all(item.is_complete and None not in item.columns for item in self.items):
            return None
        return self.outer.column(name) if self.outer else None

    def own(self, name: str) -> Column | None:
        """Return the one column of a name that is in scope here, and not only around."""
        found = [column for own, column in self.columns if own == name]
        return found[0] if len(found) == 1 else None

    def term(self, node: object) -> Term:
        """Return what an expression is: a parameter, maybe cast to uuid, a column, or neither."""
        match node:
            case ast.ParamRef(number=int(number)):
                return Parameter(number)
            case ast.TypeCast(arg=ast.ParamRef(number=int(number)), typeName=type_name) if _is_uuid(type_name):
                return Parameter(number)
            case ast.ColumnRef(fields=(ast.String(sval=str(name)),)):
                return self.column(name)
            case ast.ColumnRef(fields=(ast.String(sval=str(qualifier)), ast.String(sval=str(name)))):
                item = self.item(qualifier)
                return item.column(name) if item else None
        return None


def conjuncts(node: ast.Node | None) -> Iterator[ast.Node]:
    """Yield what must be true for a condition to be true: the links of its AND chain."""
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        for part in node.args or ():
            yield from conjuncts(part)
    elif node is not None:
        yield node


def equals(node: ast.Node | None) -> Iterator[tuple[ast.Node, Any, Any]]:
    """Yield each pair that a condition says is equal, behind the link of its AND chain that says so."""
    for part in conjuncts(node):
        if not isinstance(part, ast.A_Expr) or part.kind != A_Expr_Kind.AEXPR_OP:
            continue
        if words(part.name) not in (("=",), ("pg_catalog", "=")):
            continue
        match part.lexpr, part.rexpr:
            case ast.RowExpr(args=left), ast.RowExpr(args=right) if left and right and len(left) == len(right):
                for one, other in zip(left, right, strict=True):
                    yield part, one, other
            case left, right:
                yield part, left, right


def rename(columns: Iterable[str | None], names: Sequence[str]) -> tuple[str | None, ...]:
    """Return columns of which the first have other names, as an alias with a list gives them."""
    old = tuple(columns)
    return tuple(names[: len(old)]) + old[len(names) :]


def words(names: Iterable[Any] | None) -> tuple[str, ...]:
    """Return the words of a name that may be qualified, or of a list of names."""
    return tuple(str(name.sval) for name in names or () if isinstance(name, ast.String))


def _is_uuid(type_name: object) -> bool:
    return (
        isinstance(type_name, ast.TypeName)
        and words(type_name.names) in {("uuid",), ("pg_catalog", "uuid")}
        and not type_name.arrayBounds
        and not type_name.setof
    )
