"""Migrations: applied, inspected and rolled back."""

from pathlib import Path

import click
import orjson

from service.cli.common import as_json_option, database, refusing
from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner, snapshot
from service.resources import resource_folder
from service.settings import Settings


@click.group()
def migrate() -> None:
    """Apply, inspect and roll back the migrations."""


@migrate.command()
def apply() -> None:
    """Apply the pending migrations, one line each."""
    with refusing(), database(Settings.load(with_keys=False)) as dsn:
        if not apply_pending(dsn):
            click.echo("Nothing to apply.")


@migrate.command()
@as_json_option
def status(*, as_json: bool) -> None:
    """Say of each migration whether it is applied."""
    with refusing(), database(Settings.load(with_keys=False)) as dsn:
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
    with refusing(), database(Settings.load(with_keys=False)) as dsn:
        undone = runner.rollback(dsn, resource_folder("migrations"), count=count, on_done=_report("rolled back"))
        if not undone:
            click.echo("Nothing to roll back.")


@migrate.command(name="snapshot")
def write_snapshot() -> None:
    """Write docs/schema.sql: the schema that the migrations make on an empty database."""
    with refusing(), embedded.temporary() as server:
        runner.apply(server.dsn, resource_folder("migrations"))
        target = Path("docs/schema.sql")
        target.write_text(snapshot.dump(server.dsn, server.binaries / "pg_dump"), encoding="utf-8")
        click.echo(f"Wrote {target}.")


def apply_pending(dsn: Dsn) -> list[str]:
    """Apply what is pending, with a line for each migration, and return their ids."""
    return runner.apply(dsn, resource_folder("migrations"), on_done=_report("applied"))


def _report(done: str) -> runner.OnDone:
    return lambda migration_id, seconds: click.echo(f"{migration_id}  {done} in {seconds:.2f} s")
