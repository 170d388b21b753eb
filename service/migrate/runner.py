"""Apply and roll back migrations through yoyo's API: one migration at a time, one runner at a time.

Left to itself, yoyo skips a migration that it cannot read, commits a migration before it notes it as applied, and
leaves a row in its lock table when it is killed. So every migration is read before the first one runs, each is noted in
its own transaction, and an advisory lock, which ends with its session, decides who may run.
"""

import getpass
import glob
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import psycopg
from yoyo import get_backend, read_migrations
from yoyo.exceptions import BadMigration
from yoyo.migrations import read_sql_migration

from service.dsn import Dsn
from service.migrate.errors import MigrationError, explained, one_line, reason
from service.migrate.session import catalog, connect, locked, reachable

__all__ = ["MigrationError", "MigrationStatus", "OnDone", "apply", "rollback", "status"]

OnDone = Callable[[str, float], None]

_ID = re.compile(r"\d{4}\.[a-z0-9]+(-[a-z0-9]+)*")

# What yoyo logs as an error is in the MigrationError, and the rest is not for the service's log.
logging.getLogger("yoyo").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, as the folder and the database know it.

    Attributes:
        id: the file's name without `.sql`.
        applied: whether the database has it.
        applied_at: since when.
        has_file: False where the database is ahead: another release has applied it.
    """

    id: str
    applied: bool
    applied_at: datetime | None
    has_file: bool


def status(dsn: Dsn, folder: Path) -> list[MigrationStatus]:
    """Return every migration in the order in which they apply, then those that are applied but have no file.

    Only reads and takes no lock: any role that may SELECT from yoyo's table may ask, at any time.

    Raises:
        MigrationError: the folder or the database cannot be read.
    """
    ids = [migration.id for migration in _read(folder)]
    with explained(f"Cannot read {dsn}"), connect(dsn) as conn:
        conn.read_only = True
        applied = _applied(conn)
    ahead = [id_ for id_ in applied if id_ not in ids]
    return [MigrationStatus(id_, id_ in applied, applied.get(id_), id_ in ids) for id_ in ids + ahead]


def apply(dsn: Dsn, folder: Path, *, lock_timeout: float = 60, on_done: OnDone | None = None) -> list[str]:
    """Apply what is pending. Any number of runners may do so at once: each migration is applied by one of them.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        folder: where the migrations are.
        lock_timeout: for how many seconds to wait for another runner.
        on_done: called after each migration with its id and the seconds that it took.

    Returns:
        The ids of the migrations that this run applied, in order.

    Raises:
        MigrationError: nothing was done, or one migration failed: those before it stay, those after it are not tried.
    """
    migrations = _read(folder)
    with locked(dsn, lock_timeout) as conn:
        applied = _applied(conn)
        return _run(conn, dsn, "apply", [m for m in migrations if m.id not in applied], on_done)


def rollback(
    dsn: Dsn, folder: Path, *, count: int = 1, lock_timeout: float = 60, on_done: OnDone | None = None
) -> list[str]:
    """Roll back the last `count` migrations, or as many as there are. The other arguments are those of `apply`.

    Returns:
        The ids of the migrations that were rolled back, newest first.

    Raises:
        MigrationError: nothing was done, or one rollback failed: those before it stay rolled back.
    """
    migrations = _read(folder)
    with locked(dsn, lock_timeout) as conn:
        applied = _applied(conn)
        ahead = sorted(applied.keys() - {m.id for m in migrations})
        if ahead:
            raise MigrationError(f"{', '.join(ahead)} is applied but has no file here: roll back with its own release.")
        newest = [m for m in reversed(migrations) if m.id in applied][: max(count, 0)]
        for migration in newest:
            # yoyo would note it as rolled back and change nothing.
            if not Path(migration.path).with_suffix(".rollback.sql").is_file():
                raise MigrationError(f"{migration.id} has no rollback. Nothing was rolled back.")
        return _run(conn, dsn, "rollback", newest, on_done)


def _run(
    conn: psycopg.Connection,
    dsn: Dsn,
    direction: Literal["apply", "rollback"],
    migrations: list[Any],
    on_done: OnDone | None,
) -> list[str]:
    if not migrations:
        return []
    # yoyo takes a refusal to make its tables for their being there.
    if not catalog.may_create_tables(conn):
        raise MigrationError(f"Cannot migrate {dsn}: its user may not create tables in the schema.")
    _name_the_user()
    with get_backend(reachable(dsn).yoyo_url) as backend:
        backend.break_lock()  # a row is there if a run was killed; the advisory lock is the one that counts
        backend.ensure_internal_schema_updated()
        for migration in migrations:
            started = time.monotonic()
            _run_one(backend, direction, migration)
            if on_done:
                on_done(migration.id, time.monotonic() - started)
    return [migration.id for migration in migrations]


def _run_one(backend: Any, direction: Literal["apply", "rollback"], migration: Any) -> None:  # noqa: ANN401 -- yoyo has no types
    """Run one migration and note it, on a connection of its own, so that no setting outlives it.

    yoyo's `apply_one` notes it in a second transaction: a run killed in between could be neither repeated nor undone.
    """
    try:
        with backend.copy() as own, own.transaction() if migration.use_transactions else nullcontext():
            migration.process_steps(own, direction)
            catalog.reset_search_path(own.connection)
            own.log_migration(migration, direction)
            (own.mark_one if direction == "apply" else own.unmark_one)(migration, log=False)
    except psycopg.Error as error:
        if not migration.use_transactions:
            left = "It is not transactional: look for what it left, such as an invalid index"
        elif error.sqlstate is None:
            left = "The connection was lost: `status` tells whether it was kept"
        else:
            left = "It changed nothing"
        raise MigrationError(f"{migration.id}, {direction}: {reason(error)}. {left}.") from error


def _read(folder: Path) -> list[Any]:
    """Read every migration, in the order in which they apply, so that a bad one is known before the first one runs."""
    if not folder.is_dir():
        raise MigrationError(f"There is no folder {folder}.")
    found = read_migrations(glob.escape(str(folder)))
    earlier: set[str] = set()
    for migration in (*found, *found.post_apply):
        # yoyo would run Python as well, and would leave a post-apply file for another command.
        if not (_ID.fullmatch(migration.id) and migration.is_raw_sql()):
            raise MigrationError(f"{Path(migration.path).name} is not named like a migration: NNNN.verb-words.sql.")
        try:
            directives, _, _ = read_sql_migration(migration.path)
            # yoyo would also accept what this process has read from another folder.
            missing = set(directives.get("depends", "").split()) - earlier
            if missing:
                raise MigrationError(f"{migration.id} depends on {', '.join(sorted(missing))}, which is not before it.")
            migration.load()
        except (BadMigration, KeyError, OSError, ValueError) as error:
            raise MigrationError(f"{migration.id} cannot be read: {one_line(error)}.") from error
        earlier.add(migration.id)
    return list(found)


def _applied(conn: psycopg.Connection) -> dict[str, datetime]:
    """Return when each applied migration was applied, oldest first; nothing where none ever was."""
    return dict(catalog.list_applied(conn)) if catalog.has_migration_table(conn) else {}


def _name_the_user() -> None:
    """Give yoyo's log a user where the process has none, such as a container's uid without an entry in passwd."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())
