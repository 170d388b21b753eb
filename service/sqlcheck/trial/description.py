"""The description that PostgreSQL gives of a statement when it prepares it: the types of what goes in and comes out."""

from dataclasses import dataclass

from psycopg import pq

from service.sqlcheck.reading.schema import catalog
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import Connection


@dataclass(frozen=True, slots=True)
class Description:
    """The types of the parameters of a statement, and the names and types of its columns."""

    parameters: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]


class RefusedError(Exception):
    """PostgreSQL does not prepare a statement; `position` is the character that it blames, from 1."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.position = position


def describe(connection: Connection, statement: Statement) -> pq.abc.PGresult:
    """Prepare a statement, and return what PostgreSQL says of its parameters and columns.

    Args:
        connection: in a transaction that is rolled back.
        statement: the statement.

    Raises:
        RefusedError: PostgreSQL does not prepare it.
    """
    prepared = connection.pgconn.prepare(b"", statement.sql.encode())
    if prepared.status != pq.ExecStatus.COMMAND_OK:
        position = prepared.error_field(pq.DiagnosticField.STATEMENT_POSITION)
        message = prepared.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"it does not say why"
        raise RefusedError(message.decode(), int(position) if position else None)
    return connection.pgconn.describe_prepared(b"")


def describe_types(connection: Connection, statement: Statement) -> Description:
    """Return what PostgreSQL says of a statement.

    Raises:
        RefusedError: PostgreSQL does not prepare it.
    """
    with rolled_back(connection):
        described = describe(connection, statement)
    types = connection.adapters.types

    def type_name(oid: int) -> str:
        info = types.get(oid)
        if info is None:
            return str(catalog.get_type_name(connection, oid=oid))
        return f"{info.name}[]" if oid == info.array_oid else info.name

    return Description(
        tuple(type_name(described.param_type(place)) for place in range(described.nparams)),
        tuple(
            ((described.fname(place) or b"").decode(), type_name(described.ftype(place)))
            for place in range(described.nfields)
        ),
    )
