"""The database that the checks make for themselves: migrated, with rows that plans can be made on."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.migrate.errors import one_line, reason
from service.sqlcheck.faults import CheckError

_ROWS = Path(__file__).with_name("rows.sql")

# Nothing here has to survive, and nothing but VACUUM below may take statistics.
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}

Connection = psycopg.Connection[Any]


@contextmanager
def scratch_database(server: Dsn | None, migrations: Path, programs: Path | None = None) -> Iterator[Connection]:
    """Lend a connection to a database that is made for the block, as a role that may do everything there.

    Args:
        server: where to make it; without it, a PostgreSQL is started for the block.
        migrations: the folder of the migrations that it gets.
        programs: the folder of the PostgreSQL programs to start, instead of the embedded ones.

    Raises:
        CheckError: it cannot be made.
        MigrationError: a migration fails.
        EmbeddedError: there is no PostgreSQL to start.
    """
    if server is None:
        with (
            embedded.temporary(binaries=programs, options=_OPTIONS) as started,
            scratch_database(started.dsn, migrations) as connection,
        ):
            yield connection
        return
    try:
        with (
            psycopg.connect(server.direct.libpq_url, autocommit=True) as administrator,
            _migrated(administrator, server, migrations) as connection,
        ):
            fill(connection)
            yield connection
    except psycopg.OperationalError as error:
        raise CheckError(f"Cannot make a database on {server}: {one_line(error)}") from error


@contextmanager
def second_database(connection: Connection, migrations: Path) -> Iterator[Connection]:
    """Lend a connection to one more database on the server of another, as the same role; it has no rows.

    Args:
        connection: the other, on which it is made and removed.
        migrations: the folder of the migrations that it gets.

    Raises:
        MigrationError: a migration fails.
    """
    with _migrated(connection, _server_of(connection), migrations) as second:
        yield second


@contextmanager
def _migrated(administrator: Connection, server: Dsn, migrations: Path) -> Iterator[Connection]:
    name = f"task_service_check_{secrets.token_hex(4)}"
    administrator.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
    try:
        dsn = replace(server, database=name)
        runner.apply(dsn, migrations)
        # A transaction is begun where one is meant.
        with psycopg.connect(dsn.direct.libpq_url, autocommit=True) as connection:
            yield connection
    finally:
        administrator.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def _server_of(connection: Connection) -> Dsn:
    given = connection.info.get_parameters()
    user, host, port, database = (given.pop(name, None) for name in ("user", "host", "port", "dbname"))
    password, number = connection.info.password or None, int(port) if port else None
    return Dsn(database or connection.info.dbname, user, password, host, number, tuple(sorted(given.items())))


def fill(connection: Connection) -> None:
    """Add the rows, and take statistics of every one: of up to 300 times the target there is no sample.

    Raises:
        CheckError: the schema does not take them.
    """
    add_rows(connection, _ROWS)
    connection.execute("VACUUM (ANALYZE)")


def add_rows(connection: Connection, rows: Path) -> None:
    """Add the rows of a file.

    Raises:
        CheckError: the schema does not take them.
    """
    try:
        connection.execute(rows.read_bytes())
    except psycopg.Error as error:
        raise CheckError(
            f"The rows of service/sqlcheck/rows.sql do not suit the schema: {reason(error)}. Change them."
        ) from error
