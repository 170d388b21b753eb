"""Measuring the locks of migrations: each is run on a database of its own, and its locks are read before it ends."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import aiosql
import psycopg

from service.dsn import Dsn
from service.migrate import runner
from service.migrate.errors import MigrationError, explained
from service.migrate.files import Direction, Migration, read_migrations, write_checksums
from service.migrate.locks import Lock, Work, in_order, joined
from service.migrate.session import connect

_POLL_SECONDS = 0.002
# Whether a query reads the whole of a table is the planner's choice, and depends on the rows. Any other statement does
# so always, or never.
_MODES_OF_QUERIES = frozenset({"ROW SHARE", "ROW EXCLUSIVE"})

_catalog = aiosql.from_path(Path(__file__).with_name("measuring.sql"), "psycopg", mandatory_parameters=True)


class _Relation(NamedTuple):
    """A relation that can be locked, and the state of its table.

    Attributes:
        table: the name of the table that it is, or belongs to.
        file: the number of the file that holds it; None where it holds no rows.
        scans: how often this transaction has read it from one end to the other; None where it holds no rows.
    """

    table: str
    file: int | None
    scans: int | None


def measure(dsn: Dsn, folder: Path) -> dict[str, tuple[Lock, ...]]:
    """Run each migration of a folder, back, and again, and return what it locks of what is there before it, by its id.

    What is locked in a block of PL/pgSQL whose exception is caught is not found: it is free again at once.

    Args:
        dsn: an empty database, as a superuser. It has every migration afterwards, of which none is noted.
        folder: where the migrations are; they need not agree with `checksums.txt`.

    Raises:
        MigrationError: a migration cannot be read, or fails; or the database is not empty.
    """
    migrations = read_migrations(folder, check=False)
    _refuse_what_is_in_use(dsn)
    _make_tables_of_the_runner(dsn)
    measured = {}
    for migration in migrations:
        locks = _run(dsn, migration, "apply")
        if migration.rollback is not None:
            locks += _run(dsn, migration, "rollback")
            _run(dsn, migration, "apply")
        measured[migration.id] = in_order(locks)
    return measured


def _refuse_what_is_in_use(dsn: Dsn) -> None:
    """Refuse a database that has tables: to measure would lock them, and drop them."""
    with _connected(dsn) as connection, explained(f"Cannot read {dsn}"):
        tables = {relation.table for relation in _relations(connection).values()}
    if tables:
        raise MigrationError(f"{dsn} has {len(tables)} tables: what migrations lock is measured on an empty database.")


def _make_tables_of_the_runner(dsn: Dsn) -> None:
    """Have the runner apply a migration that does nothing: so its own tables are there for those that name them."""
    with TemporaryDirectory(prefix="task-service-") as name:
        folder = Path(name)
        (folder / "0001.do-nothing.sql").write_text("-- depends:\n")
        write_checksums(folder)
        runner.apply(dsn, folder)


def _run(dsn: Dsn, migration: Migration, direction: Direction) -> list[Lock]:
    run = _run_in_a_transaction if migration.is_transactional else _run_concurrently
    with explained(f"Cannot measure {migration.id}, {direction}"):
        return [
            Lock(direction, mode, table, "" if mode in _MODES_OF_QUERIES else work)
            for table, (mode, work) in run(dsn, migration.sql(direction)).items()
        ]


def _run_in_a_transaction(dsn: Dsn, text: str) -> dict[str, tuple[str, Work]]:
    """Run statements, and return what they lock until the end of their transaction, by table."""
    # A connection of its own, so that no setting outlives it.
    with _connected(dsn) as connection:
        before = _relations(connection)
        connection.execute(text.encode())
        locked = _locked(connection, connection, before)
        after = _relations(connection)
    works: dict[str, Work] = {}
    for oid in before.keys() & after.keys():
        if before[oid].file != after[oid].file:
            works[before[oid].table] = "rewrites"
        elif before[oid].scans != after[oid].scans:
            works[before[oid].table] = "scans"
    return {table: (mode, works.get(table, "")) for table, mode in locked.items()}


def _run_concurrently(dsn: Dsn, text: str) -> dict[str, tuple[str, Work]]:
    """Run a statement that cannot be in a transaction, hold it up, and return what it locks meanwhile, by table."""
    with ThreadPoolExecutor(1) as thread, _connected(dsn) as worker, _connected(dsn) as witness:
        worker.autocommit = True
        witness.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        before = _relations(witness)
        _catalog.hold_up(witness)
        running = thread.submit(worker.execute, text.encode())
        # It is done without having waited where it fails, and where there is nothing to drop.
        while not (running.done() or _catalog.is_waiting(witness, pid=worker.info.backend_pid)):
            time.sleep(_POLL_SECONDS)
        locked = _locked(witness, worker, before)
        scanned = {before[oid].table for (oid,) in _catalog.list_indexed_tables(witness, pid=worker.info.backend_pid)}
        witness.rollback()
        running.result()
    return {table: (mode, "scans" if table in scanned else "") for table, mode in locked.items()}


@contextmanager
def _connected(dsn: Dsn) -> Iterator[psycopg.Connection]:
    """Lend a connection that hangs for no longer than a minute, whoever else is there."""
    with connect(dsn) as connection:
        _catalog.limit_statements(connection)
        connection.commit()
        yield connection


def _relations(connection: psycopg.Connection) -> dict[int, _Relation]:
    return {oid: _Relation(*row) for oid, *row in _catalog.list_relations(connection)}


def _locked(
    connection: psycopg.Connection, session: psycopg.Connection, before: Mapping[int, _Relation]
) -> dict[str, str]:
    """Return the mode in which a session has locked each of the tables that were there before, by their names."""
    modes = defaultdict(set)
    for oid, mode in _catalog.list_locks(connection, pid=session.info.backend_pid):
        if oid in before:
            modes[before[oid].table].add(mode)
    return {table: joined(found) for table, found in modes.items()}
