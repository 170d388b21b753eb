"""The checks, and how they are run: on a database that is made for them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias

from service.dsn import Dsn
from service.sqlcheck import contracts, grants, indexes, isolation, plans, style
from service.sqlcheck.faults import Fault
from service.sqlcheck.schema import Schema, read_schema
from service.sqlcheck.scratch import Connection, scratch_database
from service.sqlcheck.statements import Statement, read_statements

Check: TypeAlias = Callable[[Sequence[Statement], Schema, Connection, Path], Iterable[Fault]]

CHECKS: Final[dict[str, Check]] = {
    "style": lambda statements, schema, *_: style.check(statements, schema),
    "contracts": lambda statements, schema, connection, _: contracts.check(statements, schema, connection),
    "isolation": lambda statements, schema, *_: isolation.check(statements, schema),
    "plans": lambda statements, schema, connection, _: plans.check(statements, schema, connection),
    "indexes": indexes.check,
    "grants": grants.check,
}
"""Each check by its name, in the order in which they are run."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found.

    Attributes:
        check: its name.
        seconds: how long it took.
        faults: by file and line.
    """

    check: str
    seconds: float
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks found.

    Attributes:
        statements: what was checked.
        version: of the PostgreSQL that it was checked on.
        results: one for each check.
    """

    statements: list[Statement]
    version: str
    results: list[Result]

    @property
    def faults(self) -> list[Fault]:
        """Every fault, by file and line."""
        return sorted(fault for result in self.results for fault in result.faults)


def run_checks(
    names: Iterable[str], sql: Path, migrations: Path, *, server: Dsn | None = None, programs: Path | None = None
) -> Report:
    """Run checks.

    Args:
        names: which, of `CHECKS`.
        sql: the folder of the statements.
        migrations: the folder of the migrations that make their schema.
        server: where to make the database; without it, a PostgreSQL is started.
        programs: the folder of the programs of that PostgreSQL, instead of the embedded ones.

    Raises:
        CheckError, EmbeddedError, MigrationError: nothing could be checked.
    """
    statements = read_statements(sql)
    with scratch_database(server, migrations, programs) as connection:
        version = connection.info.parameter_status("server_version") or ""
        return Report(statements, version.split()[0], list(check(names, statements, connection, migrations)))


def check(
    names: Iterable[str], statements: Sequence[Statement], connection: Connection, migrations: Path
) -> Iterable[Result]:
    """Run checks on a database that is there, as `scratch_database` makes it of these migrations."""
    schema = read_schema(connection)
    for name in CHECKS:
        if name in names:
            began = perf_counter()
            faults = sorted(set(CHECKS[name](statements, schema, connection, migrations)))
            yield Result(name, perf_counter() - began, faults)
