"""The runner of migrations, through yoyo's API: one migration at a time, one runner at a time.

Left to itself, yoyo knows a migration by its name alone, skips one that it cannot read, commits it before it notes it
as applied, and leaves a row in its lock table when it is killed. So every migration is read, and held against what has
been applied, before the first one runs; each is noted in its own transaction; and an advisory lock, which ends with
the session that does the work, decides who may run.
"""

from collections.abc import Sequence
from pathlib import Path

import psycopg

from service.dsn import Dsn
from service.migrate.errors import MigrationError, explained
from service.migrate.execution import Execution
from service.migrate.files import read_migrations
from service.migrate.progress import DEFAULT, Conduct
from service.migrate.session import catalog, connect, locked
from service.migrate.standing import Applied, Standing, State, compare, problems

__all__ = ["MigrationError", "apply", "invalid_indexes", "rollback", "status"]


def status(dsn: Dsn, folder: Path) -> list[Standing]:
    """Return how every migration stands, those included that are applied but have no file, in order of their numbers.

    Only reads and takes no lock: any role that may SELECT from yoyo's table may ask, at any time. One that may not read
    the runner's own learns nothing of what was edited.

    Raises:
        MigrationError: the folder or the database cannot be read.
    """
    migrations = read_migrations(folder)
    with explained(f"Cannot read {dsn}"), connect(dsn) as connection:
        connection.read_only = True
        return compare(migrations, _read_applied(connection))


def invalid_indexes(dsn: Dsn) -> list[str]:
    """Return the names of the indexes that are written and not used, since they are not complete. Only reads.

    Raises:
        MigrationError: the database cannot be read.
    """
    with explained(f"Cannot read {dsn}"), connect(dsn) as connection:
        return _invalid_indexes(connection)


def apply(dsn: Dsn, folder: Path, *, allow_out_of_order: bool = False, conduct: Conduct = DEFAULT) -> list[str]:
    """Apply what is pending. Any number of runners may do so at once: each migration is applied by one of them.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        folder: where the migrations are.
        allow_out_of_order: whether to apply one that comes before another that has been applied; that it did is noted.
        conduct: how long to wait for others, and whom to tell.

    Returns:
        The ids of the migrations that this run applied, in order.

    Raises:
        MigrationError: nothing was done; or one migration failed: those before it stay, those after it are not tried;
            or an index is invalid now.
    """
    migrations = read_migrations(folder)
    with locked(dsn, conduct) as backend:
        applied = _read_applied(backend.connection)
        standings = {standing.id: standing for standing in compare(migrations, applied)}
        _refuse(problems(standings.values(), allow_out_of_order=allow_out_of_order))
        pending = [migration for migration in migrations if not standings[migration.id].is_applied]
        late = {migration.id for migration in pending if standings[migration.id].state is State.OUT_OF_ORDER}
        if pending:
            execution = Execution(backend, dsn, "apply", conduct)
            execution.note(m for m in migrations if m.id in applied and applied[m.id].checksum is None)
            execution.run(pending, late)
        if invalid := _invalid_indexes(backend.connection):
            raise MigrationError(
                f"{', '.join(invalid)} is invalid: a CREATE INDEX CONCURRENTLY failed, or goes on. Every migration is"
                " applied: drop the index, or wait, and run this again."
            )
        return [migration.id for migration in pending]


def rollback(
    dsn: Dsn,
    folder: Path,
    *,
    count: int = 1,
    lose_data: bool = False,
    conduct: Conduct = DEFAULT,
) -> list[str]:
    """Roll back the last migrations.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        folder: where the migrations are.
        count: how many, or as many as there are.
        conduct: how long to wait for others, and whom to tell.
        lose_data: whether to roll back what loses data, by what its rollback says under `Loses:`.

    Returns:
        The ids of the migrations that were rolled back, newest first.

    Raises:
        MigrationError: nothing was done, or one rollback failed: those before it stay rolled back.
    """
    migrations = read_migrations(folder)
    with locked(dsn, conduct) as backend:
        applied = _read_applied(backend.connection)
        standings = compare(migrations, applied)
        _refuse(problems(standings, allow_out_of_order=True))
        if ahead := [standing.id for standing in standings if standing.state is State.AHEAD]:
            raise MigrationError(f"{', '.join(ahead)} is applied but has no file here: roll back with its own release.")
        newest = [migration for migration in reversed(migrations) if migration.id in applied][: max(count, 0)]
        for migration in newest:
            # yoyo would note it as rolled back and change nothing.
            if migration.rollback is None:
                raise MigrationError(f"{migration.id} has no rollback. Nothing was rolled back.")
        losses = [f"{m.id} loses {m.loses or 'what it does not say.'}" for m in newest if m.loses_data]
        if losses and not lose_data:
            raise MigrationError(f"{' '.join(losses)} Nothing was rolled back: to lose that, say --yes.")
        if newest:
            Execution(backend, dsn, "rollback", conduct).run(newest)
        return [migration.id for migration in newest]


def _read_applied(connection: psycopg.Connection) -> dict[str, Applied]:
    """Return what the database knows of each migration that was applied to it, by id, oldest first."""
    if catalog.get_schema(connection) is None:
        raise MigrationError("Its user may use no schema of the search_path: grant USAGE on the one with the tables.")
    if not catalog.has_migration_table(connection):
        return {}
    noted = (
        {id_: noted for id_, *noted in catalog.list_checksums(connection)}
        if catalog.may_read_checksums(connection)
        else {}
    )
    return {id_: Applied(at, *noted.get(id_, ())) for id_, at in catalog.list_applied(connection)}


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise MigrationError(f"{' '.join(problems)} Nothing was done.")


def _invalid_indexes(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in catalog.list_invalid_indexes(connection)]
