"""What PostgreSQL says of a statement: the types of its parameters and columns, as people write them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosql
from psycopg import pq

from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.trial import description
from service.sqlcheck.trial.description import RefusedError
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import Connection

_queries = aiosql.from_path(Path(__file__).with_name("describing.sql"), "psycopg", mandatory_parameters=True)

# What people write, for what the standard calls them.
_NAMES: Final = {
    "character varying": "varchar",
    "double precision": "float8",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column of an answer. `origin` is the column of a table that it is, `tasks.title`; empty where it is made."""

    name: str
    type: str
    origin: str


def type_name(name: str) -> str:
    """Return what people write for a type: `varchar(200)`, `timestamptz`."""
    for formal, usual in _NAMES.items():
        name = name.replace(formal, usual)
    return name


def describe(connection: Connection, statement: Statement) -> tuple[list[str], list[DescribedColumn]]:
    """Return the types of the parameters, in the order of their numbers, and the columns of the answer.

    Raises:
        CheckError: PostgreSQL does not prepare it.
    """
    with rolled_back(connection):
        try:
            described = description.describe(connection, statement)
        except RefusedError as error:
            raise CheckError(
                str(statement.diagnostic("catalogue", f"PostgreSQL does not prepare it: {error}."))
            ) from error
        parameters = [described.param_type(place) for place in range(described.nparams)]
        types = [type_name(name) for (name,) in _queries.list_types(connection, types=parameters)]
        return types, list(_columns(connection, described))


def _columns(connection: Connection, described: pq.abc.PGresult) -> Iterator[DescribedColumn]:
    places = range(described.nfields)
    rows = _queries.list_outputs(
        connection,
        types=[described.ftype(place) for place in places],
        modifiers=[described.fmod(place) for place in places],
        tables=[described.ftable(place) for place in places],
        places=[described.ftablecol(place) for place in places],
    )
    for place, (name, table, column) in enumerate(rows):
        origin = f"{table}.{column}" if column else ""
        yield DescribedColumn((described.fname(place) or b"").decode(), type_name(name), origin)
