"""The description that PostgreSQL gives of a statement when it prepares it: the types of what goes in and comes out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosql
from psycopg import pq

from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import Connection

_queries = aiosql.from_path(Path(__file__).with_name("description.sql"), "psycopg", mandatory_parameters=True)

_NO_MODIFIER: Final = -1


@dataclass(frozen=True, slots=True)
class Type:
    """A type: by the name that drivers share, `int8[]`, and as PostgreSQL writes it, with its length: `bigint[]`."""

    name: str
    written: str


@dataclass(frozen=True, slots=True)
class ReturnedColumn:
    """A column of an answer. `origin` is the column of a table that it is, `tasks.title`; empty where it is made."""

    name: str
    type: Type
    origin: str


@dataclass(frozen=True, slots=True)
class Description:
    """The types of the parameters of a statement, in the order of their numbers, and the columns that it returns."""

    parameters: tuple[Type, ...]
    columns: tuple[ReturnedColumn, ...]


class RefusedError(Exception):
    """PostgreSQL does not prepare a statement; `position` is the character that it blames, from 1."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.position = position


def describe(connection: Connection, statement: Statement) -> Description:
    """Prepare a statement, and return what PostgreSQL says of it.

    Raises:
        RefusedError: PostgreSQL does not prepare it.
    """
    with rolled_back(connection):
        described = _prepare(connection.pgconn, statement)
    places = range(described.nfields)
    count = described.nparams
    rows = list(
        _queries.list_types(
            connection,
            types=[*map(described.param_type, range(count)), *map(described.ftype, places)],
            modifiers=[*[_NO_MODIFIER] * count, *map(described.fmod, places)],
            tables=[*[0] * count, *map(described.ftable, places)],
            places=[*[0] * count, *map(described.ftablecol, places)],
        )
    )
    return Description(
        parameters=tuple(Type(name, written) for name, written, *_ in rows[:count]),
        columns=tuple(
            ReturnedColumn(
                (described.fname(place) or b"").decode(), Type(name, written), f"{table}.{column}" if column else ""
            )
            for place, (name, written, table, column) in zip(places, rows[count:], strict=True)
        ),
    )


def _prepare(connection: pq.abc.PGconn, statement: Statement) -> pq.abc.PGresult:
    prepared = connection.prepare(b"", statement.sql.encode())
    if prepared.status != pq.ExecStatus.COMMAND_OK:
        position = prepared.error_field(pq.DiagnosticField.STATEMENT_POSITION)
        message = prepared.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"it does not say why"
        raise RefusedError(message.decode(), int(position) if position else None)
    return connection.describe_prepared(b"")
