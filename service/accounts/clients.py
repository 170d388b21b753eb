"""Service clients: other services that call this one as themselves, each with a secret and scopes of its own."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from uuid import UUID

from service.database.queries import Executor, queries
from service.http.replies import Record

_SECRET_BYTES = 32
# So that a scanner for leaked secrets knows one when it sees it.
_SECRET_PREFIX = "tsc_"  # noqa: S105 -- no secret, but what begins one
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")


class ClientRefused(Exception):  # noqa: N818 -- the state of what was asked for
    """A client cannot be made or changed; the message is one line."""


def check_name(name: str) -> str:
    """Return a name, if a client can have it; it must not look like an id, since a client is named by either.

    Raises:
        ValueError: it cannot; the message says what can.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("Must have 1 to 100 letters, digits, spaces, dots, underscores or hyphens, no sign first.")
    try:
        UUID(name)
    except ValueError:
        return name
    raise ValueError("Must not look like an id.")


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 digest that is stored of a secret, which is random and needs nothing slower."""
    return hashlib.sha256(secret.encode()).digest()


async def create_client(executor: Executor, name: str, scopes: Iterable[str]) -> tuple[Record, str]:
    """Register a client.

    Returns:
        The client and its secret, which nobody can be told again.

    Raises:
        ClientRefused: the name is taken.
    """
    secret = _draw_secret()
    client = await queries.create_client(
        executor, name=name, scopes=sorted(set(scopes)), secret_hash=hash_secret(secret)
    )
    if client is None:
        raise ClientRefused(f"There is a client named {name} already.")
    return client, secret


async def rotate_client(executor: Executor, client: str, overlap: int) -> tuple[Record, str]:
    """Give a client, named by its name or its id, a new secret.

    Args:
        executor: what the database is asked on.
        client: the name or the id.
        overlap: for how many seconds the secret before stays good.

    Returns:
        The client and the secret, which nobody can be told again.

    Raises:
        ClientRefused: there is no such client, or it is revoked.
    """
    secret = _draw_secret()
    row = await queries.update_client_secret(
        executor, client=_storable(client), secret_hash=hash_secret(secret), overlap=overlap
    )
    if row is None:
        raise _unknown(client)
    return row, secret


async def revoke_client(executor: Executor, client: str) -> Record:
    """Revoke a client, named by its name or its id, for good; its access tokens stop working at once.

    Raises:
        ClientRefused: there is no such client, or it is revoked already.
    """
    row: Record | None = await queries.update_client_revoked(executor, client=_storable(client))
    if row is None:
        raise _unknown(client)
    return row


def _draw_secret() -> str:
    return _SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def _storable(client: str) -> str:
    """Return the argument of a command as PostgreSQL can be asked for it; an id has one letter case there."""
    text = client.encode(errors="replace").decode()
    try:
        return str(UUID(text))
    except ValueError:
        return text


def _unknown(client: str) -> ClientRefused:
    return ClientRefused(f"There is no client {client!a}, or it is revoked.")
