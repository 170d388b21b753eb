"""The execution of migrations, one after another, through yoyo, on the session that holds the lock."""

import getpass
import glob
import logging
import os
import random
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from itertools import count
from typing import Any, Final, Literal

import psycopg
import yoyo
from yoyo.exceptions import BadMigration

from service.dsn import Dsn
from service.migrate.concurrently import IndexChange, read_index_change, resume
from service.migrate.errors import MigrationError, one_line, reason
from service.migrate.files import Direction, Migration
from service.migrate.progress import Conduct, Progress
from service.migrate.session import catalog
from service.migrate.waiting import Watch

# A statement that waits for a lock holds up all that come after it, so it gives up soon, and is tried again. One that
# works CONCURRENTLY holds up nobody, and would begin anew when it is tried again.
_TIMEOUTS: Final = {True: ("1s", "30s"), False: ("10min", "1h")}
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 8.0

# What yoyo logs as an error is in the MigrationError, and the rest is not for the service's log.
logging.getLogger("yoyo").setLevel(logging.CRITICAL)


def timeouts(migration: Migration) -> tuple[str, str]:
    """Return the `lock_timeout` and the `statement_timeout` of a migration: its own, or those of its kind."""
    lock, statement = _TIMEOUTS[migration.is_transactional]
    return migration.header.get("lock_timeout", lock), migration.header.get("statement_timeout", statement)


class Execution:
    """The migrations of one run, one after another."""

    def __init__(self, backend: Any, dsn: Dsn, direction: Direction, conduct: Conduct) -> None:  # noqa: ANN401 -- yoyo has no types
        """Prepare a run.

        Args:
            backend: yoyo's, on the session that holds the lock.
            dsn: the database.
            direction: which of the two files of a migration is run.
            conduct: how to behave towards others.

        Raises:
            MigrationError: this user may not migrate.
        """
        self._backend, self._dsn, self._direction, self._conduct = backend, dsn, direction, conduct
        self._connection: psycopg.Connection = backend.connection
        if catalog.is_read_only(self._connection):
            raise MigrationError(f"Cannot migrate {dsn}: it is read-only, as a standby is. Name the primary.")
        # yoyo takes a refusal to make its tables for their being there.
        if not catalog.may_create_tables(self._connection):
            raise MigrationError(f"Cannot migrate {dsn}: its user may not create tables in the schema.")
        _name_the_user()
        backend.init_database()
        backend.break_lock()  # a row is there if a run was killed; the advisory lock is the one that counts
        backend.ensure_internal_schema_updated()
        catalog.create_checksum_table(self._connection)

    def note(self, migrations: Iterable[Migration]) -> None:
        """Note the checksums of migrations that were applied when none were noted, as their files have them today."""
        for migration in migrations:
            catalog.note_checksum(
                self._connection, migration_id=migration.id, checksum=migration.checksum, out_of_order=False
            )

    def run(self, migrations: Sequence[Migration], out_of_order: Collection[str] = ()) -> None:
        """Run migrations in this order.

        Args:
            migrations: which ones.
            out_of_order: the ids of those to be noted as such.

        Raises:
            MigrationError: nothing was done, or one failed: those before it stay, those after it are not tried.
        """
        works = {m.id: read_index_change(m.id, m.sql(self._direction)) for m in migrations if not m.is_transactional}
        steps = _load(migrations)
        for migration in migrations:
            began = time.monotonic()
            late = migration.id in out_of_order
            self._prepare_session(migration)
            with Watch(self._dsn, self._connection.info.backend_pid, migration.id, self._conduct.report) as watch:
                if change := works.get(migration.id):
                    self._run_concurrently(migration, steps[migration.id], change, out_of_order=late)
                else:
                    self._run_in_a_transaction(migration, steps[migration.id], watch, out_of_order=late)
            done: Literal["applied", "rolled back"] = "applied" if self._direction == "apply" else "rolled back"
            self._conduct.report(Progress(done, migration.id, time.monotonic() - began))

    def _prepare_session(self, migration: Migration) -> None:
        lock_timeout, statement_timeout = timeouts(migration)
        catalog.prepare_session(self._connection, lock_timeout=lock_timeout, statement_timeout=statement_timeout)

    def _run_in_a_transaction(self, migration: Migration, steps: Any, watch: Watch, *, out_of_order: bool) -> None:  # noqa: ANN401 -- yoyo has no types
        """Run one migration, and note it, in a transaction. Where it did not get a lock, try again after a while."""
        for attempt in count(1):
            watch.blockers = ""
            try:
                with self._backend.transaction():
                    # First, since it asks the DNS for this machine's name, which nobody's lock should wait for.
                    self._backend.log_migration(steps, self._direction)
                    self._process(steps)
                    self._note(migration, steps, out_of_order=out_of_order)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
                why = f"{reason(error)}{f', held by {watch.blockers}' if watch.blockers else ''}"
                if attempt >= self._conduct.attempts:
                    tries = "once" if attempt == 1 else f"{attempt} times"
                    raise self._failure(migration, f"{why}. It was tried {tries}, and changed nothing.") from error
                # Runs that gave way to each other wait for different times, so that one of them comes first.
                pause = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311 -- no secret
                self._conduct.report(Progress("retrying", migration.id, pause, why))
                time.sleep(pause)
            except psycopg.Error as error:
                raise self._failure(migration, f"{reason(error)}. {self._kept(error)}.") from error
            else:
                return

    def _run_concurrently(self, migration: Migration, steps: Any, change: IndexChange, *, out_of_order: bool) -> None:  # noqa: ANN401 -- yoyo has no types
        """Run one migration that cannot be in a transaction: note that it begins, do it unless it is done, note it."""
        noted = {id_: (checksum, begun) for id_, checksum, _, begun in catalog.list_checksums(self._connection)}
        was_begun = noted.get(migration.id) == (migration.checksum, True)
        try:
            to_do, repaired = resume(self._connection, migration.id, change, was_begun=was_begun)
            if repaired:
                self._conduct.report(Progress("repaired", migration.id, 0, repaired))
            if to_do:
                catalog.begin_work(self._connection, migration_id=migration.id, checksum=migration.checksum)
                self._process_or_cancel(migration, steps)
            with self._backend.transaction():
                self._backend.log_migration(steps, self._direction)
                if self._direction == "apply":
                    self._backend.unmark_one(steps, log=False)  # it is marked already where its rollback was cut off
                self._note(migration, steps, out_of_order=out_of_order)
        except psycopg.Error as error:
            raise self._failure(
                migration,
                f"{reason(error)}. It is not transactional: it may have left an invalid index"
                f" {change.index_name}, which the next run drops.",
            ) from error

    def _kept(self, error: psycopg.Error) -> str:
        """Say what was kept of a migration that failed in its transaction."""
        if self._connection.broken:
            return "The connection was lost: `status` tells whether it was kept"
        if isinstance(error, psycopg.errors.NoActiveSqlTransaction):
            return "It ended its own transaction, and what came before that was kept: take it back by hand"
        return "It changed nothing"

    def _process_or_cancel(self, migration: Migration, steps: Any) -> None:  # noqa: ANN401 -- yoyo has no types
        try:
            self._process(steps)
        except psycopg.Error:
            # Only where the statement failed: where noting it fails, the work has been done and stays begun.
            with suppress(psycopg.Error):
                catalog.cancel_work(self._connection, migration_id=migration.id)
            raise

    def _process(self, steps: Any) -> None:  # noqa: ANN401 -- yoyo has no types
        # yoyo prints the rows of a SELECT.
        with redirect_stdout(sys.stderr):
            steps.process_steps(self._backend, self._direction)

    def _note(self, migration: Migration, steps: Any, *, out_of_order: bool) -> None:  # noqa: ANN401 -- yoyo has no types
        """Note that a migration has run. yoyo's `apply_one` would do so in a transaction of its own."""
        catalog.reset_role(self._connection)
        catalog.reset_settings(self._connection)
        self._prepare_session(migration)  # whoever holds up the note does so while the migration's locks are held
        if self._direction == "apply":
            self._backend.mark_one(steps, log=False)
            catalog.note_checksum(
                self._connection, migration_id=migration.id, checksum=migration.checksum, out_of_order=out_of_order
            )
        else:
            self._backend.unmark_one(steps, log=False)
            catalog.forget_checksum(self._connection, migration_id=migration.id)

    def _failure(self, migration: Migration, what: str) -> MigrationError:
        return MigrationError(f"{migration.id}, {self._direction}: {what}")


def _load(migrations: Sequence[Migration]) -> dict[str, Any]:
    """Have yoyo read the migrations, so that one that it cannot read is known before the first one runs."""
    if not migrations:
        return {}
    found = {steps.id: steps for steps in yoyo.read_migrations(glob.escape(str(migrations[0].path.parent)))}
    for migration in migrations:
        try:
            found[migration.id].load()
        except (BadMigration, KeyError, OSError, ValueError) as error:
            raise MigrationError(f"{migration.id} cannot be read: {one_line(error)}.") from error
    return found


def _name_the_user() -> None:
    """Give yoyo's log a user where the process has none, such as a container's uid without an entry in passwd."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())
