"""The command that makes keys, which sign access tokens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import click

from service.cli.common import YEAR_SECONDS, Refusal, WrongSettings, as_json_option, echo_json
from service.keyring import write_key
from service.settings import keys_folder


@click.group()
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
    type=click.IntRange(0, YEAR_SECONDS),
    default=0,
    show_default=True,
    help="In how many seconds it begins to sign. Until then there is time to give it to every instance.",
)
@as_json_option
def generate(*, kind: Literal["ed25519", "rsa"], folder: Path | None, signs_after: int, as_json: bool) -> None:
    """Write a new private key. Instances read it when they start, and the newest whose time has come signs."""
    folder = folder or keys_folder()
    if folder is None:
        raise WrongSettings("JWT_KEYS: Names no folder to write a key to, and neither does --folder.")
    signs_from = datetime.now(UTC) + timedelta(seconds=signs_after)
    try:
        file, key = write_key(folder, kind, signs_from)
    except OSError as error:
        raise Refusal(f"Cannot write a key into {folder}: {error.strerror}.") from None
    if as_json:
        made = {"file": str(file), "kid": key.id, "alg": key.algorithm, "signs_from": signs_from}
        echo_json(made)
        return
    click.echo(f"{file}  {key.algorithm} key {key.id}, signs from {signs_from:%Y-%m-%dT%H:%M:%SZ}")
