"""The command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import click
import orjson

from service.accounts.clients import ClientRefused, check_name, create_client, revoke_client, rotate_client
from service.app import openapi as openapi_document
from service.database import embedded
from service.database.errors import DatabaseUnusable
from service.database.pool import Database
from service.database.queries import queries
from service.dsn import Dsn
from service.http.replies import Row
from service.http.scopes import SCOPES
from service.keyring import write_key
from service.migrate import runner, snapshot
from service.purging import purge_once
from service.resources import resource_folder
from service.serve import ServeError, bind
from service.serve import serve as serve_on
from service.settings import Settings, SettingsError, keys_folder
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
_YEAR_SECONDS = 365 * 86_400
_T = TypeVar("_T")

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
    except (ServeError, ClientRefused, DatabaseUnusable, embedded.EmbeddedError, runner.MigrationError) as error:
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
def clients() -> None:
    """Create, list, rotate and revoke the service clients: other services that call this one as themselves."""


def _client_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@clients.command()
@click.argument("name", callback=_client_name)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(SCOPES)),
    multiple=True,
    required=True,
    metavar="SCOPE",
    help=f"What it may do: {' or '.join(SCOPES)}. Can be given more than once.",
)
@_as_json
def create(name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Register a client, and show its secret this once."""
    client, secret = _ask(lambda database: create_client(database, name, scopes))
    _show_secret(client, secret, as_json=as_json)


@clients.command(name="list")
@_as_json
def list_clients(*, as_json: bool) -> None:
    """List the clients, revoked ones too."""
    rows: list[Row] = _ask(queries.list_clients)
    if as_json:
        told = [{"client_id" if name == "id" else name: value for name, value in row.items()} for row in rows]
        click.echo(orjson.dumps(told, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
        return
    for row in rows:
        state = f"  revoked {row['revoked_at']:%Y-%m-%dT%H:%M:%SZ}" if row["revoked_at"] else ""
        click.echo(f"{row['id']}  {row['name']}  {' '.join(row['scopes'])}{state}")


@clients.command()
@click.argument("client")
@click.option(
    "--overlap",
    type=click.IntRange(0, _YEAR_SECONDS),
    default=86_400,
    show_default=True,
    help="For how many seconds the secret before stays good; 0 ends it at once.",
)
@_as_json
def rotate(client: str, overlap: int, *, as_json: bool) -> None:
    """Give a client, named by its name or its id, a new secret, and show it this once."""
    row, secret = _ask(lambda database: rotate_client(database, client, overlap))
    _show_secret(row, secret, as_json=as_json)


@clients.command()
@click.argument("client")
def revoke(client: str) -> None:
    """Revoke a client, named by its name or its id, for good. Its access tokens stop working at once."""
    row = _ask(lambda database: revoke_client(database, client))
    click.echo(f"{row['id']}  {row['name']}  revoked")


def _ask(question: Callable[[Database], Awaitable[_T]]) -> _T:
    """Put a question to the database, on a connection of its own; refuse as `_refusing` does."""

    async def ask(settings: Settings, dsn: Dsn) -> _T:
        async with Database.of_one(dsn, settings) as database:
            return await question(database)

    with _refusing():
        settings = Settings.load(with_keys=False)
        with _database(settings) as dsn:
            return asyncio.run(ask(settings, dsn))


def _show_secret(client: Row, secret: str, *, as_json: bool) -> None:
    told = {"client_id": str(client["id"]), "client_secret": secret, "name": client["name"], "scopes": client["scopes"]}
    if as_json:
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return
    click.echo(f"client_id: {told['client_id']}\nclient_secret: {secret}")
    click.echo("Keep the secret now: it is shown this once.", err=True)


@main.group()
def keys() -> None:
    """Make the keys that sign access tokens."""


@keys.command()
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ed25519", "rsa"]),
    default="ed25519",
    show_default=True,
    help="Of what kind; RSA, of 3,072 bits, is for services that cannot verify the other.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write it, instead of JWT_KEYS.")
@click.option(
    "--signs-after",
    type=click.IntRange(0, _YEAR_SECONDS),
    default=0,
    show_default=True,
    help="In how many seconds it begins to sign. Until then there is time to give it to every instance.",
)
@_as_json
def generate(*, kind: Literal["ed25519", "rsa"], folder: Path | None, signs_after: int, as_json: bool) -> None:
    """Write a new private key. Instances read it when they start, and the newest whose time has come signs."""
    folder = folder or keys_folder()
    if folder is None:
        raise _WrongSettings("JWT_KEYS: Names no folder to write a key to, and neither does --folder.")
    signs_from = datetime.now(UTC) + timedelta(seconds=signs_after)
    try:
        file, key = write_key(folder, kind, signs_from)
    except OSError as error:
        raise _Refusal(f"Cannot write a key into {folder}: {error.strerror}.") from None
    if as_json:
        made = {"file": str(file), "kid": key.id, "alg": key.algorithm, "signs_from": signs_from}
        click.echo(orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
        return
    click.echo(f"{file}  {key.algorithm} key {key.id}, signs from {signs_from:%Y-%m-%dT%H:%M:%SZ}")


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
