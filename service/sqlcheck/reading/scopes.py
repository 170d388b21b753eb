"""Scopes: what each name of a statement means to PostgreSQL, and what must be equal in the rows of a query.

The resolver makes a `Scope` of a statement, with those inside it: what stands in its FROM, what it gives out,
what is true of its rows, and which column each of its names means. Proofs follow the columns from there. Nothing
is said of what is not understood: a proof that asks finds less then, never more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from pglast import ast

from service.sqlcheck.reading.schema import DatabaseSchema, Table
from service.sqlcheck.reading.trees import Node, is_a, words


class Parameter(NamedTuple):
    """A parameter, by its number."""

    number: int


class Attribute(NamedTuple):
    """A column of what stands in a FROM, by its position."""

    relation: "Relation"
    position: int


Term: TypeAlias = Parameter | Attribute | None
"""What an expression is, as far as equalities follow it; None is any other."""


@dataclass(eq=False)
class Relation:
    """What is read under one name: a table, a sub-select, a CTE, a function; or the row that is written.

    Attributes:
        name: its alias, or its own name where it has none.
        columns: the names of its columns in their order, None where a name is not known.
        node: where it stands.
        table: the table of the schema that it is.
        query: the query whose rows it is.
        itself: the recursive CTE around it, of whose rows it is some.
        given: what the columns of a row that is written are given, by position, each alternative.
        is_complete: whether `columns` are all of them.
        is_optional: whether an outer join may make a row of NULLs of it.
    """

    name: str | None
    columns: tuple[str | None, ...]
    node: Node
    table: Table | None = None
    scope: "Scope | None" = None
    itself: "Scope | None" = None
    given: Mapping[int, tuple["Output", ...]] = field(default_factory=dict)
    is_complete: bool = True
    is_optional: bool = False

    @property
    def owner(self) -> Attribute | None:
        """The column of a per-user table that says whose a row is, whatever the alias calls it."""
        if not self.table or not self.table.owner:
            return None
        return Attribute(self, list(self.table.columns).index(self.table.owner))

    def column(self, name: str) -> Attribute | None:
        """Return the one column of a name."""
        return Attribute(self, self.columns.index(name)) if self.columns.count(name) == 1 else None

    def sources(self, position: int) -> list["Output"]:
        """Return every output that a column may take its value from; none where that is not known."""
        scope = self.scope or self.itself
        if scope:
            return [row[position] for row in scope.rows] if scope.is_complete else []
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
    node: Node
    binds: frozenset[Relation]


@dataclass(frozen=True, eq=False, slots=True)
class Condition:
    """A link of the AND chain of a WHERE or an ON.

    Attributes:
        node: the link.
        binds: as those of an `Equality`.
        is_where: whether it is of a WHERE, which is true of each row whatever is null-extended.
    """

    node: Node
    binds: frozenset[Relation]
    is_where: bool

    @property
    def is_sure(self) -> bool:
        """Whether it is true of each row that comes out."""
        return self.is_where or (bool(self.binds) and not any(relation.is_optional for relation in self.binds))


@dataclass(frozen=True, slots=True)
class Output:
    """A column that a query gives out, or a value that it assigns; without a node, one that stays as it is."""

    name: str | None
    term: Term
    node: Node

    @property
    def column(self) -> Attribute | None:
        """The column that it is, if it is just that."""
        return self.term if isinstance(self.term, Attribute) else None

    @property
    def value(self) -> Node:
        """Its expression; None for a part of a `*`."""
        value = self.node.val if is_a(self.node, ast.ResTarget) else self.node
        return None if is_a(value, ast.ColumnRef) and is_a(value.fields[-1], ast.A_Star) else value


@dataclass(eq=False)
class Scope:
    """One SELECT, VALUES, INSERT, UPDATE or DELETE, or a UNION, INTERSECT or EXCEPT of queries.

    Attributes:
        node: where it stands.
        schema: the schema that it is held against.
        outer: what its names mean that it has not itself.
        relations: what it reads, and the rows that an UPDATE, a DELETE or an ON CONFLICT changes.
        reads: the names of the tables that it reads, also where these are not followed; those of CTEs are none.
        conditions: its WHERE and its ONs, link by link.
        equalities: what is equal in each of its rows.
        names: what the names in its expressions mean, by the ids of their nodes; None for no column that is known.
        rows: what it gives out: one row of outputs, or one for each row of VALUES and each arm of a UNION.
        is_complete: whether `rows` hold every column.
        queries: those that it is put together from: CTEs, arms, sub-selects in FROM, what an INSERT inserts.
        subqueries: those in its expressions, each behind its link: EXISTS (…), ARRAY(…), (SELECT …).
        arms: the two sides of a UNION, INTERSECT or EXCEPT.
        source: what an INSERT inserts.
        inserted: the row that an INSERT adds.
        changed: the row that an UPDATE or an ON CONFLICT changes, or that a DELETE removes; one of `items`.
        conflict: the columns of an ON CONFLICT DO UPDATE.
        assignments: what SET assigns to the row that is changed, by position.
    """

    node: Node
    schema: DatabaseSchema
    outer: "Names | None" = None
    relations: list[Relation] = field(default_factory=list)
    reads: list[Node] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    equalities: list[Equality] = field(default_factory=list)
    names: dict[int, Attribute | None] = field(default_factory=dict)
    rows: list[list[Output]] = field(default_factory=list)
    is_complete: bool = True
    scopes: list["Scope"] = field(default_factory=list)
    subqueries: list[tuple[Node, "Scope"]] = field(default_factory=list)
    arms: list["Scope"] = field(default_factory=list)
    source: "Scope | None" = None
    inserted: Relation | None = None
    changed: Relation | None = None
    conflict: tuple[str, ...] = ()
    assignments: dict[int, Output] = field(default_factory=dict)

    @property
    def is_select(self) -> bool:
        """Whether it is a SELECT or VALUES."""
        return is_a(self.node, ast.SelectStmt)

    @property
    def target(self) -> Relation | None:
        """What it writes to."""
        return self.changed or self.inserted

    @property
    def values(self) -> Sequence[Sequence[Node]]:
        """The rows of a VALUES."""
        return getattr(self.node, "valuesLists", None) or ()

    @property
    def returned(self) -> Sequence[Node]:
        """Its list of columns, as it is written."""
        if self.is_select:
            return self.node.targetList or ()
        return self.node.returningClause.exprs if self.node.returningClause else ()

    @property
    def outputs(self) -> Sequence[Output]:
        """The columns that it gives; their names alone where one row of outputs does not say what they are."""
        row = self.rows[0] if self.rows else []
        is_known = self.is_complete and not self.values and not self.arms
        return row if is_known else [Output(output.name, None, None) for output in row]

    def __iter__(self) -> Iterator["Scope"]:
        """Yield this query and every one inside it that is no part of an expression."""
        yield self
        for scope in self.scopes:
            yield from scope

    def walk(self) -> Iterator["Scope"]:
        """Yield this query and every one inside it."""
        yield self
        for scope in (*self.scopes, *(inner for _, inner in self.subqueries)):
            yield from scope.walk()

    def find(self, name: Node) -> Attribute | None:
        """Return the column that a name in an expression of this query means."""
        return self.names.get(id(name))

    def subquery(self, link: Node) -> "Scope":
        """Return the query behind a link in an expression of this one."""
        return next(inner for one, inner in self.subqueries if one is link)

    def around(self) -> set[Relation]:
        """Return what the queries around this one have in scope for it."""
        found, names = set[Relation](), self.outer
        while names:
            found.update(names.relations)
            names = names.outer
        return found

    def named(self) -> set[Attribute | None]:
        """Return each column that is named in this query or in one inside it; None for what is not known."""
        return {column for scope in self.walk() for column in scope.names.values()}

    def relation(self, name: str | None, node: Node, *renamed: Sequence[str]) -> Relation:
        """Return what reads its rows under a name, with the names that aliases give its first columns."""
        columns = tuple(output.name for output in self.rows[0]) if self.rows else ()
        for names in renamed:
            columns = rename(columns, names)
        return Relation(name, columns, node, scope=self, is_complete=self.is_complete)

    def written(self, relation: Relation) -> dict[int, tuple[Output, ...]]:
        """Return what the columns of a row hold after its change."""
        return {
            position: (self.assignments.get(position) or Output(name, Attribute(relation, position), None),)
            for position, name in enumerate(relation.columns)
        }


@dataclass(frozen=True, slots=True)
class Names:
    """What names mean at one place: what is in scope there, and around it.

    Attributes:
        items: what a qualified name may begin with.
        columns: the columns in the order of `*`; None for one that a FULL JOIN merges.
        outer: what the names mean that are not found.
    """

    relations: tuple[Relation, ...] = ()
    columns: tuple[tuple[str | None, Attribute | None], ...] = ()
    outer: "Names | None" = None

    @classmethod
    def of(cls, relation: Relation) -> "Names":
        """Return the names of a single item."""
        return cls(
            (relation,), tuple((name, Attribute(relation, position)) for position, name in enumerate(relation.columns))
        )

    def __add__(self, other: "Names") -> "Names":
        """Return both, side by side, within what is around the first."""
        return Names(self.relations + other.relations, self.columns + other.columns, self.outer)

    def within(self, outer: "Names | None") -> "Names":
        """Return the same within something else."""
        return replace(self, outer=outer)

    def relation(self, name: str) -> Relation | None:
        """Return what a qualified name begins with."""
        found = [relation for relation in self.relations if relation.name == name]
        if found:
            return found[0] if len(found) == 1 else None
        return self.outer.relation(name) if self.outer else None

    def column(self, name: str) -> Attribute | None:
        """Return the column that a bare name means; None where there is none, or more than one."""
        if any(own == name for own, _ in self.columns):
            return self.own(name)
        if not all(relation.is_complete and None not in relation.columns for relation in self.relations):
            return None
        return self.outer.column(name) if self.outer else None

    def own(self, name: str) -> Attribute | None:
        """Return the one column of a name that is in scope here, and not only around."""
        found = [column for own, column in self.columns if own == name]
        return found[0] if len(found) == 1 else None

    def term(self, node: Node) -> Term:
        """Return what an expression is: a parameter, maybe cast to uuid, a column, or neither."""
        match node:
            case ast.ParamRef(number=int(number)):
                return Parameter(number)
            case ast.TypeCast(arg=ast.ParamRef(number=int(number)), typeName=type_name) if _is_uuid(type_name):
                return Parameter(number)
        return self.column_of(node)

    def column_of(self, node: Node) -> Attribute | None:
        """Return the column that an expression is, if it is just that."""
        match node:
            case ast.ColumnRef(fields=(ast.String(sval=str(name)),)):
                return self.column(name)
            case ast.ColumnRef(fields=(ast.String(sval=str(qualifier)), ast.String(sval=str(name)))):
                relation = self.relation(qualifier)
                return relation.column(name) if relation else None
        return None


def rename(columns: Iterable[str | None], names: Sequence[str]) -> tuple[str | None, ...]:
    """Return columns of which the first have other names, as an alias with a list gives them."""
    old = tuple(columns)
    return tuple(names[: len(old)]) + old[len(names) :]


def _is_uuid(type_name: object) -> bool:
    return (
        isinstance(type_name, ast.TypeName)
        and words(type_name.names) in {("uuid",), ("pg_catalog", "uuid")}
        and not type_name.arrayBounds
        and not type_name.setof
    )
