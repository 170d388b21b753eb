"""Migrations: planned, applied, inspected, verified, rolled back, written down, and begun."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from service.cli.common import Refusal, as_json_option, database, echo_json, refusing, write_or_compare
from service.database import embedded
from service.dsn import Dsn
from service.migrate import locks, measuring, planning, runner, snapshot
from service.migrate.drafting import draft
from service.migrate.files import CHECKSUMS, MigrationError, checksums, read_migrations
from service.migrate.progress import DEFAULT, Conduct, Progress
from service.migrate.standing import State, problems
from service.resources import resource_folder
from service.settings import Settings

_PENDING = 3
_SCHEMA = "schema.sql"

_wait = click.option(
    "--wait",
    type=click.FloatRange(0),
    default=DEFAULT.patience,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another run.",
)
_out_of_order = click.option(
    "--allow-out-of-order", is_flag=True, help="Apply what comes before something that is applied; that is noted."
)


@click.group()
def migrate() -> None:
    """Plan, apply, inspect and roll back the migrations.

    Exit codes: 0 nothing is wrong, 1 refused or failed, 2 wrong usage or settings, 3 migrations are pending, which only
    `status --exit-code` says. Lines on stderr tell of what a run waits for, and why it failed.
    """


@migrate.command()
@_out_of_order
@as_json_option
def plan(*, allow_out_of_order: bool, as_json: bool) -> None:
    """Print the SQL that `apply` would run, what it locks, and for how long it may.

    Takes no lock and changes nothing. Exit code 1 where `apply` would refuse.
    """
    with _refusing(as_json=as_json), database(Settings.load(with_keys=False)) as dsn:
        planned = planning.plan(dsn, resource_folder("migrations"), allow_out_of_order=allow_out_of_order)
    if as_json:
        echo_json(planned)
    else:
        click.echo(planning.as_sql(planned), nl=False)
    _fail_with(planned.problems)


@migrate.command()
@_out_of_order
@_wait
@as_json_option
def apply(*, allow_out_of_order: bool, wait: float, as_json: bool) -> None:
    """Apply the pending migrations, one line each. Any number of runs may be started at once."""
    narrator = _Narrator("applied", as_json=as_json)
    with _refusing(narrator.document, as_json=as_json), database(Settings.load(with_keys=False)) as dsn:
        conduct = Conduct(patience=wait, report=narrator.report)
        runner.apply(dsn, resource_folder("migrations"), allow_out_of_order=allow_out_of_order, conduct=conduct)
    narrator.conclude("Nothing to apply.")


@migrate.command()
@click.option("--exit-code", is_flag=True, help=f"Exit with {_PENDING} where migrations are pending.")
@as_json_option
def status(*, exit_code: bool, as_json: bool) -> None:
    """Say of each migration how it stands. Takes no lock. Exit code 1 where something is wrong."""
    with _refusing(as_json=as_json), database(Settings.load(with_keys=False)) as dsn:
        standings = runner.status(dsn, resource_folder("migrations"))
    if as_json:
        echo_json(standings)
    else:
        for one in standings:
            click.echo(f"{one.id}  {one.state}{', out of order' if one.out_of_order else ''}")
    _fail_with(problems(standings))
    if exit_code and any(one.state is State.PENDING for one in standings):
        raise click.exceptions.Exit(_PENDING)


@migrate.command()
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many, newest first.")
@click.option("--yes", is_flag=True, help="Lose what the rollbacks say that they lose.")
@_wait
@as_json_option
def rollback(*, count: int, yes: bool, wait: float, as_json: bool) -> None:
    """Roll back the newest applied migrations. Where that loses data it says what, and wants --yes."""
    narrator = _Narrator("rolled back", as_json=as_json)
    with _refusing(narrator.document, as_json=as_json), database(Settings.load(with_keys=False)) as dsn:
        conduct = Conduct(patience=wait, report=narrator.report)
        runner.rollback(dsn, resource_folder("migrations"), count=count, lose_data=yes, conduct=conduct)
    narrator.conclude("Nothing to roll back.")


@migrate.command()
@click.option(
    "--pg-dump",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The program pg_dump of the server's major version, where it is not found by itself.",
)
@as_json_option
def verify(*, pg_dump: Path | None, as_json: bool) -> None:
    """Compare the schema of the database to docs/schema.sql, and its history to the files.

    Prints the difference as a diff: a line with a minus is missing in the database, one with a plus is too many. Exit
    code 1 where there is any, or a migration is pending.
    """
    with _refusing(as_json=as_json), database(Settings.load(with_keys=False)) as dsn:
        standings = runner.status(dsn, resource_folder("migrations"))
        # pg_dump leaves them out.
        invalid = runner.invalid_indexes(dsn)
        try:
            expected = (resource_folder("docs") / _SCHEMA).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MigrationError(f"docs/{_SCHEMA} cannot be read: {error}.") from error
        difference = snapshot.difference(dsn, expected, f"docs/{_SCHEMA}", pg_dump)
    wrong = [one.problem or f"{one.id} is {one.state}." for one in standings if one.state is not State.APPLIED]
    wrong += [f"The index {name} is invalid." for name in invalid]
    if as_json:
        told = {"is_as_it_should_be": not (wrong or difference), "problems": wrong, "difference": difference}
        echo_json(told)
    elif difference:
        click.echo(difference, nl=False)
    elif not wrong:
        click.echo(f"The schema of {dsn} is that of docs/{_SCHEMA}.")
    _fail_with([*wrong, *(["The schema differs."] if difference else [])])


@migrate.command(name="snapshot")
@click.option("--check", "only_check", is_flag=True, help="Write nothing, and say which file is not what it should be.")
@as_json_option
def write_snapshot(*, only_check: bool, as_json: bool) -> None:
    """Write what is made of the migrations: docs/schema.sql, and beside them their checksums and what each locks.

    It applies them to a PostgreSQL that it starts. With --check the exit code is 1 where a file has drifted.
    """
    with _refusing(as_json=as_json):
        folder = Path("migrations")
        migrations = read_migrations(folder, check=False)
        with embedded.temporary(options={"fsync": "off"}) as server:
            measured = measuring.measure(server.dsn, folder)
            schema = snapshot.dump(server.dsn, server.binaries / "pg_dump")
        contents = {
            Path("docs", _SCHEMA): schema,
            folder / CHECKSUMS: checksums(migrations),
            **{one.locks_path: locks.manifest(one, measured[one.id]) for one in migrations},
        }
        write_or_compare(contents, "make schema", only_check=only_check, as_json=as_json)


@migrate.command()
@click.argument("words")
@click.option("--concurrently", is_flag=True, help="For an index that is made or dropped CONCURRENTLY.")
@as_json_option
def new(words: str, *, concurrently: bool, as_json: bool) -> None:
    """Begin a migration: write its two files, with the headers to fill in. WORDS are like add-task-due-at."""
    with _refusing(as_json=as_json):
        paths = draft(Path("migrations"), words, transactional=not concurrently)
    if as_json:
        echo_json([str(path) for path in paths])
    else:
        click.echo("\n".join(f"Wrote {path}." for path in paths))
        click.echo(
            "Then `make schema`, which measures what it locks, and `make sql`, which says what is wrong with it."
        )


def apply_pending(dsn: Dsn) -> None:
    """Apply what is pending, with a line for each migration."""
    runner.apply(dsn, resource_folder("migrations"), conduct=Conduct(report=_Narrator("applied").report))


class _Narrator:
    """The narrator of a run, of each migration when it is done: in lines, or in one document at the end."""

    def __init__(self, done: str, *, as_json: bool = False) -> None:
        """Tell of migrations that are done in this sense: `applied`, `rolled back`."""
        self._done, self._as_json = done, as_json
        self._finished: list[dict[str, str | float | None]] = []
        self.document = {done.replace(" ", "_"): self._finished}

    def report(self, progress: Progress) -> None:
        """Tell of an event; of one that does not end a migration, on stderr."""
        if progress.event != self._done:
            click.echo(f"{progress.migration_id or 'all'}  {progress.event}: {progress.detail}", err=True)
            return
        self._finished.append({"id": progress.migration_id, "seconds": round(progress.seconds, 3)})
        if not self._as_json:
            click.echo(f"{progress.migration_id}  {self._done} in {progress.seconds:.2f} s")

    def conclude(self, nothing: str) -> None:
        """Tell that the run came to its end, in these words where there was nothing to do."""
        if self._as_json:
            echo_json({**self.document, "error": None})
        elif not self._finished:
            click.echo(nothing)


@contextmanager
def _refusing(document: Mapping[str, Any] = {}, *, as_json: bool) -> Iterator[None]:
    """Refuse as all commands do; as JSON, in a document too, with what it holds so far."""
    try:
        with refusing():
            yield
    except Refusal as refusal:
        if as_json:
            echo_json({**document, "error": refusal.message})
        raise


def _fail_with(lines: Sequence[str]) -> None:
    if lines:
        raise Refusal("\n".join(lines))
