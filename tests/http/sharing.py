"""Fixtures for tests that need users of their own, but no database of their own: one service for a whole module.

To make a database and start a service costs fifty times what most of these tests do. What they change belongs to users
that nobody else knows, and every statement is limited to its user. A test that changes more than that asks for a
database with `dsn`, and starts a service on it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

import aiohttp
import asyncpg
import pytest

from service.database import embedded
from service.dsn import Dsn
from service.settings import Settings
from tests.conftest import Api, Service, _database_like, connected, started

_numbers = count(1)

NewUser = Callable[[], Awaitable[Api]]
NewDatabase = Callable[[], AbstractAsyncContextManager[Dsn]]


@dataclass(slots=True)
class _Shelf:
    """What the first test of a module puts here and the others find."""

    dsn: Dsn
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    service: Service | None = None
    connection: asyncpg.Connection | None = None


@pytest.fixture(scope="module")
async def shelf(postgres: embedded.Server, template: Dsn) -> AsyncIterator[_Shelf]:
    """A database for the module."""
    async with _database_like(postgres, template.database) as dsn:
        shelf = _Shelf(dsn)
        async with shelf.stack:
            yield shelf


@pytest.fixture
def shared_dsn(shelf: _Shelf) -> Dsn:
    """Where the module's database is."""
    return shelf.dsn


@pytest.fixture
def new_database(postgres: embedded.Server, template: Dsn) -> NewDatabase:
    """Make a database for a part of a test, and drop it."""
    return lambda: _database_like(postgres, template.database)


@pytest.fixture
async def service(settings: Settings, shelf: _Shelf) -> Service:
    """The service on the module's database."""
    if shelf.service is None:
        shelf.service = await shelf.stack.enter_async_context(started(settings, shelf.dsn))
    return shelf.service


@pytest.fixture
async def connection(shelf: _Shelf) -> asyncpg.Connection:
    """A plain connection to the module's database."""
    if shelf.connection is None:
        shelf.connection = await shelf.stack.enter_async_context(connected(shelf.dsn))
    return shelf.connection


@pytest.fixture
async def anybody(service: Service) -> AsyncIterator[Api]:
    """A caller without a token."""
    async with aiohttp.ClientSession() as session:
        yield Api(session, service.url)


@pytest.fixture
def new_user(anybody: Api) -> NewUser:
    """Make a user whom no other test knows."""
    return lambda: anybody.new_user(f"user-{next(_numbers)}@example.com")


@pytest.fixture
async def alice(new_user: NewUser) -> Api:
    """A user of the test's own."""
    return await new_user()


@pytest.fixture
async def bob(new_user: NewUser) -> Api:
    """Another user of the test's own."""
    return await new_user()
