"""The checks, and how they are run: on a database that is made for them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias

from service.dsn import Dsn
from service.migrate.files import MigrationError
from service.sqlcheck.checks import compatibility, contracts, grants, indexes, isolation, migrations, plans, style
from service.sqlcheck.diagnostics import Diagnostic, Note, NothingToCheckError
from service.sqlcheck.project import Project
from service.sqlcheck.reading.statements import CHECK as READING
from service.sqlcheck.reading.statements import Statement, UnreadableStatementsError, read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import scratch_database

Check: TypeAlias = Callable[[Subject], Iterable[Diagnostic | Note]]

CHECKS: Final[dict[str, Check]] = {
    "style": style.check,
    "contracts": contracts.check,
    "isolation": isolation.check,
    "plans": plans.check,
    "indexes": indexes.check,
    "grants": grants.check,
    "migrations": lambda subject: migrations.check(subject.project),
    "compatibility": compatibility.check,
}
"""Each check by its name, in the order in which they are run."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check.

    Attributes:
        check: its name.
        seconds: how long it took.
        diagnostics: by file and line.
        notes: what else people should know, in the order in which it was found.
        is_skipped: whether there was nothing to check; the note says why.
    """

    check: str
    seconds: float
    diagnostics: list[Diagnostic]
    notes: tuple[str, ...] = ()
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The results of the checks.

    Attributes:
        statements: what was checked.
        version: of the PostgreSQL that it was checked on; empty where a migration failed, and the lint knows of it.
        results: one for each check.
    """

    statements: list[Statement]
    version: str
    results: list[Result]

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Every diagnostic, by file and line."""
        return sorted(diagnostic for result in self.results for diagnostic in result.diagnostics)


def run_checks(
    project: Project,
    names: Iterable[str],
    *,
    server: Dsn | None = None,
    programs: Path | None = None,
    against: str | None = None,
) -> Report:
    """Run checks.

    Args:
        project: what is checked.
        names: the names of the checks, of `CHECKS`.
        server: where to make the database; without it, a PostgreSQL is started.
        programs: the folder of the programs of that PostgreSQL, instead of the embedded ones.
        against: the revision with which the project has to get along, instead of the last release.

    Raises:
        CheckError, EmbeddedError, MigrationError: nothing could be checked.
    """
    began = perf_counter()
    try:
        statements = read_statements(project)
    except UnreadableStatementsError as error:
        note = "Nothing else was checked, since these statements cannot be read."
        return Report([], "", [Result(READING, perf_counter() - began, sorted(error.diagnostics), (note,))])
    try:
        with scratch_database(project, server, programs) as connection:
            version = connection.info.parameter_status("server_version") or ""
            subject = Subject.of(project, statements, connection, against)
            return Report(statements, version.split()[0], list(check(subject, names)))
    except MigrationError:
        # What the lint knows of it, it says with the line.
        result = _timed("migrations", lambda: migrations.check(project))
        if "migrations" not in names or not result.diagnostics:
            raise
        return Report(statements, "", [result])


def check(subject: Subject, names: Iterable[str]) -> Iterator[Result]:
    """Run checks on a database that is there, and yield the result of each."""
    for name in CHECKS:
        if name in names:
            yield _timed(name, partial(CHECKS[name], subject))


def _timed(name: str, find: Callable[[], Iterable[Diagnostic | Note]]) -> Result:
    began = perf_counter()
    try:
        found = list(find())
    except NothingToCheckError as error:
        return Result(name, perf_counter() - began, [], (str(error),), is_skipped=True)
    diagnostics = sorted({one for one in found if isinstance(one, Diagnostic)})
    notes = tuple(one.message for one in found if isinstance(one, Note))
    return Result(name, perf_counter() - began, diagnostics, notes)
