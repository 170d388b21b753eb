"""The pool: every wait is bounded, nothing is reset, and a connection that is old, dead or stale is replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from time import monotonic, perf_counter

import asyncpg
import pytest
from structlog.testing import capture_logs

from service.database import embedded, pool
from service.database.errors import DatabaseUnusable, Overloaded, is_unavailable
from service.database.pool import Database, PoolStatus
from service.database.queries import queries
from service.dsn import Dsn
from service.settings import Settings
from tests.conftest import as_app, connected
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql


@asynccontextmanager
async def _opened(dsn: Dsn, settings: Settings) -> AsyncIterator[Database]:
    database = await Database.connect(as_app(dsn), settings)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(dsn: Dsn, settings: Settings) -> AsyncIterator[Database]:
    """A pool of 2 + 2 connections to the test's database."""
    async with _opened(dsn, settings) as database:
        yield database


async def _pid(database: Database) -> int:
    pid: int = await database.fetchval("SELECT pg_backend_pid()")
    return pid


async def test_a_request_beyond_the_last_connection_waits_its_time_and_is_refused(dsn: Dsn, settings: Settings) -> None:
    async with _opened(dsn, replace(settings, pool_timeout=0.2)) as database, AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(database.connection())
        started = perf_counter()
        with pytest.raises(Overloaded):
            await queries.get_server_version(database)
        waited = perf_counter() - started
        print(f"refused after {waited:.3f} s of 0.2")  # noqa: T201 -- the guarantee's figure
        assert 0.15 <= waited < 1
    assert database.status().checked_out == 0


async def test_a_request_that_waits_gets_the_connection_that_comes_free(dsn: Dsn, settings: Settings) -> None:
    async with _opened(dsn, replace(settings, pool_size=1, pool_max_overflow=0)) as database:
        async with database.connection():
            waiting = asyncio.create_task(_pid(database))
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting == await _pid(database)


async def test_a_request_that_is_given_up_while_waiting_leaves_no_connection_behind(
    dsn: Dsn, settings: Settings
) -> None:
    async with _opened(dsn, replace(settings, pool_size=1, pool_max_overflow=0)) as database:
        async with database.connection():
            waiting = [asyncio.create_task(_pid(database)) for _ in range(20)]
            await asyncio.sleep(0)
            for task in waiting[::2]:
                task.cancel()
        gathered = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(answer, asyncio.CancelledError) for answer in gathered] == [True, False] * 10
        assert database.status() == PoolStatus(size=1, checked_in=1, checked_out=0, overflow=0, total=1)


async def test_the_status_counts_what_is_lent(database: Database) -> None:
    assert database.status() == PoolStatus(size=2, checked_in=2, checked_out=0, overflow=0, total=2)
    async with AsyncExitStack() as held:
        for _ in range(3):
            await held.enter_async_context(database.connection())
        assert database.status() == PoolStatus(size=2, checked_in=0, checked_out=3, overflow=1, total=3)
    assert database.status() == PoolStatus(size=2, checked_in=3, checked_out=0, overflow=1, total=3)


async def test_a_statement_is_one_round_trip_and_nothing_is_reset(
    dsn: Dsn, settings: Settings, postgres: embedded.Server
) -> None:
    async with connected(dsn) as administrator:
        await administrator.execute(f"ALTER DATABASE {dsn.database} SET log_statement = 'all'")
    log = postgres.folder / "server.log"
    before = log.stat().st_size
    async with _opened(dsn, replace(settings, pool_size=1, pool_max_overflow=0)) as database:
        for _ in range(3):
            await queries.get_server_version(database)
    async with connected(replace(dsn, parameters=(*dsn.parameters, ("application_name", "end_of_log")))) as last:
        await last.execute("SELECT 'the end of the log'")
    with log.open("rb") as file:
        file.seek(before)
        lines = [line for line in file.read().decode().splitlines() if "LOG:  " in line]
    said = [line.partition("LOG:  ")[2] for line in lines]
    # Whatever runs in parallel on this server logs nothing: log_statement is set for this database alone.
    statements = [line for line in said if line.startswith(("execute", "statement:"))]
    assert [line.partition(": ")[2].startswith("SELECT /* get_server_version */") for line in statements] == [
        True,
        True,
        True,
        False,
    ]
    assert "the end of the log" in statements[-1]


@on_each_postgresql
async def test_a_statement_that_takes_too_long_is_stopped_by_the_server(dsn: Dsn, settings: Settings) -> None:
    async with _opened(dsn, replace(settings, statement_timeout=0.1)) as database:
        started = perf_counter()
        with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
            await database.fetchval("SELECT pg_sleep(30)")
        assert perf_counter() - started < 1
        assert await database.fetchval("SELECT 1") == 1


@on_each_postgresql
async def test_a_transaction_that_lies_idle_is_ended_by_the_server(dsn: Dsn, settings: Settings) -> None:
    async with _opened(dsn, replace(settings, statement_timeout=0.1)) as database:
        with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresError)) as ended:  # noqa: PT012 -- the loan ends by it
            async with database.connection() as connection:
                gone = asyncio.Event()
                connection.add_termination_listener(lambda _: gone.set())
                await connection.execute("BEGIN")
                async with asyncio.timeout(5):
                    await gone.wait()
                await connection.execute("SELECT 1")
        assert is_unavailable(ended.value)
        assert await database.fetchval("SELECT 1") == 1


async def test_a_connection_that_dies_after_its_last_answer_harms_nothing(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with database.connection() as lent:
        gone = asyncio.Event()
        lent.add_termination_listener(lambda _: gone.set())
        await connection.execute("SELECT pg_terminate_backend($1)", lent.get_server_pid())
        async with asyncio.timeout(5):
            await gone.wait()
    assert await database.fetchval("SELECT 1") == 1
    assert database.status().checked_out == 0


@on_each_postgresql
async def test_every_session_has_the_settings_that_the_service_relies_on(database: Database) -> None:
    names = ("application_name", "statement_timeout", "idle_in_transaction_session_timeout", "jit", "TimeZone")
    shown = [await database.fetchval("SELECT current_setting($1)", name) for name in names]
    assert shown == ["task-service", "5s", "5s", "off", "UTC"]


async def test_a_connection_that_is_too_old_is_replaced_before_a_request_meets_it(
    dsn: Dsn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _opened(dsn, replace(settings, pool_size=1, pool_max_overflow=0)) as database:
        first = await _pid(database)
        now = monotonic()
        monkeypatch.setattr(pool, "monotonic", lambda: now + settings.pool_recycle - 1)
        assert await _pid(database) == first
        monkeypatch.setattr(pool, "monotonic", lambda: now + settings.pool_recycle + 1)
        second = await _pid(database)
        assert second != first
        assert await _pid(database) == second
        assert database.status().total == 1


async def test_a_dead_connection_that_lay_idle_is_replaced_before_a_request_meets_it(
    dsn: Dsn, settings: Settings, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_TRUSTED_IDLE_SECONDS", 0.0)
    async with _opened(dsn, replace(settings, pool_size=2, pool_max_overflow=0)) as database:
        for _ in range(2):
            await connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = 'task-service' AND datname = current_database()"
            )
            assert await queries.get_server_version(database)
        assert database.status().checked_out == 0


async def test_a_connection_that_lay_idle_is_asked_and_one_in_use_is_not(
    dsn: Dsn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    async with _opened(dsn, replace(settings, pool_size=1, pool_max_overflow=0)) as database:
        async with database.connection() as connection:
            connection.add_query_logger(lambda record: asked.append(record.query))
        await _pid(database)
        monkeypatch.setattr(pool, "_TRUSTED_IDLE_SECONDS", 0.0)
        await _pid(database)
        await asyncio.sleep(0)  # asyncpg tells its query loggers in the loop's next turn
    assert [query.startswith("SELECT /* get_server_version */") for query in asked] == [False, True, False]


async def test_closing_is_quick_although_a_connection_is_held(
    dsn: Dsn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CLOSE_SECONDS", 0.2)
    database = await Database.connect(as_app(dsn), settings)
    held = asyncio.create_task(database.fetchval("SELECT pg_sleep(30)"))
    async with connected(dsn) as connection, asyncio.timeout(5):
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
        while await connection.fetchval(running) == 0:  # noqa: ASYNC110 -- another process, which tells nobody
            await asyncio.sleep(0.01)
    started = perf_counter()
    await database.close()
    took = perf_counter() - started
    print(f"closed in {took:.3f} s while one connection was busy")  # noqa: T201 -- the guarantee's figure
    assert took < 1
    with pytest.raises((asyncpg.InterfaceError, asyncpg.ConnectionDoesNotExistError, OSError)):
        await held


@on_each_postgresql
async def test_connections_to_what_became_a_replica_are_replaced(
    dsn: Dsn, settings: Settings, connection: asyncpg.Connection
) -> None:
    await connection.execute(f"ALTER DATABASE {dsn.database} SET default_transaction_read_only = on")
    async with _opened(dsn, settings) as database:
        async with database.connection() as one, database.connection() as other:
            before = {one.get_server_pid(), other.get_server_pid()}
        assert len(before) == database.status().total == 2
        await connection.execute(f"ALTER DATABASE {dsn.database} SET default_transaction_read_only = off")
        user = {"email": "alice@example.com", "password_hash": "-"}
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await queries.create_user(database, **user)
        for number in range(3):  # every old connection is gone, not just the one that was used
            created = await queries.create_user(database, **(user | {"email": f"{number}@example.com"}))
            assert created["email"] == f"{number}@example.com"
        async with database.connection() as one, database.connection() as other:
            assert before.isdisjoint({one.get_server_pid(), other.get_server_pid()})


async def test_a_transaction_happens_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):  # noqa: PT012 -- the first of the two must not fail
        async with database.transaction() as transaction:
            await queries.create_user(transaction, email="alice@example.com", password_hash="-")
            await queries.create_user(transaction, email="alice@example.com", password_hash="-")
    assert await queries.get_user_credentials(database, email="alice@example.com") is None
    async with database.transaction() as transaction:
        await queries.create_user(transaction, email="alice@example.com", password_hash="-")
    assert await queries.get_user_credentials(database, email="alice@example.com") is not None


async def test_debug_logs_statements_by_name_and_time_and_never_by_argument(dsn: Dsn, settings: Settings) -> None:
    with capture_logs() as events:
        async with _opened(dsn, replace(settings, debug=True)) as database:
            await queries.create_user(database, email="canary@example.com", password_hash="canary")
            await database.fetchval("SELECT $1::text", "canary")
            await asyncio.sleep(0)  # asyncpg tells its query loggers in the loop's next turn
    statements = [event for event in events if event["event"] == "statement"]
    assert [event["name"] for event in statements] == ["create_user", "session"]
    assert all(0 < event["ms"] < 5000 for event in statements)
    assert "canary" not in str(events)


async def test_without_debug_no_statement_is_logged(database: Database) -> None:
    with capture_logs() as events:
        await queries.get_server_version(database)
        await asyncio.sleep(0)
    assert events == []


async def test_a_statement_bears_its_name_where_a_dba_looks(database: Database, connection: asyncpg.Connection) -> None:
    async with database.connection() as lent:
        await queries.list_applied_migrations(lent)
        last = "SELECT query FROM pg_stat_activity WHERE pid = $1"
        shown = await connection.fetchval(last, lent.get_server_pid())
    assert shown.startswith("SELECT /* list_applied_migrations */")
    assert "FROM _yoyo_migration" in shown


async def test_a_pool_that_cannot_be_opened_says_so(dsn: Dsn, settings: Settings) -> None:
    for refused, reason in (
        (replace(dsn, database="nowhere"), 'database "nowhere" does not exist'),
        (replace(dsn, password="wrong"), "password authentication failed for user"),
    ):
        with pytest.raises(DatabaseUnusable, match=f"^The database at {refused} cannot be used: {reason}"):
            await Database.connect(refused, settings)
