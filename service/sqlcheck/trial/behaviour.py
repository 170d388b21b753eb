"""Behaviour: what a statement does on a schema, and whether it still does that on another.

A statement that has been released is held against its own schema and not against today's marshmallow schemas, which
have gone on: what PostgreSQL said of it there is what its code has proved to suit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.sql import SQL, Identifier

from service.migrate.errors import reason
from service.schemas.types import kind_of
from service.sqlcheck.proofs.cardinality import at_most_one
from service.sqlcheck.proofs.constraints import breakable
from service.sqlcheck.proofs.nullability import Prover
from service.sqlcheck.proofs.writes import writes
from service.sqlcheck.reading.resolver import UnreadableError, read
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.trial.description import RefusedError, describe
from service.sqlcheck.trial.execution import ExampleError, rolled_back, run
from service.sqlcheck.trial.scratch import Connection

# From what to what a parameter may not go: its code may send more than there is room for.
_NARROWINGS = {("int8", "int4"), ("int8", "int2"), ("int4", "int2"), ("float8", "float4")}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The behaviour of a statement on a schema.

    Attributes:
        role: the role that runs it where the service runs.
        refusal: why PostgreSQL does not prepare it; None where it does. Of the rest nothing is known then.
        failure: why it fails when that role runs it with its examples; None where it does not.
        owner_failure: why it fails when the owner of everything does.
        parameters: the type of each parameter, by its name.
        columns: the type of each column that it returns, by its name.
        nullable: those columns that may be NULL.
        is_single: whether a second row is ruled out.
        rooms: how many characters each column that it writes has room for, by `table.column`; None where any.
        constraints: those that it can break, and their tables.
    """

    role: str
    refusal: str | None = None
    failure: str | None = None
    owner_failure: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    nullable: frozenset[str] = frozenset()
    is_single: bool = False
    rooms: Mapping[str, int | None] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """True if it runs, be it only as the owner of everything."""
        return self.refusal is None and self.owner_failure is None


def observe(connection: Connection, statement: Statement, schema: DatabaseSchema, app: str) -> Behaviour:
    """Return how a statement behaves in a database; nothing that it does stays.

    Args:
        connection: to the database, as a role that may do everything.
        statement: the statement.
        schema: the schema of the database.
        app: the role that runs the statement where the service runs.
    """
    try:
        described = describe(connection, statement)
    except RefusedError as error:
        return Behaviour(app, refusal=str(error))
    failure = _failure(connection, statement, role=app)
    owner_failure = _failure(connection, statement, role=None) if failure else None
    types = [type_.name for type_ in described.parameters]
    parameters = dict(zip(statement.parameters, types, strict=True))
    columns = {column.name: column.type.name for column in described.columns}
    seen = Behaviour(app, None, failure, owner_failure, parameters, columns)
    try:
        scope, _ = read(statement.tree, schema)
    except UnreadableError:  # of which the contracts tell
        return seen
    written = [write for part in scope for write in writes(part)]
    return replace(
        seen,
        nullable=_nullable(scope, [column.name for column in described.columns]),
        is_single=at_most_one(scope),
        rooms={f"{write.table.name}.{write.column.name}": write.column.room for write in written},
        constraints=breakable(scope, schema),
    )


def regressions(before: Behaviour, after: Behaviour) -> Iterator[str]:
    """Yield each thing that a statement could do and cannot do any more.

    Args:
        before: how it behaves on its own schema.
        after: how it behaves on another.
    """
    if before.refusal is not None:
        return
    if after.refusal is not None:
        yield f"PostgreSQL does not prepare it: {after.refusal}"
        return
    if before.failure is None and after.failure is not None:
        yield f"it fails as {after.role}: {after.failure}"
    elif before.owner_failure is None and after.owner_failure is not None:
        yield f"it fails: {after.owner_failure}"
    yield from _changed_types(before, after)
    for column, room in before.rooms.items():
        now = after.rooms.get(column)
        if now is not None and (room is None or now < room):
            yield f"{column} has room for {now} characters, and not for {room or 'any number of them'}"


def _changed_types(before: Behaviour, after: Behaviour) -> Iterator[str]:
    for name, was in before.parameters.items():
        now = after.parameters[name]
        if kind_of(now) != kind_of(was) or (was, now) in _NARROWINGS:
            yield f"it takes :{name} as {now}, and not as {was}"
    for name, was in before.columns.items():
        changed = after.columns.get(name)
        if changed is None or kind_of(changed) != kind_of(was):
            yield f"it returns {name} as {changed}, and not as {was}" if changed else f"it does not return {name}"


def risks(before: Behaviour, after: Behaviour) -> Iterator[str]:
    """Yield each change that the code of a statement may not expect, which its text alone cannot tell."""
    if before.refusal is not None or after.refusal is not None:
        return
    for name, table in sorted(after.constraints.items()):
        if name not in before.constraints:
            yield f"can break {name} of {table}"
    for name in sorted(after.nullable - before.nullable):
        yield f"may return NULL in {name}"
    if before.is_single and not after.is_single:
        yield "may return a second row"


def _nullable(scope: Scope, columns: list[str]) -> frozenset[str]:
    prover, count = Prover(()), len(columns)
    return frozenset(name for place, name in enumerate(columns) if not prover.described_column(scope, place, count))


def _failure(connection: Connection, statement: Statement, *, role: str | None) -> str | None:
    try:
        with rolled_back(connection):
            if role:
                connection.execute(SQL("SET LOCAL ROLE {}").format(Identifier(role)))
            run(connection, statement)
    except psycopg.Error as error:
        return reason(error)
    except ExampleError as error:
        return str(error)
    return None
