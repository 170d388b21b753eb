"""Scopes: the meaning of each name in a statement, and what must be equal in the rows of each of its queries.

A statement is a query, and may have others in it: CTEs, sub-selects, the arms of a UNION. Each is a `Scope`: the
relations in its FROM, the conditions of its WHERE and its ONs, the columns that it gives out, and the attribute, a
column of a relation, that each of its names stands for. The resolver makes the scopes; the proofs go from one
attribute to the next. What the resolver does not follow is left out, so that a proof finds too little and never too
much.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from pglast import ast

from service.sqlcheck.reading.schema import Column, DatabaseSchema, Table
from service.sqlcheck.reading.trees import Node, is_a, is_type


class Parameter(NamedTuple):
    """A parameter, by its number."""

    number: int


class Attribute(NamedTuple):
    """A column of a relation, by its position."""

    relation: "Relation"
    position: int

    @property
    def column(self) -> Column | None:
        """The column of the schema that it is, where its relation is a table."""
        table = self.relation.table
        return list(table.columns.values())[self.position] if table else None


Term: TypeAlias = Parameter | Attribute | None
"""An expression that equalities are followed through; None is any other."""


@dataclass(eq=False)
class Relation:
    """Rows that are known under one name: of a table, a sub-select, a CTE, a function; or the row that is written.

    Attributes:
        name: its alias, or its own name where it has none.
        columns: the names of its columns in their order, None where a name is not known.
        node: where it stands.
        table: the table of the schema that it is; None for any other.
        scope: the scope of the query that gives its rows, such as a CTE.
        itself: the scope of the recursive CTE that this reads from within that CTE; None elsewhere.
        given: the values that the columns of a row that is written may be given, by position.
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
        """The attribute of a table with an owner that says whose a row is, whatever the alias calls it."""
        if not self.table or not self.table.owner:
            return None
        return Attribute(self, list(self.table.columns).index(self.table.owner))

    def attribute(self, name: str) -> Attribute | None:
        """Return the one attribute of a name."""
        return Attribute(self, self.columns.index(name)) if self.columns.count(name) == 1 else None

    def sources(self, position: int) -> list["Output"]:
        """Return every output that an attribute may take its value from; none where that is not known."""
        scope = self.scope or self.itself
        if scope:
            return [row[position] for row in scope.rows] if scope.is_complete else []
        return list(self.given.get(position, ()))


@dataclass(frozen=True, eq=False, slots=True)
class Equality:
    """Two terms that are equal in each row of a query, but where an outer join has made NULLs of what `binds` names.

    Attributes:
        left: one term.
        right: the other.
        node: the predicate that says so, or the join with its USING.
        binds: the relations that it says something of. The ON of an outer join says nothing of the side that is kept.
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
        is_where: whether it is of a WHERE, which is true of each row, whatever outer joins make of it.
    """

    node: Node
    binds: frozenset[Relation]
    is_where: bool

    @property
    def is_sure(self) -> bool:
        """True if it holds for each row that comes out."""
        return self.is_where or (bool(self.binds) and not any(relation.is_optional for relation in self.binds))


@dataclass(frozen=True, slots=True)
class Output:
    """A column that a query gives out, or a value that it assigns; without a node, one that stays as it is.

    Attributes:
        name: the name of the column; None where it is not known.
        term: the term that its expression is.
        node: where it stands.
    """

    name: str | None
    term: Term
    node: Node

    @property
    def attribute(self) -> Attribute | None:
        """The attribute that it is, if it is just that."""
        return self.term if isinstance(self.term, Attribute) else None

    @property
    def value(self) -> Node:
        """Its expression; None for a part of a `*`."""
        value = self.node.val if is_a(self.node, ast.ResTarget) else self.node
        return None if is_a(value, ast.ColumnRef) and is_a(value.fields[-1], ast.A_Star) else value


@dataclass(eq=False)
class Scope:
    """The scope of a SELECT, VALUES, INSERT, UPDATE or DELETE, or of a UNION, INTERSECT or EXCEPT of such queries.

    Attributes:
        node: the query.
        schema: the schema that it is held against.
        outer: the names around it, which it may use where it has none of its own.
        relations: those that it reads, and the row that an UPDATE, a DELETE or an ON CONFLICT changes.
        reads: the names of the tables that it reads, also where these are not followed; those of CTEs are none.
        conditions: its WHERE and its ONs, link by link.
        equalities: the terms that are equal in each of its rows.
        names: the attributes that the names in its expressions mean, by the ids of their nodes; None for none known.
        rows: the outputs that it gives: one row of them, or one for each row of VALUES and each arm of a UNION.
        is_complete: whether `rows` hold every column.
        scopes: those that it is put together from: of CTEs, arms, sub-selects in FROM, and of what an INSERT inserts.
        subqueries: those in its expressions, each behind its link: EXISTS (…), ARRAY(…), (SELECT …).
        arms: the two sides of a UNION, INTERSECT or EXCEPT.
        source: that of the rows which an INSERT inserts.
        inserted: the row that an INSERT adds.
        changed: the row that an UPDATE or an ON CONFLICT changes, or that a DELETE removes; one of `relations`.
        conflict: the columns of an ON CONFLICT DO UPDATE.
        assignments: the values that SET assigns to the row that is changed, by position.
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
        """True if it is that of a SELECT or VALUES."""
        return is_a(self.node, ast.SelectStmt)

    @property
    def target(self) -> Relation | None:
        """The row that it writes."""
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
        """The columns that it gives; their names alone where several rows of outputs say what they are."""
        row = self.rows[0] if self.rows else []
        is_known = self.is_complete and not self.values and not self.arms
        return row if is_known else [Output(output.name, None, None) for output in row]

    def __iter__(self) -> Iterator["Scope"]:
        """Yield this scope and every one inside it that is no part of an expression."""
        yield self
        for scope in self.scopes:
            yield from scope

    def walk(self) -> Iterator["Scope"]:
        """Yield this scope and every one inside it."""
        yield self
        for scope in (*self.scopes, *(inner for _, inner in self.subqueries)):
            yield from scope.walk()

    def find(self, name: Node) -> Attribute | None:
        """Return the attribute that a name in an expression of the query means."""
        return self.names.get(id(name))

    def subquery(self, link: Node) -> "Scope":
        """Return the scope of the sub-query behind a link in an expression of the query."""
        return next(inner for one, inner in self.subqueries if one is link)

    def around(self) -> set[Relation]:
        """Return the relations of the scopes around this one that its query may use."""
        found, names = set[Relation](), self.outer
        while names:
            found.update(names.relations)
            names = names.outer
        return found

    def named(self) -> set[Attribute | None]:
        """Return each attribute that is named in this scope or in one inside it; None for what is not known."""
        return {attribute for scope in self.walk() for attribute in scope.names.values()}

    def relation(self, name: str | None, node: Node, *renamed: Sequence[str]) -> Relation:
        """Return the relation of its rows under a name, with the names that aliases give its first columns."""
        columns = tuple(output.name for output in self.rows[0]) if self.rows else ()
        for names in renamed:
            columns = rename(columns, names)
        return Relation(name, columns, node, scope=self, is_complete=self.is_complete)

    def written(self, relation: Relation) -> dict[int, tuple[Output, ...]]:
        """Return the values that the columns of a row have after its change, by position."""
        return {
            position: (self.assignments.get(position) or Output(name, Attribute(relation, position), None),)
            for position, name in enumerate(relation.columns)
        }


@dataclass(frozen=True, slots=True)
class Names:
    """The names that are in scope at one place.

    Attributes:
        relations: those that a qualified name may begin with.
        columns: each column's name and attribute, in the order of `*`; None for one that a FULL JOIN merges.
        outer: the names around them, which are looked in for those that are not here.
    """

    relations: tuple[Relation, ...] = ()
    columns: tuple[tuple[str | None, Attribute | None], ...] = ()
    outer: "Names | None" = None

    @classmethod
    def of(cls, relation: Relation) -> "Names":
        """Return the names of a single relation."""
        return cls(
            (relation,), tuple((name, Attribute(relation, position)) for position, name in enumerate(relation.columns))
        )

    def __add__(self, other: "Names") -> "Names":
        """Return both, side by side, with the names around the first."""
        return Names(self.relations + other.relations, self.columns + other.columns, self.outer)

    def within(self, outer: "Names | None") -> "Names":
        """Return the same with other names around them."""
        return replace(self, outer=outer)

    def relation(self, name: str) -> Relation | None:
        """Return the relation that a qualified name begins with; None where there is none, or more than one."""
        found = [relation for relation in self.relations if relation.name == name]
        if found:
            return found[0] if len(found) == 1 else None
        return self.outer.relation(name) if self.outer else None

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute that a bare name means; None where there is none, or more than one."""
        if any(own == name for own, _ in self.columns):
            return self.own(name)
        if not all(relation.is_complete and None not in relation.columns for relation in self.relations):
            return None
        return self.outer.attribute(name) if self.outer else None

    def own(self, name: str) -> Attribute | None:
        """Return the one attribute of a bare name that is in scope here, and not only around."""
        found = [attribute for own, attribute in self.columns if own == name]
        return found[0] if len(found) == 1 else None

    def term(self, node: Node) -> Term:
        """Return the term that an expression is: a parameter, maybe cast to uuid, an attribute, or neither."""
        match node:
            case ast.ParamRef(number=int(number)):
                return Parameter(number)
            case ast.TypeCast(arg=ast.ParamRef(number=int(number)), typeName=type_name) if is_type(type_name, "uuid"):
                return Parameter(number)
        return self.attribute_of(node)

    def attribute_of(self, node: Node) -> Attribute | None:
        """Return the attribute that an expression is, if it is just that."""
        match node:
            case ast.ColumnRef(fields=(ast.String(sval=str(name)),)):
                return self.attribute(name)
            case ast.ColumnRef(fields=(ast.String(sval=str(qualifier)), ast.String(sval=str(name)))):
                relation = self.relation(qualifier)
                return relation.attribute(name) if relation else None
        return None


def rename(columns: Iterable[str | None], names: Sequence[str]) -> tuple[str | None, ...]:
    """Return columns of which the first have other names, as an alias with a list gives them."""
    old = tuple(columns)
    return tuple(names[: len(old)]) + old[len(names) :]
