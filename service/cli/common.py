"""The parts that commands share: refusing in a line, the database, and one question put to it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import click
import orjson
import psycopg

from service.accounts.clients import ClientRefused
from service.database import embedded
from service.database.errors import DatabaseUnusable
from service.database.pool import Database
from service.database.queries import load
from service.database.query_files import QueryError
from service.database.statistics import NotCounted
from service.dsn import Dsn
from service.generated import NotWritten, drifted, save
from service.migrate.files import MigrationError
from service.serve import ServeError
from service.settings import Settings, SettingsError

YEAR_SECONDS = 365 * 86_400
# Only with this library does PostgreSQL count statements, for `sql stats` to tell of.
_COUNTING = {"shared_preload_libraries": "pg_stat_statements"}
_T = TypeVar("_T")
# Each has a message of one line.
_REFUSALS = (
    NotCounted,
    QueryError,
    ClientRefused,
    DatabaseUnusable,
    MigrationError,
    NotWritten,
    ServeError,
    embedded.EmbeddedError,
)

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")


class Refusal(click.ClickException):
    """A refusal, for what a user did or a machine lacks: a line on stderr, and exit code 1."""

    def show(self, file: object = None) -> None:
        """Print the message alone."""
        del file
        click.echo(self.format_message(), err=True)


class WrongSettings(Refusal):
    """A refusal of settings that are wrong: exit code 2."""

    exit_code = 2


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what the service refuses to do into a line on stderr and an exit code, never a traceback."""
    try:
        yield
    except _REFUSALS as error:
        raise Refusal(str(error)) from error
    except SettingsError as error:
        lines = [f"{name}: {' '.join(messages)}" for name, messages in error.faults.items()]
        raise WrongSettings("\n".join(lines)) from None


def echo_json(document: object) -> None:
    """Print a document as JSON; times are in UTC, and what has no JSON form is its text."""
    click.echo(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))


def write_or_compare(contents: Mapping[Path, str], command: str, *, only_check: bool, as_json: bool = False) -> None:
    """Write files that are generated, with a line for each that changes; or say which has drifted, and exit with 1.

    Args:
        contents: the text of each, as it should be.
        command: the command that writes them, to be named where one has drifted.
        only_check: whether to write nothing.
        as_json: whether to say it in JSON.
    """
    lines = drifted(contents, command) if only_check else []
    written = [] if only_check else save(contents)
    if as_json:
        told = {"drifted": lines} if only_check else {"written": [str(path) for path in written]}
        echo_json(told)
    else:
        click.echo("\n".join([*lines, *(f"Wrote {path}." for path in written)] or ["All is current."]))
    if lines:
        raise click.exceptions.Exit(1)


@contextmanager
def database(settings: Settings) -> Iterator[Dsn]:
    """Lend the database: that of DATABASE_URL, or in development the embedded one, which runs while the block does."""
    if settings.database_url is not None:
        for note in settings.database_url.notes:
            click.echo(f"DATABASE_URL: {note}", err=True)
        yield settings.database_url
    else:
        with embedded.running(settings.data_dir / "postgres", options=_COUNTING) as server:
            # Of two commands at the same moment, one creates it, and the other is told that it exists.
            with suppress(psycopg.errors.UniqueViolation), psycopg.connect(server.dsn.libpq_url) as connection:
                connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            yield server.dsn


def ask(question: Callable[[Database], Awaitable[_T]]) -> _T:
    """Put a question to the database, on a connection of its own; refuse as `refusing` does."""

    async def put(settings: Settings, dsn: Dsn) -> _T:
        async with Database.of_one(dsn, settings) as executor:
            return await question(executor)

    with refusing():
        load()
        settings = Settings.load(with_keys=False)
        with database(settings) as dsn:
            return asyncio.run(put(settings, dsn))
