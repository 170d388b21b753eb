"""The commands about `sql/`: check it, write its catalogue, and say what it costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import psycopg

from service.cli.common import Refusal, as_json_option, database, echo_json, refusing, write_or_compare
from service.database import statistics
from service.dsn import Dsn
from service.migrate.errors import one_line
from service.resources import resource_folder
from service.settings import Settings

# As service.sqlcheck.run has them, which is imported only when it is needed.
_CHECKS = ("style", "contracts", "isolation", "plans", "indexes", "grants", "migrations", "compatibility")


@click.group()
def sql() -> None:
    """Check the statements of `sql/`, write the catalogue of them, and say what they cost in production."""


def _dsn(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Dsn | None:
    try:
        return Dsn.parse(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_configuration = click.option(
    "--config",
    "configuration",
    metavar="FILE",
    type=click.Path(exists=True, path_type=Path),
    help="Look at the project that [tool.sqlcheck] in this pyproject.toml, or in that of this folder, describes.",
)


@sql.command()
@click.argument("checks", nargs=-1, type=click.Choice(_CHECKS), metavar=f"[{'|'.join(_CHECKS)}]...")
@click.option(
    "--database",
    "server",
    callback=_dsn,
    metavar="URL",
    help="Make the database on this PostgreSQL, as a user who may, instead of on one that is started for it.",
)
@click.option(
    "--programs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Start the PostgreSQL whose programs are in this folder, instead of the embedded one.",
)
@click.option(
    "--against",
    metavar="REV",
    help="Let compatibility compare with this tag, branch or commit, instead of the last release (the newest v1.2.3).",
)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write what was found to this file too.")
@_configuration
@as_json_option
def check(  # noqa: PLR0913 -- an option each
    *,
    checks: tuple[str, ...],
    server: Dsn | None,
    programs: Path | None,
    against: str | None,
    junit: Path | None,
    configuration: Path | None,
    as_json: bool,
) -> None:
    """Prove what the statements promise, or say at which line one does not. All checks, or those that are named.

    It makes a database of its own, with rows, and removes it. Exit code 1 where there is a fault.
    """
    reports = _module("reports")
    with _refusing():
        report = _module("run").run_checks(
            _project(configuration),
            checks or _CHECKS,
            server=server,
            programs=programs,
            against=against,
        )
    if junit:
        try:
            junit.write_bytes(reports.as_junit(report))
        except OSError as error:
            raise Refusal(f"Cannot write {junit}: {error.strerror}.") from None
    click.echo(reports.as_json(report) if as_json else reports.as_text(report))
    if report.diagnostics:
        raise click.exceptions.Exit(1)


@sql.command(name="stats")
@as_json_option
def show_stats(*, as_json: bool) -> None:
    """Say what each query has cost in the database of DATABASE_URL, where it has the extension pg_stat_statements."""
    with refusing(), database(Settings.load(with_keys=False)) as dsn:
        try:
            with psycopg.connect(dsn.direct.libpq_url) as connection:
                found = statistics.read_stats(connection)
        except psycopg.OperationalError as error:
            raise Refusal(f"The database at {dsn} cannot be used: {one_line(error)}") from None
    if as_json:
        echo_json(found)
    else:
        click.echo(statistics.report(found))


@sql.command()
@click.option("--check", "only_check", is_flag=True, help="Write nothing, and say which file is not what it should be.")
@_configuration
def catalogue(*, only_check: bool, configuration: Path | None) -> None:
    """Write docs/queries.md and docs/queries.html: the statements and the schema, for people to read.

    With --check the exit code is 1 where a file has drifted from what sql/ and migrations/ make of it.
    """
    documents = _module("catalogue.documents")
    with _refusing():
        project = _project(configuration)
        made = documents.make(project)
        # Another project's are written where it lies.
        folder = project.folder if configuration else Path()
        contents = {folder / "docs" / name: text for name, text in made.items()}
        command = f"python -m service sql catalogue --config {configuration}" if configuration else "make catalogue"
        write_or_compare(contents, command, only_check=only_check)


def _project(configuration: Path | None) -> Any:  # noqa: ANN401 -- a service.sqlcheck.project.Project
    return _module("project").read_project(configuration or resource_folder("sql").parent)


@contextmanager
def _refusing() -> Iterator[None]:
    """Refuse as `refusing` does, and where nothing can be checked."""
    with refusing():
        try:
            yield
        except _module("diagnostics").CheckError as error:
            raise Refusal(str(error)) from error


def _module(name: str) -> ModuleType:
    """Import a part of the checks: they need what is not installed where the service only serves."""
    try:
        return import_module(f"service.sqlcheck.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "service":
            raise
        raise Refusal(
            f"{error.name} is not installed: pip install -e '.[sqlcheck]' installs what checks need."
        ) from error
