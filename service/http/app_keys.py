"""The keys of the application, by which a request reaches what it shares with all others."""

import asyncio
from pathlib import Path

from aiohttp import web

from service.database.pool import Database
from service.database.queries import Executor
from service.settings import Network

CATALOGUE: web.AppKey[Path | None] = web.AppKey("catalogue", Path)
"""The page about the queries; None where it is not shown."""
CORS_ORIGINS: web.AppKey[frozenset[str]] = web.AppKey("cors_origins", frozenset)
"""The origins whose pages may read the answers."""
DATABASE = web.AppKey("database", Database)
DRAINING = web.AppKey("draining", asyncio.Event)
"""Set once the service is shutting down."""
LISTENING = web.AppKey("listening", asyncio.Event)
"""Set while this process hears at once of whatever stops an access token."""
OPENAPI = web.AppKey("openapi", bytes)
"""The document that describes every route."""
READ_TIMEOUT = web.AppKey("read_timeout", float)
"""Seconds in which a body must arrive."""
REFUSING = web.AppKey("refusing", asyncio.Event)
"""Set once the time for new requests is over; those that were accepted before are still being answered."""
REQUIRE_IF_MATCH = web.AppKey("require_if_match", bool)
"""True if a change without If-Match is refused."""
TRUSTED_PROXIES: web.AppKey[tuple[Network, ...]] = web.AppKey("trusted_proxies", tuple)
"""The networks of the proxies whose X-Forwarded-For is believed."""

EXECUTOR: web.RequestKey[Executor] = web.RequestKey("executor", Executor)
"""The connection of the transaction that a request is answered in, where there is one."""


def executor(request: web.Request) -> Executor:
    """Return what the queries of a request run on: the connection of its transaction, else the pool."""
    found: Executor = request.get(EXECUTOR, request.app[DATABASE])
    return found
