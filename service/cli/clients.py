"""Service clients: other services that call this one as themselves."""

from datetime import UTC, datetime

import click

from service.accounts.clients import check_name, create_client, revoke_client, rotate_client
from service.cli.common import YEAR_SECONDS, as_json_option, ask, echo_json
from service.database.queries import queries
from service.http.oauth_scopes import SCOPES
from service.http.replies import Record

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@click.group()
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
@as_json_option
def create(name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Register a client, and show its secret this once."""
    client, secret = ask(lambda database: create_client(database, name, scopes))
    _show_secret(client, secret, as_json=as_json)


@clients.command(name="list")
@as_json_option
def list_clients(*, as_json: bool) -> None:
    """List the clients, revoked ones too."""
    rows: list[Record] = ask(lambda database: queries.list_clients(database))  # noqa: PLW0108 -- to name it may be refused, too
    if as_json:
        told = [{"client_id" if name == "id" else name: value for name, value in row.items()} for row in rows]
        echo_json(told)
        return
    for row in rows:
        click.echo(f"{row['id']}  {row['name']}  {' '.join(row['scopes'])}{_state(row)}")


@clients.command()
@click.argument("client")
@click.option(
    "--overlap",
    type=click.IntRange(0, YEAR_SECONDS),
    default=86_400,
    show_default=True,
    help="For how many seconds the secret before stays good; 0 ends it at once.",
)
@as_json_option
def rotate(client: str, overlap: int, *, as_json: bool) -> None:
    """Give a client, named by its name or its id, a new secret, and show it this once."""
    row, secret = ask(lambda database: rotate_client(database, client, overlap))
    _show_secret(row, secret, as_json=as_json)


@clients.command()
@click.argument("client")
def revoke(client: str) -> None:
    """Revoke a client, named by its name or its id, for good. Its access tokens stop working at once."""
    row = ask(lambda database: revoke_client(database, client))
    click.echo(f"{row['id']}  {row['name']}  revoked")


def _state(client: Record) -> str:
    """Say what is out of the ordinary about a client."""
    overlap_ends = client["previous_secret_expires_at"]
    if client["revoked_at"]:
        return f"  revoked {client['revoked_at']:{_TIME}}"
    if overlap_ends and overlap_ends > datetime.now(UTC):
        return f"  two secrets until {overlap_ends:{_TIME}}"
    return ""


def _show_secret(client: Record, secret: str, *, as_json: bool) -> None:
    told = {"client_id": str(client["id"]), "client_secret": secret, "name": client["name"], "scopes": client["scopes"]}
    if as_json:
        echo_json(told)
        return
    click.echo(f"client_id: {told['client_id']}\nclient_secret: {secret}")
    click.echo("Keep the secret now: it is shown this once.", err=True)
