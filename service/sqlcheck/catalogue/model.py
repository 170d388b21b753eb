"""The content of the catalogue, and nothing of how it looks. Everything is in the order in which it is shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParameterEntry:
    """A parameter of a query. `source` is what feeds it: `TaskKey.user_id`."""

    name: str
    type: str
    is_nullable: bool
    source: str
    about: str


@dataclass(frozen=True, slots=True)
class OutputEntry:
    """A column that a query gives. `origin` is the column that it is of a table, `tasks.title`; empty for none."""

    name: str
    type: str
    is_nullable: bool
    origin: str
    about: str


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A node of a plan.

    Attributes:
        role: what it is to the one above it, where that is no plain input: `CTE removed`, `InitPlan 1`.
        kind: what it does: `Index Scan Backward`.
        table: the table that it reads or writes; empty for none.
        alias: what the query calls the table, where that is something else; or the CTE that it reads.
        index: the index that it reads; empty for none.
        details: its conditions and keys, by what EXPLAIN calls them.
        steps: what it takes its rows from.
    """

    role: str
    kind: str
    table: str
    alias: str
    index: str
    details: Mapping[str, str]
    steps: "tuple[PlanStep, ...]"

    def walk(self) -> "Iterator[PlanStep]":
        """Yield it and every step below it."""
        yield self
        for step in self.steps:
            yield from step.walk()


@dataclass(frozen=True, slots=True)
class Grant:
    """The privileges of a role on a table: `SELECT, UPDATE (title)`. `trigger` is what needs them, if not the query."""

    table: str
    privileges: str
    trigger: str

    def __str__(self) -> str:
        """Write it as GRANT does."""
        return f"{self.privileges} ON {self.table}"


@dataclass(frozen=True, slots=True)
class Use:
    """The use that a query makes of a table: some of `VERBS`. `trigger` is what does it, if not the query itself."""

    table: str
    verbs: tuple[str, ...]
    trigger: str


VERBS = ("reads", "locks", "adds", "changes", "deletes")
"""The verbs for what can be done with the rows of a table."""


@dataclass(frozen=True, slots=True)
class QueryEntry:
    """A named query.

    Attributes:
        name: its name.
        file: the file, from the top of the checkout.
        line: the line of its name.
        rows: how many rows it gives, in words.
        about: what it is for.
        promises: what stands behind `Returns:`, `Raises:` and `Plan:`, as far as it does.
        exemption: why it is not limited to one owner; empty where it is, or need not be.
        limits: what limits it to one owner.
        sql: the statement, as its file has it.
        parameters: in the order of its name.
        outputs: the columns that it gives.
        plan: the generic plan, as the checks see it.
        grants: what a role needs to run it.
        functions: what it calls.
        uses: what it does with tables.
        callers: the routes, commands and jobs that run it.
    """

    name: str
    file: str
    line: int
    rows: str
    about: str
    promises: Mapping[str, str]
    exemption: str
    limits: tuple[str, ...]
    sql: str
    parameters: tuple[ParameterEntry, ...]
    outputs: tuple[OutputEntry, ...]
    plan: PlanStep
    grants: tuple[Grant, ...]
    functions: tuple[str, ...]
    uses: tuple[Use, ...]
    callers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnEntry:
    """A column of a table. `keys` are those that it is part of: `PK`, `UK` and `FK`."""

    name: str
    type: str
    is_nullable: bool
    default: str
    comment: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConstraintEntry:
    """A constraint that is no foreign key. `kind` is in words: `primary key`."""

    name: str
    kind: str
    definition: str
    comment: str


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key.

    Attributes:
        name: its name.
        columns: of the table that has it.
        target: the table that it refers to.
        target_columns: the columns of that table.
        on_delete: what becomes of a row when the one that it refers to is deleted: `CASCADE`.
        support: the index that finds the rows which refer to one; empty for none.
        comment: what its comment says, such as why there is no index.
        is_nullable: whether a row may refer to none.
        is_unique: whether one row at most refers to another.
    """

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str
    support: str
    comment: str
    is_nullable: bool
    is_unique: bool


@dataclass(frozen=True, slots=True)
class Need:
    """A need for an index. `name` is the query's or the foreign key's; `reasons` are in words."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An index.

    Attributes:
        name: its name.
        keys: its columns.
        is_unique: whether it is unique.
        condition: what makes it partial; empty where nothing does.
        needs: the queries and the foreign keys that need it.
        read_by: the queries whose plan reads it and which would keep their promises without it.
    """

    name: str
    keys: str
    is_unique: bool
    condition: str
    needs: tuple[Need, ...]
    read_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriggerEntry:
    """A trigger. `when` is in words; `about` is the comment of its function."""

    name: str
    when: str
    function: str
    about: str


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A table.

    Attributes:
        name: its name.
        comment: what it is for.
        owner: the column that says whose a row is; empty where rows are nobody's in particular.
        columns, constraints, foreign_keys, indexes, triggers: what it has.
        grants: what all queries together need on it.
        used_by: the queries that use it, by what they do, in the order of `VERBS`; with the trigger that does it.
    """

    name: str
    comment: str
    owner: str
    columns: tuple[ColumnEntry, ...]
    constraints: tuple[ConstraintEntry, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[IndexEntry, ...]
    triggers: tuple[TriggerEntry, ...]
    grants: str
    used_by: Mapping[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue: all that is told of the queries and of the tables of a project.

    Attributes:
        sql: the folder of the queries.
        migrations: the folder of the migrations.
        owners: the table of those who own rows.
        role: the role that runs the queries.
        version: the major version of the PostgreSQL that it was gathered from.
        queries: in the order of the files.
        tables: those that migrations make, in alphabetical order.
        others: the tables beside them, which no migration makes.
    """

    sql: str
    migrations: str
    owners: str
    role: str
    version: int
    queries: tuple[QueryEntry, ...]
    tables: tuple[TableEntry, ...]
    others: tuple[str, ...]

    @property
    def files(self) -> dict[str, list[QueryEntry]]:
        """The queries of each file."""
        found: dict[str, list[QueryEntry]] = {}
        for query in self.queries:
            found.setdefault(query.file, []).append(query)
        return found

    @property
    def callers(self) -> dict[str, list[QueryEntry]]:
        """The queries that each route, command and job runs, in alphabetical order."""
        names = sorted({caller for query in self.queries for caller in query.callers})
        return {name: [query for query in self.queries if name in query.callers] for name in names}

    @property
    def exemptions(self) -> list[QueryEntry]:
        """The queries that are not limited to one owner, and say why."""
        return [query for query in self.queries if query.exemption]

    @property
    def unused(self) -> list[QueryEntry]:
        """The queries that nothing runs."""
        return [query for query in self.queries if not query.callers]

    @property
    def functions(self) -> dict[str, list[QueryEntry]]:
        """The queries that call each function, in alphabetical order."""
        names = sorted({function for query in self.queries for function in query.functions})
        return {name: [query for query in self.queries if name in query.functions] for name in names}
