"""Fixtures for tests that need users of their own, but no database of their own: one service for a whole module.

To make a database and start a service takes longer than most of these tests. What they change belongs to users that
nobody else knows, and every statement is limited to its user. A test that changes more than that asks for a
database with `dsn`, and starts a service on it. A folder's conftest takes these fixtures in the place of its parent's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import count
from time import monotonic

import asyncpg
import pytest

from service.accounts.sessions import SESSIONS
from service.database import embedded
from service.database.queries import queries
from service.dsn import Dsn
from service.http.app_keys import DATABASE
from service.settings import Settings
from tests.conftest import VERSIONS, Api, Service, connected, database_like, started

__all__ = ["alice", "bob", "connection", "new_database", "new_user", "service", "shared_dsn"]

NewUser = Callable[[], Awaitable[Api]]
NewDatabase = Callable[[], AbstractAsyncContextManager[Dsn]]

# For promises that do not depend on the PostgreSQL behind the service, and for those among them that do after all.
on_one_postgresql = pytest.mark.on_postgresql(VERSIONS[0])
on_each_postgresql = pytest.mark.on_postgresql(*VERSIONS)

_numbers = count(1)


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float) -> float:
    """Wait for something, so many seconds at most, and return how long that took."""
    began = monotonic()
    while not await holds():
        assert monotonic() - began < seconds
        await asyncio.sleep(0.005)
    return monotonic() - began


@pytest.fixture(scope="module")
async def shared_dsn(postgres: embedded.Server, template: Dsn) -> AsyncIterator[Dsn]:
    """A database for the module."""
    async with database_like(postgres, template) as dsn:
        yield dsn


@pytest.fixture
def new_database(postgres: embedded.Server, template: Dsn) -> NewDatabase:
    """Make a database for a part of a test, and drop it."""
    return lambda: database_like(postgres, template)


@pytest.fixture(scope="module")
async def service(settings: Settings, shared_dsn: Dsn) -> AsyncIterator[Service]:
    """The service on the module's database."""
    async with started(settings, shared_dsn) as service:
        yield service


@pytest.fixture(scope="module")
async def connection(shared_dsn: Dsn) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to the module's database."""
    async with connected(shared_dsn) as connection:
        yield connection


@pytest.fixture
def new_user(service: Service, anybody: Api, password_hash: str) -> NewUser:
    """Make a user whom no other test knows, by what registering and logging in amount to."""

    async def new_user() -> Api:
        app, email = service.app, f"user-{next(_numbers)}@example.com"
        user = await queries.create_user(app[DATABASE], email=email, password_hash=password_hash)
        pair = await app[SESSIONS].begin(app[DATABASE], user["id"], password_hash)
        assert pair
        return replace(anybody, token=pair["access_token"], user_id=str(user["id"]))

    return new_user


@pytest.fixture
async def alice(new_user: NewUser) -> Api:
    """A user of the test's own."""
    return await new_user()


@pytest.fixture
async def bob(new_user: NewUser) -> Api:
    """Another user of the test's own."""
    return await new_user()
