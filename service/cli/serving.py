"""Commands that run the service, and look after what it keeps."""

from dataclasses import replace

import click

from service.app import openapi as openapi_document
from service.cli.common import as_json_option, ask, database, echo_json, refusing
from service.cli.migrate import apply_pending
from service.database.queries import load
from service.purging import purge as purge_all
from service.serve import bind
from service.serve import serve as serve_on
from service.settings import Settings
from service.workers import serve_by_workers

_QUICK_START = """\
Serving on {url} (Ctrl-C stops). Health: {url}/health/ready.
The API, described and to be tried: {url}/docs. The queries behind it: {url}/sql
Paste these into another terminal to register, log in and create a task:

curl -sS {url}/api/auth/register -H 'Content-Type: application/json' -d '{login}'
TOKEN=$(curl -sS {url}/api/auth/login -H 'Content-Type: application/json' -d '{login}' | cut -d '"' -f 4)
curl -sS {url}/api/tasks -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{task}'
"""
_LOGIN = '{"email": "me@example.com", "password": "correct horse battery staple"}'
_TASK = '{"title": "Water the plants"}'


@click.command()
@click.option("--host", help="The address to listen on, instead of HOST.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on, instead of PORT; 0 takes any.")
@click.option(
    "--workers", type=click.IntRange(1, 64), help="How many processes serve, instead of WORKERS; each has a pool."
)
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until Ctrl-C or SIGTERM. In development, apply pending migrations first."""
    with refusing():
        settings = Settings.load()
        settings = replace(
            settings,
            host=host or settings.host,
            port=settings.port if port is None else port,
            workers=workers or settings.workers,
        )
        load()
        with bind(settings) as listener, database(settings) as dsn:
            if not settings.is_production:
                apply_pending(dsn)
            if settings.database_url is None:
                # Its one user may do everything; what production will refuse shall be refused here too.
                dsn = replace(dsn, parameters=(*dsn.parameters, ("options", "-c role=task_app")))  # noqa: PLW2901 -- the same database
            serve_all = serve_on if settings.workers == 1 else serve_by_workers
            serve_all(settings, dsn, listener, lambda: _greet(settings, listener.getsockname()[1]))


@click.command()
@as_json_option
def purge(*, as_json: bool) -> None:
    """Remove what has expired, as each process that serves does every ten minutes."""
    removed = ask(purge_all)
    if as_json:
        echo_json(removed)
        return
    for table, count in removed.items():
        click.echo(f"{table}: {count} purged")


@click.command()
def openapi() -> None:
    """Print the contract as an OpenAPI 3.1 document, in JSON."""
    echo_json(openapi_document())


def _greet(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    if settings.is_production:
        click.echo(f"Serving on {url}.")
    else:
        click.echo(_QUICK_START.format(url=url, login=_LOGIN, task=_TASK))
