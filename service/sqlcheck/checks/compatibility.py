"""Compatibility: while a release is rolled out the last one still runs, and neither breaks on the schema of the other.

A database begins as the last release made it, with its rows. Then come the migrations that are new, one by one, in the
order of a deployment: those whose header says that they go before the code or at any time, and then, when the code has
been rolled out, those that go after it.

- The statements of the last release do after each migration what they did before the first.
- Those of today do, from the moment at which their code is rolled out, what they do after the last migration.
- What has been released does not change.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import psycopg

from service.migrate.errors import reason
from service.migrate.files import Migration, MigrationError, read_migrations
from service.sqlcheck.diagnostics import CheckError, Diagnostic, Note
from service.sqlcheck.project import Project
from service.sqlcheck.reading.releases import Release, released
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.reading.sources import sources
from service.sqlcheck.reading.statements import Label, Statement, read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.behaviour import Behaviour, observe, regressions, risks
from service.sqlcheck.trial.scratch import Connection, add_rows, second_database

_CHECK: Final = "compatibility"

_Behaviours: TypeAlias = Mapping[str, Behaviour]
"""The behaviour of statements on one schema, by their SQL: one that has not changed is observed once."""


def check(subject: Subject) -> Iterator[Diagnostic | Note]:
    """Yield what would break while this revision is rolled out over the last release.

    The release is read out of the git repository that the project is in, and its database is made beside the subject's.

    Raises:
        NothingToCheckError: there is no release yet.
        CheckError: the release cannot be read, or its migrations cannot be applied.
    """
    project, migrations = subject.project, subject.project.migrations
    with released(project, subject.against) as release:
        released_migrations = release.project.migrations
        try:
            old = read_migrations(released_migrations)
            new = _new(release, migrations)
            yield from _rewritten(release, project)
            yield Note(f"Compared with {release.name}, since which there {_count(len(new))}.")
            # What was renamed looks new, and would be applied again; where nothing is new, the schema is the release's.
            if new and all((migrations / file.name).exists() for file in released_migrations.glob("*.sql")):
                yield from _out_of_order(release, project, old, new)
                yield from _Comparison(release, subject, new).diagnostics()
        except MigrationError as error:
            raise CheckError(f"{release.name} cannot be compared with: {error}") from error


def _new(release: Release, migrations: Path) -> list[Migration]:
    today = read_migrations(migrations, check=False)
    return [migration for migration in today if not (release.project.migrations / migration.path.name).exists()]


def _rewritten(release: Release, project: Project) -> Iterator[Diagnostic]:
    """Yield what has been released and is not as it was."""
    for file in sorted(release.project.migrations.glob("*.sql")):
        today = project.migrations / file.name
        if not today.exists():
            told = f"Is in {release.name} and not here, so that it was removed or renamed: put it back."
        elif today.read_bytes() != file.read_bytes():
            told = f"Has changed since {release.name}, which databases have had: undo that, and write a new migration."
        else:
            continue
        yield Diagnostic(project.place(today), 1, "", _CHECK, told)


def _out_of_order(
    release: Release, project: Project, old: Sequence[Migration], new: Sequence[Migration]
) -> Iterator[Diagnostic]:
    for migration in new:
        if old and migration.number <= old[-1].number:
            told = f"Comes before {old[-1].id}, which {release.name} has: give it the next number that is free."
            yield _diagnostic(project, migration, "", told)


class _Comparison:
    """The statements of a release and those of today, on each schema that they meet."""

    def __init__(self, release: Release, subject: Subject, new: Sequence[Migration]) -> None:
        self._release = release
        self._project = subject.project
        self._connection = subject.connection
        self._today = subject.statements
        self._released = [_fed(one, self._today) for one in read_statements(release.project)]
        before = [migration for migration in new if not migration.goes_after]
        self._after = [migration for migration in new if migration.goes_after]
        self._order = [*before, *self._after]
        # How each statement behaves on the schema of the release, and then after each migration.
        self._stages: list[_Behaviours] = []
        self._roll_out = len(before)

    def diagnostics(self) -> Iterator[Diagnostic | Note]:
        """Yield each diagnostic and note, on a database that is made beside that of the subject."""
        with second_database(self._release.project, self._connection) as scratch:
            yield from self._fill(scratch)
            self._observe(scratch)
            for migration in self._order:
                try:
                    scratch.execute(migration.text.encode())
                except psycopg.Error as error:
                    yield self._failed(migration, error)
                    break
                self._observe(scratch)
        for statement in self._released:
            yield from self._broken(statement)
        yield from self._not_run(self._released, self._stages[0], self._release.name)
        if len(self._stages) > len(self._order):
            yield from self._early()

    def _fill(self, scratch: Connection) -> Iterator[Note]:
        project = self._release.project
        if not project.rows.is_file():
            yield Note(f"{self._release.name} has no {project.names['rows']}, and so its tables are empty here.")
            return
        try:
            add_rows(project, scratch)
        except CheckError as error:
            raise CheckError(f"{self._release.name} cannot be compared with: {error}") from error

    def _observe(self, scratch: Connection) -> None:
        schema = read_schema(self._project, scratch)
        every = {one.sql: one for one in (*self._released, *self._today)}
        self._stages.append({sql: observe(scratch, one, schema, self._project.roles.app) for sql, one in every.items()})

    def _failed(self, migration: Migration, error: psycopg.Error) -> Diagnostic:
        waiting = [] if migration.goes_after else [one.id for one in self._after if one.number < migration.number]
        without = f", without {', '.join(waiting)}, which goes after the code" if waiting else ""
        return _diagnostic(
            self._project,
            migration,
            "",
            f"Fails on the schema and the rows of {self._release.name}{without}: {reason(error)}. Have it, or a"
            " migration before it, bring them into shape first.",
        )

    def _broken(self, statement: Statement) -> Iterator[Diagnostic | Note]:
        """Yield what a statement of the release cannot do any more, at the migration that first takes it away."""
        own, *later = (stage[statement.sql] for stage in self._stages)
        risked = set[str]()
        # The first stage has no migration, and where one failed there are more of these than of the stages.
        for migration, behaviour in zip(self._order, later, strict=False):
            if whats := list(regressions(own, behaviour)):
                yield _diagnostic(
                    self._project,
                    migration,
                    statement.name,
                    f"Breaks this statement of {self._release.name}, which runs until its last instance is replaced:"
                    f" {'; '.join(whats)}. Keep what it needs, and contract one release later.",
                )
                return
            for risk in risks(own, behaviour):
                if risk not in risked:
                    risked.add(risk)
                    who = f"{statement.name} of {self._release.name}"
                    yield Note(f"From {migration.id} on {who} {risk}: see that its code is ready for that.")

    def _early(self) -> Iterator[Diagnostic | Note]:
        """Yield what today's statements need first, and as a diagnostic what they need and get too late."""
        needs = defaultdict[str, list[str]](list)
        for statement in self._today:
            *stages, home = (stage[statement.sql] for stage in self._stages)
            lacks = [list(regressions(home, stage)) for stage in stages] + [[]]
            enough = next(place for place, whats in enumerate(lacks) if not whats and place >= self._roll_out)
            if enough > self._roll_out:
                yield _diagnostic(
                    self._project,
                    self._order[enough - 1],
                    statement.name,
                    "Goes after the code, which has this statement and needs it: without it"
                    f" {'; '.join(lacks[self._roll_out])}. Say `Order: before …` in its header, or let the statement do"
                    " without it for one release.",
                )
            elif first := next(place for place, whats in enumerate(lacks) if not whats):
                needs[self._order[first - 1].id].append(statement.name)
            if self._after:
                for risk in risks(home, self._stages[self._roll_out][statement.sql]):
                    last = self._after[-1].id
                    yield Note(f"Until {last} {statement.name} {risk}: see that its code is ready for that.")
        for migration, names in needs.items():
            yield Note(f"{', '.join(names)} need{'s' if len(names) == 1 else ''} {migration} first.")
        if self._after:
            yield from self._not_run(self._today, self._stages[-1], "today")

    def _not_run(self, statements: Sequence[Statement], home: _Behaviours, whose: str) -> Iterator[Note]:
        names = [one.name for one in statements if not home[one.sql].runs]
        if names:
            fail = "fails" if len(names) == 1 else "fail"
            told = f"Prepared and not run: {', '.join(names)} of {whose}, which {fail} on the schema of its own"
            yield Note(f"{told}, with the examples of today and the rows of {self._release.name}.")


def _fed(statement: Statement, today: Sequence[Statement]) -> Statement:
    """Return a statement of a release, with what feeds it today in the place of what has gone since."""
    others = {name: source for one in today for name, source in sources(one).items()}
    known = {name: source for name, source in (others | sources(statement)).items() if name in statement.parameters}
    if not known:
        return statement
    takes = ", ".join(f"{name} from {source.name}" for name, source in known.items())
    return replace(statement, labels={**statement.labels, "Takes": Label(f"{takes}.", statement.line)})


def _diagnostic(project: Project, migration: Migration, query: str, message: str) -> Diagnostic:
    return Diagnostic(project.place(migration.path), 1, query, _CHECK, message)


def _count(number: int) -> str:
    return {0: "is no new migration", 1: "is 1 new migration"}.get(number, f"are {number} new migrations")
