"""The runner's own sessions: how it connects, and the lock that lets one runner at a time migrate a database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiosql
import psycopg

from service.dsn import Dsn
from service.migrate.errors import MigrationError, explained

_DEFAULTS = {"application_name": "task-service migrate", "connect_timeout": "10"}
_POLL_INTERVAL = 0.1

catalog = aiosql.from_path(Path(__file__).with_name("catalog.sql"), "psycopg", mandatory_parameters=True)


def reachable(dsn: Dsn) -> Dsn:
    """Bypass a pooler, add what the string leaves open, and name the database as yoyo cannot misread it."""
    # As a parameter, because yoyo does not decode %20 in a path.
    parameters = {**_DEFAULTS, **dict(dsn.parameters), "dbname": dsn.database}
    return replace(dsn.direct, parameters=tuple(parameters.items()))


@contextmanager
def connect(dsn: Dsn) -> Iterator[psycopg.Connection]:
    """Connect for the length of the block.

    Raises:
        MigrationError: the database cannot be reached.
    """
    with explained(f"Cannot connect to {dsn}"):
        conn = psycopg.connect(reachable(dsn).libpq_url)
    with conn:
        yield conn


@contextmanager
def locked(dsn: Dsn, timeout: float) -> Iterator[psycopg.Connection]:
    """Connect, and hold the lock on migrating this database until the end of the block.

    The lock is asked for again and again: a session that waits for it inside a statement would hold up the CREATE INDEX
    CONCURRENTLY of the runner that holds it, and neither would end.

    Raises:
        MigrationError: another run held the lock for `timeout` seconds, or the database failed in the block.
    """
    deadline = time.monotonic() + timeout
    with explained(f"Cannot migrate {dsn}"), connect(dsn) as conn:
        conn.autocommit = True
        catalog.forbid_idle_timeout(conn)
        while not catalog.try_lock(conn):
            if time.monotonic() >= deadline:
                pid, name = catalog.get_lock_holder(conn) or ("unknown", None)
                raise MigrationError(f"Another run holds the lock on {dsn}: process {pid} ({name or 'no name'}).")
            time.sleep(_POLL_INTERVAL)
        yield conn
