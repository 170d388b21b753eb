"""Health: liveness asks nobody, readiness asks the database, and faults of the database are 503 and pass."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import asyncpg
import psutil
import pytest

from service.database import embedded
from service.dsn import Dsn
from service.http.app_keys import DATABASE, DRAINING
from service.settings import Settings
from tests.conftest import PASSWORD, Answer, Api, Service, connected, started
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

SIZE, OVERFLOW = 2, 2  # of the pool, as tests/conftest.py has it


@asynccontextmanager
async def running(settings: Settings, dsn: Dsn) -> AsyncIterator[tuple[Service, Api]]:
    """Run a service and call it; the caller hangs up first, so that nothing need be drained."""
    async with started(settings, dsn) as service, aiohttp.ClientSession() as session:
        yield service, Api(session, service.url)


@asynccontextmanager
async def refusing(administrator: asyncpg.Connection, database: str) -> AsyncIterator[None]:
    """Have a database that is there, and lets nobody in."""
    await administrator.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    await disconnect(administrator, database)
    try:
        yield
    finally:
        await administrator.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


@asynccontextmanager
async def gone(administrator: asyncpg.Connection, database: str) -> AsyncIterator[None]:
    """Have no database of that name, as while one is restored from a backup."""
    await administrator.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    await disconnect(administrator, database)
    await administrator.execute(f"ALTER DATABASE {database} RENAME TO {database}_away")
    try:
        yield
    finally:
        await administrator.execute(f"ALTER DATABASE {database}_away RENAME TO {database}")
        await administrator.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


async def disconnect(administrator: asyncpg.Connection, database: str) -> None:
    """End every session, and see them gone."""
    of_the_database = "FROM pg_stat_activity WHERE datname = $1"
    await administrator.execute(f"SELECT pg_terminate_backend(pid) {of_the_database}", database)
    while await administrator.fetchval(f"SELECT count(*) {of_the_database}", database):
        pass


async def terminate_waiting(connection: asyncpg.Connection, table: str) -> None:
    """End the session that waits for a table which the connection has locked, once there is one."""
    statement = """
        SELECT coalesce(bool_and(pg_terminate_backend(pid)), false)
        FROM pg_locks
        WHERE NOT granted AND relation = $1::text::regclass
        """
    while not await connection.fetchval(statement, table):
        pass


def assert_is_unavailable(answer: Answer, code: str = "database_unavailable") -> None:
    assert (answer.status, answer.code) == (503, code), answer.text
    assert answer.headers["Retry-After"].isdecimal()


@pytest.mark.parametrize("fault", [refusing, gone], ids=lambda fault: str(fault.__name__))
async def test_without_its_database_the_service_lives_and_is_not_ready(
    settings: Settings, dsn: Dsn, postgres: embedded.Server, fault: type
) -> None:
    async with running(settings, dsn) as (_, anybody), connected(postgres.dsn) as administrator:
        alice = await anybody.new_user("alice@example.com")
        task = await alice.new_task()
        async with fault(administrator, dsn.database):
            async with asyncio.timeout(5):
                while (await alice.get("/health/ready")).body["checks"]["revocations"] == "ok":
                    pass  # the loss of a connection is noticed in a moment
            live, ready = await alice.get("/health/live"), await alice.get("/health/ready")
            assert (live.status, live.body) == (200, {"status": "ok"})
            assert (ready.status, ready.body) == (
                503,
                {
                    "status": "unavailable",
                    "checks": {
                        "database": "unavailable",
                        "migrations": "unknown",
                        "queries": "unknown",
                        "revocations": "stale",
                        "draining": False,
                    },
                },
            )
            db = await alice.get("/health/db")
            assert (db.status, db.body) == (
                503,
                {"status": "unavailable", "latency_ms": None, "server_version": None},
            )
            assert (await alice.get("/health/pool")).body == {
                "size": SIZE,
                "checked_in": 0,
                "checked_out": 0,
                "overflow": 0,
                "total": 0,
            }
            path = f"/api/tasks/{task['id']}"
            for answer in (
                await alice.get("/api/tasks"),
                await alice.post("/api/tasks", {"title": "x"}),
                await alice.patch(path, {"title": "x"}),
                await alice.delete(path),
                await alice.get("/api/users/me"),
                await anybody.post("/api/auth/register", {"email": "bob@example.com", "password": PASSWORD}),
            ):
                assert_is_unavailable(answer)
        assert [(await alice.get(f"/health/{name}")).status for name in ("live", "db")] == [200] * 2
        async with asyncio.timeout(5):
            while (await alice.get("/health/ready")).status != 200:
                pass  # it has to listen again first
        assert (await alice.get("/api/tasks")).body["items"] == [task]


@on_each_postgresql
async def test_a_healthy_service_says_so_to_everybody(anybody: Api, connection: asyncpg.Connection) -> None:
    live, ready, db = [await anybody.get(f"/health/{name}") for name in ("live", "ready", "db")]
    assert (live.status, live.body) == (200, {"status": "ok"})
    checks = {"database": "ok", "migrations": "ok", "queries": "ok", "revocations": "ok", "draining": False}
    assert (ready.status, ready.body) == (200, {"status": "ok", "checks": checks})
    assert db.status == 200
    assert db.body.keys() == {"status", "latency_ms", "server_version"}
    assert db.body["status"] == "ok"
    assert 0 < db.body["latency_ms"] < 10_000
    assert db.body["server_version"] == await connection.fetchval("SHOW server_version")
    assert {answer.headers["Content-Type"].split(";")[0] for answer in (live, ready, db)} == {"application/json"}


ONE_MORE = "INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '9999.from-the-future')"
FIRST_LESS, LAST_LESS = (
    f"DELETE FROM _yoyo_migration WHERE migration_id = (SELECT {which}(migration_id) FROM _yoyo_migration)"
    for which in ("min", "max")
)


@pytest.mark.parametrize(
    ("statement", "migrations"),
    [
        (LAST_LESS, "behind"),
        (FIRST_LESS, "behind"),
        (f"{LAST_LESS}; {ONE_MORE}", "behind"),
        ("DROP TABLE _yoyo_migration", "behind"),
        ("REVOKE SELECT ON _yoyo_migration FROM task_app", "unknown"),
    ],
    ids=["the last less", "the first less", "one less and one more", "none ever", "none that may be read"],
)
async def test_a_schema_that_is_behind_the_code_is_not_ready(
    settings: Settings, dsn: Dsn, statement: str, migrations: str
) -> None:
    async with running(settings, dsn) as (_, anybody), connected(dsn) as connection:
        assert (await anybody.get("/health/ready")).status == 200
        await connection.execute(statement)
        ready = await anybody.get("/health/ready")
        assert ready.status == 503
        assert ready.body == {
            "status": "unavailable",
            "checks": {
                "database": "ok",
                "migrations": migrations,
                "queries": "unknown",
                "revocations": "ok",
                "draining": False,
            },
        }
        assert (await anybody.get("/health/live")).status == 200


@pytest.mark.parametrize(
    "statement", [ONE_MORE, ONE_MORE.replace("9999", "0000")], ids=["of the next release", "of another branch"]
)
async def test_a_schema_that_is_ahead_of_the_code_is_ready_as_its_queries_suit_it(
    settings: Settings, dsn: Dsn, statement: str
) -> None:
    async with running(settings, dsn) as (_, anybody), connected(dsn) as connection:
        await connection.execute(statement)
        ready = await anybody.get("/health/ready")
        assert (ready.status, ready.body) == (
            200,
            {
                "status": "ok",
                "checks": {
                    "database": "ok",
                    "migrations": "ahead",
                    "queries": "ok",
                    "revocations": "ok",
                    "draining": False,
                },
            },
        )
        assert (await (await anybody.new_user("alice@example.com")).new_task())["version"] == 1


async def test_a_draining_service_answers_and_is_not_ready(settings: Settings, shared_dsn: Dsn) -> None:
    async with running(settings, shared_dsn) as (service, anybody):
        before = await anybody.get("/health/live")
        service.app[DRAINING].set()
        ready = await anybody.get("/health/ready")
        assert ready.status == 503
        assert ready.body["checks"] == {
            "database": "ok",
            "migrations": "ok",
            "queries": "ok",
            "revocations": "ok",
            "draining": True,
        }
        live = await anybody.get("/health/live")
        assert live.status == 200
        assert (before.headers.get("Connection"), live.headers.get("Connection")) == (None, "close")


async def test_the_pools_counts_add_up_while_connections_are_held(settings: Settings, shared_dsn: Dsn) -> None:
    async with running(settings, shared_dsn) as (service, anybody):
        async with AsyncExitStack() as held:
            for out in range(SIZE + OVERFLOW + 1):
                total = max(SIZE, out)
                assert (await anybody.get("/health/pool")).body == {
                    "size": SIZE,
                    "checked_in": total - out,
                    "checked_out": out,
                    "overflow": max(0, out - SIZE),
                    "total": total,
                }
                if out < SIZE + OVERFLOW:
                    await held.enter_async_context(service.app[DATABASE].connection())
        after = (await anybody.get("/health/pool")).body
        assert (after["checked_out"], after["checked_in"]) == (0, after["total"])


async def test_an_exhausted_pool_is_503_within_its_budget_and_liveness_does_not_wait(
    settings: Settings, shared_dsn: Dsn
) -> None:
    budget = 0.3
    async with running(replace(settings, pool_timeout=budget), shared_dsn) as (service, anybody):
        alice = await anybody.new_user("exhausted@example.com")
        async with AsyncExitStack() as held:
            for _ in range(SIZE + OVERFLOW):
                await held.enter_async_context(service.app[DATABASE].connection())
            began = time.perf_counter()
            live = await alice.get("/health/live")
            assert (live.status, time.perf_counter() - began < budget) == (200, True)
            began = time.perf_counter()
            answers = await asyncio.gather(
                *(alice.get("/api/tasks") for _ in range(5)), alice.post("/api/tasks", {"title": "x"})
            )
            took = time.perf_counter() - began
            for answer in answers:
                assert_is_unavailable(answer, "overloaded")
            ready = await alice.get("/health/ready")
            assert (ready.status, (await alice.get("/health/db")).status) == (503, 503)
        print(  # noqa: T201 -- the guarantee's figure
            f"\nrefused {len(answers)}, slowest {took:.2f} s, budget {budget} s"
        )
        assert budget <= took < budget + 1
        assert (await alice.get("/api/tasks")).body["items"] == []


async def test_a_request_gets_the_connection_that_comes_free_in_time(settings: Settings, shared_dsn: Dsn) -> None:
    settings = replace(settings, pool_size=1, pool_max_overflow=0, pool_timeout=10.0)
    async with running(settings, shared_dsn) as (service, anybody):
        alice = await anybody.new_user("patient@example.com")
        async with service.app[DATABASE].connection():
            waiting = asyncio.create_task(alice.get("/api/tasks"))
            await anybody.get("/health/live")
            assert not waiting.done()
        assert (await waiting).status == 200


@on_each_postgresql
async def test_a_connection_that_ends_under_a_request_is_503_and_the_next_one_works(
    alice: Api, connection: asyncpg.Connection
) -> None:
    task = await alice.new_task()
    path = f"/api/tasks/{task['id']}"
    for method, body in (("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)):
        async with connection.transaction():
            await connection.execute("LOCK TABLE tasks")
            request = asyncio.create_task(alice.send(method, path, body))
            await terminate_waiting(connection, "tasks")
            assert_is_unavailable(await request)
        assert (await alice.get(path)).body == task
    pool = (await alice.get("/health/pool")).body
    assert pool["checked_out"] == 0


async def test_a_statement_that_takes_too_long_is_503_within_its_budget(settings: Settings, shared_dsn: Dsn) -> None:
    budget = 0.2
    async with (
        running(replace(settings, statement_timeout=budget), shared_dsn) as (_, anybody),
        connected(shared_dsn) as connection,
    ):
        alice = await anybody.new_user("slow@example.com")
        async with connection.transaction():
            await connection.execute("LOCK TABLE tasks")
            began = time.perf_counter()
            assert_is_unavailable(await alice.post("/api/tasks", {"title": "x"}))
            took = time.perf_counter() - began
        assert budget <= took < budget + 1
        assert (await alice.get("/api/tasks")).body["items"] == []


async def test_idle_connections_that_ended_are_not_used(
    settings: Settings, shared_dsn: Dsn, connection: asyncpg.Connection
) -> None:
    sessions = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'task-service'"
    async with running(settings, shared_dsn) as (_, anybody):
        ended = await connection.fetchval(f"SELECT array_agg(pid) {sessions}")
        await connection.execute(f"SELECT pg_terminate_backend(pid) {sessions}")
        async with asyncio.timeout(5):
            # The pool replaces them once it has noticed.
            while await connection.fetchval(f"SELECT count(*) {sessions} AND pid <> ALL ($1)", ended) < SIZE:
                assert (await anybody.get("/health/pool")).body["checked_out"] == 0
        assert (await anybody.get("/health/db")).status == 200


async def test_nobody_waits_without_end_for_a_frozen_server(
    settings: Settings, shared_dsn: Dsn, postgres: embedded.Server
) -> None:
    waits = replace(settings, pool_timeout=0.2, statement_timeout=0.2)
    # A statement's own time, a second for a server that no longer keeps it, a second to give the connection up.
    budget = waits.pool_timeout + waits.statement_timeout + 1 + 1
    async with running(waits, shared_dsn) as (_, anybody):
        alice = await anybody.new_user("frozen@example.com")
        task = await alice.new_task()
        postmaster = psutil.Process(postgres.pid)
        frozen = [postmaster, *postmaster.children(recursive=True)]
        for process in frozen:
            process.suspend()
        try:
            started_at = time.monotonic()
            answers = await asyncio.gather(*(alice.get(f"/api/tasks/{task['id']}") for _ in range(8)))
            slowest = time.monotonic() - started_at
            assert (await anybody.get("/health/live")).status == 200
            assert (await anybody.get("/health/ready")).status == 503
        finally:
            for process in reversed(frozen):
                process.resume()
        for answer in answers:
            assert_is_unavailable(answer)
        assert slowest < budget + 1  # which the machine may need for itself
        assert (await alice.get(f"/api/tasks/{task['id']}")).status == 200
    print(f"frozen server: 8 answers, the slowest in {slowest:.2f} s of {budget:.1f} s")  # noqa: T201 -- the figure
