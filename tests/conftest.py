"""The fixtures of every test: a real PostgreSQL, a database of its own, the service on it, and people who use it."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, NoReturn, Self

import aiohttp
import asyncpg
import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestClient
from multidict import CIMultiDictProxy
from psycopg.sql import SQL, Identifier, Literal
from pytest_aiohttp import AiohttpClient
from yarl import URL

from service.accounts.passwords import Passwords
from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.resources import resource_folder
from service.serve import bind, serving
from service.settings import Settings
from tests import canary

VERSIONS = ("postgresql-18", "postgresql-15")
POSTGRESQL_15 = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "correct horse battery staple"  # which tests/canary.py knows
JWT_SECRET = f"{canary.MARK}-secret-that-is-only-for-the-tests"
# Where Linux keeps files in memory, initdb and CREATE DATABASE do not wait for a disk.
# A run takes half a GiB of it, and starts programs that it has copied there.
_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30
# A test's data need not survive the machine.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
# Who runs the service, in every test: a member of task_app, who may do what its statements do and nothing else.
_APP = ("task_service", f"{canary.MARK}-password-of-the-service")
_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Search whatever is logged for secrets, and work in memory where there is room and TMPDIR says nothing else."""
    config.pluginmanager.register(canary)
    if "TMPDIR" not in os.environ and _MEMORY.is_dir():
        state = os.statvfs(_MEMORY)
        if state.f_bavail * state.f_frsize >= _ROOM and not state.f_flag & os.ST_NOEXEC:
            # For what the tests start, and for this process, which may have looked already.
            os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a PostgreSQL on each version, or on those that its mark names."""
    if "postgres" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("on_postgresql")
        metafunc.parametrize("postgres", mark.args if mark else VERSIONS, indirect=True, scope="session")


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[embedded.Server]:
    """A server of each major version that the service supports and the machine has."""
    if request.param == "postgresql-15" and not POSTGRESQL_15.is_dir():
        pytest.skip(f"PostgreSQL 15 is not here: {POSTGRESQL_15} (Debian 12: apt-get install postgresql-15)")
    binaries = POSTGRESQL_15 if request.param == "postgresql-15" else None
    with embedded.temporary(binaries=binaries, options=_FAST) as server:
        with psycopg.connect(server.dsn.libpq_url, autocommit=True) as administrator:
            administrator.execute("CREATE ROLE task_app")
            administrator.execute(
                SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE task_app").format(Identifier(_APP[0]), Literal(_APP[1]))
            )
        yield server
        canary.search_file(server.folder / "server.log", canary.SECRETS_OF_POSTGRESQL)


@pytest.fixture(scope="session")
def pg_dump(postgres: embedded.Server) -> Path:
    """The pg_dump of the server's own version."""
    return postgres.binaries / "pg_dump"


@pytest.fixture(scope="session")
async def template(postgres: embedded.Server) -> Dsn:
    """A database that has had every migration, to be cloned."""
    async with connected(postgres.dsn) as administrator:
        await administrator.execute("CREATE DATABASE migrated")
    dsn = replace(postgres.dsn, database="migrated")
    await asyncio.to_thread(runner.apply, dsn, resource_folder("migrations"))
    return dsn


@pytest.fixture
async def dsn(postgres: embedded.Server, template: Dsn) -> AsyncIterator[Dsn]:
    """A database of the test's own, with the schema and no users."""
    async with database_like(postgres, template) as dsn:
        yield dsn


@pytest.fixture
async def empty_database(postgres: embedded.Server) -> AsyncIterator[Dsn]:
    """A database of the test's own, with nothing in it."""
    async with database_like(postgres, replace(postgres.dsn, database="template0")) as dsn:
        yield dsn


@pytest.fixture
async def connection(dsn: Dsn) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to the test's database, for looking past the service."""
    async with connected(dsn) as connection:
        yield connection


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings as a test wants them: quick hashes, short waits, and otherwise the defaults."""
    return Settings(
        app_env="development",
        data_dir=tmp_path_factory.getbasetemp(),
        database_url=None,
        host="127.0.0.1",
        port=0,
        workers=1,
        jwt_secret=JWT_SECRET,
        jwt_keys=(),
        jwt_issuer="task-service",
        jwt_audience="task-service",
        password_pepper=f"{canary.MARK}-pepper-that-is-only-for-the-tests",
        access_token_ttl=900,
        refresh_token_ttl=2_592_000,
        # So many that only tests of these limits meet them.
        login_failures_per_account=1000,
        login_failures_per_address=100_000,
        trusted_proxies=(),
        bcrypt_cost=4,
        pool_size=2,
        pool_max_overflow=2,
        pool_timeout=1.0,
        pool_recycle=3600.0,
        db_connect_timeout=5.0,
        statement_timeout=5.0,
        max_body_bytes=65536,
        read_timeout=1.0,
        cors_origins=frozenset({"https://app.example.com"}),
        require_if_match=False,
        shutdown_timeout=5.0,
        debug=False,
        log_level="info",
        log_format="json",
    )


class Service(BaseTestServer):
    """The service as `serve` runs it, but for the signals, and as task_app: for the clients that aiohttp has for tests.

    It runs from the first who starts it to the last who closes it, so that tests can share one. TestServer of aiohttp
    would read requests by another protocol, and cancel a handler whose client has left.
    """

    url: str
    app: web.Application

    def __init__(self, settings: Settings, dsn: Dsn) -> None:
        super().__init__()
        self._settings = settings
        self._dsn = as_app(dsn)
        self._users = 0

    async def start_server(self, *_: Any, **__: Any) -> None:
        if self._users == 0:
            async with AsyncExitStack() as stack:
                listener = stack.enter_context(bind(self._settings))
                self.app = await stack.enter_async_context(serving(self._settings, self._dsn, listener))
                self._root = URL.build(scheme="http", host=self._settings.host, port=listener.getsockname()[1])
                self.url = str(self._root)
                self._running = stack.pop_all()
        self._users += 1

    async def close(self) -> None:
        self._users -= 1
        if self._users == 0:
            await self._running.aclose()

    async def _make_runner(self, **_: Any) -> NoReturn:
        raise AssertionError("`serving` has a runner of its own")


def as_app(dsn: Dsn) -> Dsn:
    """The same database, for the service: as a login that is a member of task_app."""
    user, password = _APP
    return replace(dsn, user=user, password=password)


@asynccontextmanager
async def started(settings: Settings, dsn: Dsn) -> AsyncIterator[Service]:
    """Run the service while the block runs."""
    service = Service(settings, dsn)
    async with service:
        yield service


@pytest.fixture
async def service(settings: Settings, dsn: Dsn) -> AsyncIterator[Service]:
    """The service on the test's database."""
    async with started(settings, dsn) as service:
        yield service


@pytest.fixture(scope="session")
async def password_hash(settings: Settings) -> str:
    """The hash of PASSWORD, for users who need not register."""
    passwords = Passwords(settings.password_pepper, settings.bcrypt_cost)
    try:
        return await passwords.hash(PASSWORD)
    finally:
        passwords.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    text: str
    body: Any

    @property
    def code(self) -> str:
        """The code of a problem; fails on any other answer."""
        assert self.headers["Content-Type"] == "application/problem+json", self.text
        return str(self.body["code"])

    @property
    def told(self) -> tuple[int, Any]:
        """The status and the body, but for what names the request that it belongs to."""
        own = {"request_id", "instance"}
        body = {name: value for name, value in self.body.items() if name not in own} if self.body else self.text
        return self.status, body


@dataclass(frozen=True, slots=True)
class Api:
    """A caller of the service: anonymous, or with the access token of one user."""

    session: aiohttp.ClientSession
    url: str
    token: str | None = None
    user_id: str | None = None

    async def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **options: Any
    ) -> Answer:
        """Send one request; `body` is sent as JSON, `data=` as it is."""
        headers = {"Authorization": f"Bearer {self.token}", **(headers or {})} if self.token else headers
        json = {"json": body} if body is not None else {}
        async with self.session.request(method, self.url + path, headers=headers, **json, **options) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("Content-Type", "") and text
            return Answer(
                response.status, response.headers, text, await response.json(content_type=None) if is_json else None
            )

    async def get(self, path: str, **options: Any) -> Answer:
        """Send a GET."""
        return await self.send("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a POST."""
        return await self.send("POST", path, body, **options)

    async def patch(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a PATCH."""
        return await self.send("PATCH", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        """Send a DELETE."""
        return await self.send("DELETE", path, **options)

    async def new_user(self, email: str) -> Self:
        """Register a user and log in."""
        login = {"email": email, "password": PASSWORD}
        registered = await self.post("/api/auth/register", login)
        assert registered.status == 201, registered.text
        answer = await self.post("/api/auth/login", login)
        return replace(self, token=answer.body["access_token"], user_id=registered.body["id"])

    async def new_task(self, title: str = "Water the plants", **members: Any) -> Any:
        """Create a task and return it."""
        answer = await self.post("/api/tasks", {"title": title, **members})
        assert answer.status == 201, answer.text
        return answer.body


StartService = Callable[[Settings, Dsn], Awaitable[Api]]


@pytest.fixture
def start_service(aiohttp_client: AiohttpClient) -> StartService:
    """Start a service of the test's own, which runs to its end; gives a caller without a token.

    Its database stands before this among the test's arguments: what comes last goes first.
    """

    async def start_service(settings: Settings, dsn: Dsn) -> Api:
        return _caller(await aiohttp_client(Service(settings, dsn)))

    return start_service


@pytest.fixture
async def anybody(service: Service, aiohttp_client: AiohttpClient) -> Api:
    """A caller without a token."""
    return _caller(await aiohttp_client(service))


def _caller(client: TestClient[web.Request, None]) -> Api:
    return Api(client.session, str(client.make_url("")))


@pytest.fixture
async def alice(anybody: Api) -> Api:
    """A user."""
    return await anybody.new_user("alice@example.com")


@pytest.fixture
async def bob(anybody: Api) -> Api:
    """Another user."""
    return await anybody.new_user("bob@example.com")


@asynccontextmanager
async def connected(dsn: Dsn) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection of asyncpg's own."""
    connection = await asyncpg.connect(dsn.asyncpg_url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def database_like(postgres: embedded.Server, original: Dsn) -> AsyncIterator[Dsn]:
    """Lend a database that begins as a copy of another, to which nobody is connected."""
    name = f"test_{next(_numbers)}"
    async with connected(postgres.dsn) as administrator:
        # Where files are in memory, it is less work to copy them than to log them in the WAL.
        await administrator.execute(f"CREATE DATABASE {name} TEMPLATE {original.database} STRATEGY file_copy")
        try:
            yield replace(postgres.dsn, database=name)
        finally:
            await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
