"""The command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
import orjson

from service.app import openapi as openapi_document
from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner, snapshot
from service.purging import PurgeError, purge_once
from service.resources import resource_folder
from service.serve import ServeError, bind
from service.serve import serve as serve_on
from service.settings import Settings, SettingsError
from service.workers import serve_by_workers

_QUICK_START = """\
Serving on {url} (Ctrl-C stops). Health: {url}/health/ready.
The API, described and to be tried: {url}/docs
Paste these into another terminal to register, log in and create a task:

curl -sS {url}/api/auth/register -H 'Content-Type: application/json' -d '{login}'
TOKEN=$(curl -sS {url}/api/auth/login -H 'Content-Type: application/json' -d '{login}' | cut -d '"' -f 4)
curl -sS {url}/api/tasks -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{task}'
"""
_LOGIN = '{"email": "me@example.com", "password": "correct horse battery staple"}'
_TASK = '{"title": "Water the plants"}'

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")


class _Refusal(click.ClickException):
    """What a user did, or a machine lacks: a line on stderr, and exit code 1."""

    def show(self, file: object = None) -> None:
        """Print the message alone."""
        del file
        click.echo(self.format_message(), err=True)


class _WrongSettings(_Refusal):
    exit_code = 2


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what the service refuses to do into a line on stderr and an exit code, never a traceback."""
    try:
        yield
    except (ServeError, embedded.EmbeddedError, runner.MigrationError, PurgeError) as error:
        raise _Refusal(str(error)) from error
    except SettingsError as error:
        lines = [f"{name}: {' '.join(messages)}" for name, messages in error.faults.items()]
        raise _WrongSettings("\n".join(lines)) from None


@contextmanager
def _database(settings: Settings) -> Iterator[Dsn]:
    """Name the database: that of DATABASE_URL, or in development the embedded one, which runs while the block does."""
    if settings.database_url is not None:
        for note in settings.database_url.notes:
            click.echo(f"DATABASE_URL: {note}", err=True)
        yield settings.database_url
    else:
        with embedded.running(settings.data_dir / "postgres") as server:
            yield server.dsn


@click.group()
def main() -> None:
    """Run the task service and its tools.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
    """


@main.command()
@click.option("--host", help="The address to listen on, instead of HOST.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on, instead of PORT; 0 takes any.")
@click.option(
    "--workers", type=click.IntRange(1, 64), help="How many processes serve, instead of WORKERS; each has a pool."
)
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until Ctrl-C or SIGTERM. In development, apply pending migrations first."""
    with _refusing():
        settings = Settings.load()
        settings = replace(
            settings,
            host=host or settings.host,
            port=settings.port if port is None else port,
            workers=workers or settings.workers,
        )
        with bind(settings) as listener, _database(settings) as dsn:
            if not settings.is_production:
                _apply(dsn)
            serve_all = serve_on if settings.workers == 1 else serve_by_workers
            serve_all(settings, dsn, listener, lambda: _greet(settings, listener.getsockname()[1]))


@main.command()
@_as_json
def purge(*, as_json: bool) -> None:
    """Remove what has expired, as each process that serves does every ten minutes."""
    with _refusing():
        settings = Settings.load(with_keys=False)
        with _database(settings) as dsn:
            removed = asyncio.run(purge_once(dsn, settings))
    if as_json:
        click.echo(orjson.dumps(removed, option=orjson.OPT_INDENT_2))
        return
    for table, count in removed.items():
        click.echo(f"{table}: {count} purged")


@main.command()
def openapi() -> None:
    """Print the contract as an OpenAPI 3.1 document, in JSON."""
    click.echo(orjson.dumps(openapi_document(), option=orjson.OPT_INDENT_2))


@main.group()
def migrate() -> None:
    """Apply, inspect and roll back the migrations."""


@migrate.command()
def apply() -> None:
    """Apply the pending migrations, one line each."""
    with _refusing(), _database(Settings.load(with_keys=False)) as dsn:
        if not _apply(dsn):
            click.echo("Nothing to apply.")


@migrate.command()
@_as_json
def status(*, as_json: bool) -> None:
    """Say of each migration whether it is applied."""
    with _refusing(), _database(Settings.load(with_keys=False)) as dsn:
        rows = runner.status(dsn, resource_folder("migrations"))
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
        return
    for row in rows:
        state = ("applied" if row.has_file else "applied, but of another release") if row.applied else "pending"
        click.echo(f"{row.id}  {state}")


@migrate.command()
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many, newest first.")
def rollback(count: int) -> None:
    """Roll back the newest applied migrations. Each rollback file says what data it loses."""
    with _refusing(), _database(Settings.load(with_keys=False)) as dsn:
        undone = runner.rollback(dsn, resource_folder("migrations"), count=count, on_done=_report("rolled back"))
        if not undone:
            click.echo("Nothing to roll back.")


@migrate.command(name="snapshot")
def write_snapshot() -> None:
    """Write docs/schema.sql: the schema that the migrations make on an empty database."""
    with _refusing(), embedded.temporary() as server:
        runner.apply(server.dsn, resource_folder("migrations"))
        target = Path("docs/schema.sql")
        target.write_text(snapshot.dump(server.dsn, server.binaries / "pg_dump"), encoding="utf-8")
        click.echo(f"Wrote {target}.")


def _apply(dsn: Dsn) -> list[str]:
    return runner.apply(dsn, resource_folder("migrations"), on_done=_report("applied"))


def _report(done: str) -> runner.OnDone:
    return lambda migration_id, seconds: click.echo(f"{migration_id}  {done} in {seconds:.2f} s")


def _greet(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    if settings.is_production:
        click.echo(f"Serving on {url}.")
    else:
        click.echo(_QUICK_START.format(url=url, login=_LOGIN, task=_TASK))
