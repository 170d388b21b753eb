"""The runner's own sessions: how it connects, and the lock that lets one runner at a time migrate a database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiosql
import psycopg
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import default_migration_table

from service.dsn import Dsn
from service.migrate.errors import MigrationError, explained
from service.migrate.progress import Conduct, Progress

_DEFAULTS = {
    "application_name": "task-service migrate",
    "connect_timeout": "10",
    # A network that has gone silent is noticed within half a minute, as prepare_session has it for the other end.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
_POLL_SECONDS = 0.1
_REPORT_SECONDS = 10.0

catalog = aiosql.from_path(Path(__file__).with_name("catalog.sql"), "psycopg", mandatory_parameters=True)


def reachable(dsn: Dsn) -> Dsn:
    """Return the connection string past a pooler, with defaults for what it leaves open."""
    # The name of the database goes into a parameter, because yoyo does not decode %20 in a path.
    parameters = {**_DEFAULTS, **dict(dsn.parameters), "dbname": dsn.database}
    return replace(dsn.direct, parameters=tuple(parameters.items()))


@contextmanager
def connect(dsn: Dsn) -> Iterator[psycopg.Connection]:
    """Connect for the length of the block.

    Raises:
        MigrationError: the database cannot be reached.
    """
    with explained(f"Cannot connect to {dsn}"):
        connection = psycopg.connect(reachable(dsn).libpq_url)
    with connection:
        yield connection


@contextmanager
def locked(dsn: Dsn, conduct: Conduct) -> Iterator[Any]:
    """Lend yoyo's backend, on a session that holds the lock on migrating this database until the end of the block.

    One session both holds the lock and does the work. A run that is cut off from the database has lost both at once,
    and one whose client is dead holds the lock as long as its last statement goes on, so that nobody can meet it.

    The lock is asked for again and again: a session that waits for it inside a statement would hold up the CREATE INDEX
    CONCURRENTLY of the runner that holds it, and neither would end.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        conduct: how long to wait for another run; who that is is reported at once, and every ten seconds.

    Raises:
        MigrationError: another run held the lock for that long, or the database failed in the block.
    """
    with explained(f"Cannot connect to {dsn}"):
        backend = PostgresqlPsycopgBackend(parse_uri(reachable(dsn).yoyo_url), default_migration_table)
    with explained(f"Cannot migrate {dsn}"), backend:
        catalog.prepare_session(backend.connection, lock_timeout="10s", statement_timeout="1min")
        _lock(backend.connection, dsn, conduct)
        yield backend


def _lock(connection: psycopg.Connection, dsn: Dsn, conduct: Conduct) -> None:
    began = time.monotonic()
    reported = -_REPORT_SECONDS
    while not catalog.try_lock(connection):
        waited = time.monotonic() - began
        row = catalog.get_lock_holder(connection)
        holder = described(*row) if row else "process unknown"
        if waited >= conduct.patience:
            raise MigrationError(f"Another run holds the lock on {dsn}: {holder}. Nothing was done.")
        if waited - reported >= _REPORT_SECONDS:
            conduct.report(Progress("waiting", None, waited, f"another run holds the lock: {holder}"))
            reported = waited
        time.sleep(_POLL_SECONDS)


def described(pid: int, name: str | None, state: str | None, seconds: float | None) -> str:
    """Describe a session: its process, name and state, but not its statement, which may hold what belongs to users."""
    doing = f"{state} for {seconds:.0f} s" if state and seconds is not None else state
    return f"process {pid} ({', '.join(filter(None, (name or 'no name', doing)))})"
