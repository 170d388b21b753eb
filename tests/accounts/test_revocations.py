"""Revocations: an access token stops at once on every process and every instance, and no request asks the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from time import monotonic, time
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from structlog.testing import capture_logs

from service.accounts import revocations
from service.accounts.revocations import REVOCATIONS, Revocations
from service.accounts.sessions import RefreshToken
from service.accounts.tokens import TOKENS
from service.database.listener import Listener
from service.database.queries import Executor
from service.dsn import Dsn
from service.http.app_keys import LISTENING
from service.settings import Settings
from tests.conftest import PASSWORD, Api, Service, StartService, connected, started
from tests.processes import PRODUCTION, folder, serving
from tests.sharing import on_each_postgresql, on_one_postgresql, until

__all__ = ["folder"]

pytestmark = on_one_postgresql

SECONDS = 10
LISTENERS = "FROM pg_stat_activity WHERE application_name = 'task-service listener' AND datname = current_database()"
numbers = count(1)


@dataclass(frozen=True, slots=True)
class Two:
    """Two instances on one database, and somebody who calls each."""

    services: tuple[Service, Service]
    here: Api
    there: Api
    connection: asyncpg.Connection


@pytest.fixture
async def two(settings: Settings, dsn: Dsn) -> AsyncIterator[Two]:
    """Two instances."""
    async with (
        started(settings, dsn) as one,
        started(settings, dsn) as other,
        aiohttp.ClientSession() as session,
        connected(dsn) as connection,
    ):
        yield Two((one, other), Api(session, one.url), Api(session, other.url), connection)


async def until_refused(api: Api) -> float:
    """Wait until a token is refused, and return how long that took."""
    began = monotonic()
    while (await api.get("/api/task-statuses")).status != 401:
        assert monotonic() - began < SECONDS
    return monotonic() - began


async def _new_pair(api: Api) -> tuple[Api, Any]:
    user = await api.new_user(f"user-{next(numbers)}@example.com")
    email = (await user.get("/api/users/me")).body["email"]
    return user, (await api.post("/api/auth/login", {"email": email, "password": PASSWORD})).body


async def _log_out(_two: Two, user: Api, pair: Any) -> None:
    assert (await user.post("/api/auth/logout", {"refresh_token": pair["refresh_token"]})).status == 204


async def _change_password(_two: Two, user: Api, _pair: Any) -> None:
    body = {"current_password": PASSWORD, "new_password": "another horse, another battery"}
    assert (await user.post("/api/users/me/password", body)).status == 204


async def _delete(_two: Two, user: Api, _pair: Any) -> None:
    assert (await user.delete("/api/users/me")).status == 204


async def _reuse(two: Two, user: Api, pair: Any) -> None:
    body = {"refresh_token": pair["refresh_token"]}
    assert (await user.post("/api/auth/refresh", body)).status == 200
    await two.connection.execute("UPDATE spent_refresh_tokens SET spent_at = spent_at - interval '11 seconds'")
    assert (await user.post("/api/auth/refresh", body)).status == 401


async def _delete_by_hand(two: Two, user: Api, _pair: Any) -> None:
    await two.connection.execute("DELETE FROM users WHERE id = $1", user.user_id)


ENDS = {
    "a log-out": _log_out,
    "a reused refresh token": _reuse,
    "a new password": _change_password,
    "a deleted account": _delete,
    "a DBA's DELETE": _delete_by_hand,
}


@on_each_postgresql
async def test_a_token_stops_at_once_on_the_instance_that_ends_it_and_within_a_moment_on_another(two: Two) -> None:
    latencies = []
    for name, end in ENDS.items():
        for _ in range(5):
            user, pair = await _new_pair(two.here)
            here, there = (replace(api, token=pair["access_token"]) for api in (two.here, two.there))
            assert [(await api.get("/api/task-statuses")).status for api in (here, there)] == [200, 200]
            await end(two, user, pair)
            if name != "a DBA's DELETE":
                assert (await here.get("/api/task-statuses")).status == 401, name
            latencies.append(await until_refused(there))
            assert (await there.get("/api/task-statuses")).code == "invalid_token"
    print(  # noqa: T201 -- the guarantee's figure
        f"{len(latencies)} ends of {len(ENDS)} kinds, from 204 to 401 on another instance: "
        f"median {median(latencies) * 1000:.1f} ms, worst {max(latencies) * 1000:.1f} ms"
    )
    assert max(latencies) < 1


async def test_a_revoked_client_stops_at_once(two: Two) -> None:
    client = await two.connection.fetchval(
        "INSERT INTO clients (name, scopes, secret_hash) VALUES ('c', '{tasks:read}', sha256('c')) RETURNING id"
    )
    token = two.services[0].app[TOKENS].issue_to_client(client, ["tasks:read"])
    callers = [replace(api, token=token) for api in (two.here, two.there)]
    assert [(await api.get("/api/task-statuses")).status for api in callers] == [200, 200]
    await two.connection.execute("UPDATE clients SET revoked_at = now()")
    assert [await until_refused(api) < 1 for api in callers] == [True, True]
    expires_at = "SELECT expires_at = 'infinity' FROM revocations WHERE id = $1"
    assert await two.connection.fetchval(expires_at, client)


async def test_no_request_asks_the_database_about_its_token(two: Two) -> None:
    _, pair = await _new_pair(two.here)
    await _log_out(two, two.here, pair)
    refused = replace(two.there, token=pair["access_token"])
    await until_refused(refused)
    async with two.connection.transaction():
        await two.connection.execute("LOCK TABLE revocations, sessions, users, clients")
        async with asyncio.timeout(1):
            assert (await refused.get("/api/task-statuses")).status == 401


async def test_what_was_revoked_before_an_instance_started_is_revoked_there(
    two: Two, settings: Settings, dsn: Dsn, start_service: StartService
) -> None:
    _, pair = await _new_pair(two.here)
    await _log_out(two, two.here, pair)
    third = await start_service(settings, dsn)
    assert (await replace(third, token=pair["access_token"]).get("/api/users/me")).status == 401


@asynccontextmanager
async def _cut_off(two: Two, dsn: Dsn) -> AsyncIterator[None]:
    """Cut every listener off and keep them so; the pools keep what they have."""
    name = dsn.database
    async with connected(replace(dsn, database="postgres")) as administrator:
        await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await two.connection.execute(f"SELECT pg_terminate_backend(pid) {LISTENERS}")
        try:
            yield
        finally:
            await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def _readiness(api: Api) -> tuple[int, str]:
    answer = await api.get("/health/ready")
    return answer.status, answer.body["checks"]["revocations"]


@on_each_postgresql
async def test_an_instance_that_is_cut_off_says_so_and_catches_up(two: Two, dsn: Dsn) -> None:
    _, pair = await _new_pair(two.here)
    there = replace(two.there, token=pair["access_token"])
    assert await _readiness(there) == (200, "ok")
    with capture_logs() as events:
        async with _cut_off(two, dsn):

            async def is_stale() -> bool:
                return await _readiness(there) == (503, "stale")

            noticed = await until(is_stale, seconds=SECONDS)
            await _log_out(two, two.here, pair)
            # It cannot know. That is what its readiness is for.
            assert (await there.get("/api/task-statuses")).status == 200
        caught_up = await until_refused(there)

        async def is_ready() -> bool:
            return await _readiness(there) == (200, "ok")

        await until(is_ready, seconds=SECONDS)
    print(  # noqa: T201 -- the guarantee's figure
        f"cut off: readiness 503 after {noticed * 1000:.0f} ms; caught up {caught_up * 1000:.0f} ms after it could"
    )
    assert caught_up < 3
    told = [event for event in events if event["event"] == "not listening"]
    assert 2 <= len(told) <= 6  # once for each reason and instance, and not twice a second


async def test_a_listener_that_is_killed_again_and_again_misses_nothing(two: Two) -> None:
    users = [await _new_pair(two.here) for _ in range(10)]
    for user, pair in users:
        await two.connection.execute(f"SELECT pg_terminate_backend(pid) {LISTENERS}")
        await _log_out(two, user, pair)
    waits = [await until_refused(replace(two.there, token=pair["access_token"])) for _, pair in users]
    print(f"10 kills and 10 log-outs: missed = 0, the longest wait {max(waits):.2f} s")  # noqa: T201 -- the guarantee's figure


@on_each_postgresql
async def test_what_was_begun_long_before_an_instance_was_cut_off_is_not_missed(two: Two, dsn: Dsn) -> None:
    user, pair = await _new_pair(two.here)
    async with connected(dsn) as administrator, administrator.transaction():
        await administrator.execute("DELETE FROM users WHERE id = $1", user.user_id)
        await administrator.execute("UPDATE revocations SET created_at = created_at - interval '10 minutes'")
        # What comes after it is known before it is.
        other, other_pair = await _new_pair(two.here)
        await _log_out(two, other, other_pair)
        await until_refused(replace(two.there, token=other_pair["access_token"]))
        await two.connection.execute(f"SELECT pg_terminate_backend(pid) {LISTENERS}")

        async def is_cut_off() -> bool:
            return not any(service.app[LISTENING].is_set() for service in two.services)

        await until(is_cut_off, seconds=SECONDS)
    assert await until_refused(replace(two.there, token=pair["access_token"])) < 3


async def test_when_everybody_is_logged_out_at_once_all_is_known_and_read_page_by_page(
    connection: asyncpg.Connection,
) -> None:
    count = 2 * revocations._PAGE_SIZE + 1  # noqa: SLF001 -- how many it reads at once is nobody else's business
    await connection.execute(
        "INSERT INTO revocations (id, expires_at)"
        " SELECT gen_random_uuid(), now() + interval '20 minutes' FROM generate_series(1, $1)",
        count,
    )
    known, statements = Revocations(), list[float]()
    connection.add_query_logger(lambda record: statements.append(record.elapsed))
    await known.read_all(connection)
    await asyncio.sleep(0)
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM revocations")]
    assert len(ids) == count
    assert all(id_ in known for id_ in ids)
    print(f"{count} revocations at once: the longest of {len(statements)} statements took {max(statements):.3f} s")  # noqa: T201 -- the guarantee's figure
    # A minute later, they are not read again and again.
    await connection.execute("UPDATE revocations SET created_at = created_at - interval '61 seconds'")
    await asyncio.sleep(0)  # asyncpg tells its query loggers in the loop's next turn
    statements.clear()
    await known.read_recent(connection)
    await asyncio.sleep(0)
    assert len(statements) == 1


@on_each_postgresql
async def test_what_is_never_announced_is_read_within_seconds(two: Two) -> None:
    _, pair = await _new_pair(two.here)
    await two.connection.execute("ALTER TABLE revocations DISABLE TRIGGER revocations_announce")
    await _log_out(two, two.here, pair)
    took = await until_refused(replace(two.there, token=pair["access_token"]))
    print(f"without an announcement, as behind a pooler that swallows LISTEN: {took:.2f} s")  # noqa: T201 -- the guarantee's figure
    assert took < 4


class _Faulty(Revocations):
    """Revocations with a bug that shows once."""

    reads = 0

    async def read_all(self, executor: Executor) -> None:
        self.reads += 1
        if self.reads == 1:
            raise RuntimeError("a bug")
        await super().read_all(executor)


async def test_no_fault_whatever_ends_listening_for_good(settings: Settings, dsn: Dsn) -> None:
    listener = Listener(dsn, settings, _Faulty())
    with capture_logs() as events:
        async with listener.listening(), asyncio.timeout(SECONDS):
            await listener.hears.wait()
    assert [(event["event"], event["error"]) for event in events] == [("not listening", "RuntimeError")]


async def test_what_no_token_could_outlive_is_forgotten(connection: asyncpg.Connection) -> None:
    known = Revocations()
    old, new, own = uuid4(), uuid4(), uuid4()
    known.hear(f"{old} {time() - 1}")
    known.hear(f"{new} {time() + 60}")
    known.add([{"id": own, "expires_at": time() + 60}])
    await known.read_recent(connection)
    assert [id_ in known for id_ in (old, new, own)] == [False, True, True]


async def test_a_process_forgets_what_it_has_ended_itself(two: Two) -> None:
    _, pair = await _new_pair(two.here)
    here = two.services[0].app[REVOCATIONS]
    session_id = RefreshToken.parse(pair["refresh_token"]).session_id
    await two.connection.execute("UPDATE sessions SET access_expires_at = now()")
    await _log_out(two, two.here, pair)
    assert session_id in here  # for nothing is announced of one that no token is left of
    await here.read_recent(two.connection)
    assert session_id not in here


async def test_a_revocation_outlives_every_access_token_of_its_session(two: Two, settings: Settings) -> None:
    _, pair = await _new_pair(two.here)
    await _log_out(two, two.here, pair)
    left = await two.connection.fetchval("SELECT extract(epoch FROM min(expires_at) - now())::float FROM revocations")
    assert settings.access_token_ttl < left < settings.access_token_ttl + 600


async def test_a_revocation_outlives_tokens_of_an_instance_that_gives_them_longer(
    two: Two, settings: Settings, dsn: Dsn, start_service: StartService
) -> None:
    there = await start_service(replace(settings, access_token_ttl=60), dsn)
    _, pair = await _new_pair(two.here)
    prolonged = await there.post("/api/auth/refresh", {"refresh_token": pair["refresh_token"]})
    assert (prolonged.status, prolonged.body["expires_in"]) == (200, 60)
    await _log_out(two, there, prolonged.body)
    left = await two.connection.fetchval("SELECT extract(epoch FROM min(expires_at) - now())::float FROM revocations")
    assert left > settings.access_token_ttl


async def test_a_session_whose_access_tokens_have_expired_leaves_no_revocation(two: Two) -> None:
    _, pair = await _new_pair(two.here)
    await two.connection.execute("UPDATE sessions SET access_expires_at = now()")
    await _log_out(two, two.here, pair)
    assert await two.connection.fetchval("SELECT count(*) FROM revocations") == 0


async def test_an_instance_hears_from_the_moment_it_serves(two: Two) -> None:
    for service in two.services:
        assert service.app[LISTENING].is_set()
        assert uuid4() not in service.app[REVOCATIONS]


async def test_a_token_stops_in_every_worker(dsn: Dsn, folder: Path) -> None:
    async with (
        serving(folder, "--workers", "2", **PRODUCTION, POOL_SIZE="2", DATABASE_URL=dsn.libpq_url) as service,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        _, pair = await _new_pair(Api(session, service.url))
        user = Api(session, service.url, pair["access_token"])
        assert [(await user.get("/api/task-statuses")).status for _ in range(10)] == [200] * 10
        await user.post("/api/auth/logout", {"refresh_token": pair["refresh_token"]})

        async def is_refused_by_all() -> bool:
            # Any worker may be the one that answers, and there is no asking for one.
            return [(await user.get("/api/task-statuses")).status for _ in range(20)] == [401] * 20

        assert await until(is_refused_by_all, seconds=SECONDS) < 1
