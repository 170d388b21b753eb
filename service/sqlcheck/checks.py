"""The checks, and how they are run: on a database that is made for them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias

from service.dsn import Dsn
from service.history.files import MigrationError
from service.sqlcheck import compatibility, contracts, grants, indexes, isolation, plans, style
from service.sqlcheck.faults import Fault, Note, NothingToCheckError
from service.sqlcheck.lint.migrations import check as check_migrations
from service.sqlcheck.schema import Schema, read_schema
from service.sqlcheck.scratch import Connection, scratch_database
from service.sqlcheck.statements import Statement, read_statements


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked.

    Attributes:
        statements: every statement.
        schema: the schema of the database.
        connection: to that database, as `scratch_database` makes it of the migrations.
        migrations: their folder.
        against: the revision with which these have to get along; None for the last release.
    """

    statements: Sequence[Statement]
    schema: Schema
    connection: Connection
    migrations: Path
    against: str | None


Check: TypeAlias = Callable[[Subject], Iterable[Fault | Note]]

CHECKS: Final[dict[str, Check]] = {
    "style": lambda on: style.check(on.statements, on.schema),
    "contracts": lambda on: contracts.check(on.statements, on.schema, on.connection),
    "isolation": lambda on: isolation.check(on.statements, on.schema),
    "plans": lambda on: plans.check(on.statements, on.schema, on.connection),
    "indexes": lambda on: indexes.check(on.statements, on.schema, on.connection, on.migrations),
    "grants": lambda on: grants.check(on.statements, on.schema, on.connection, on.migrations),
    "migrations": lambda on: check_migrations(on.migrations),
    "compatibility": lambda on: compatibility.check(on.statements, on.connection, on.migrations, on.against),
}
"""Each check by its name, in the order in which they are run."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found.

    Attributes:
        check: its name.
        seconds: how long it took.
        faults: by file and line.
        notes: what else people should know, in the order in which it was found.
        is_skipped: whether there was nothing to check; the note says why.
    """

    check: str
    seconds: float
    faults: list[Fault]
    notes: tuple[str, ...] = ()
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks found.

    Attributes:
        statements: what was checked.
        version: of the PostgreSQL that it was checked on; empty where a migration failed, and the lint knows of it.
        results: one for each check.
    """

    statements: list[Statement]
    version: str
    results: list[Result]

    @property
    def faults(self) -> list[Fault]:
        """Every fault, by file and line."""
        return sorted(fault for result in self.results for fault in result.faults)


def run_checks(  # noqa: PLR0913 -- what the command can be asked for
    names: Iterable[str],
    sql: Path,
    migrations: Path,
    *,
    server: Dsn | None = None,
    programs: Path | None = None,
    against: str | None = None,
) -> Report:
    """Run checks.

    Args:
        names: which, of `CHECKS`.
        sql: the folder of the statements.
        migrations: the folder of the migrations that make their schema.
        server: where to make the database; without it, a PostgreSQL is started.
        programs: the folder of the programs of that PostgreSQL, instead of the embedded ones.
        against: the revision with which these have to get along, instead of the last release.

    Raises:
        CheckError, EmbeddedError, MigrationError: nothing could be checked.
    """
    statements = read_statements(sql)
    try:
        with scratch_database(server, migrations, programs) as connection:
            version = connection.info.parameter_status("server_version") or ""
            results = list(check(names, statements, connection, migrations, against))
            return Report(statements, version.split()[0], results)
    except MigrationError:
        # What the lint knows of it, it says with the line.
        result = _timed("migrations", lambda: check_migrations(migrations))
        if "migrations" not in names or not result.faults:
            raise
        return Report(statements, "", [result])


def check(
    names: Iterable[str],
    statements: Sequence[Statement],
    connection: Connection,
    migrations: Path,
    against: str | None = None,
) -> Iterable[Result]:
    """Run checks on a database that is there, as `scratch_database` makes it of these migrations."""
    subject = Subject(statements, read_schema(connection), connection, migrations, against)
    for name in CHECKS:
        if name in names:
            yield _timed(name, partial(CHECKS[name], subject))


def _timed(name: str, find: Callable[[], Iterable[Fault | Note]]) -> Result:
    began = perf_counter()
    try:
        found = list(find())
    except NothingToCheckError as error:
        return Result(name, perf_counter() - began, [], (str(error),), is_skipped=True)
    faults = sorted({one for one in found if isinstance(one, Fault)})
    notes = tuple(one.message for one in found if isinstance(one, Note))
    return Result(name, perf_counter() - began, faults, notes)
