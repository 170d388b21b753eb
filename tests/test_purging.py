"""Purging: what has expired goes, in batches and without waiting for anybody; what has not stays."""

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

import asyncpg
import psycopg
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service import purging
from service.cli import main
from service.dsn import Dsn
from service.settings import Settings
from tests.conftest import as_app, connected, started
from tests.processes import VARIABLES
from tests.sharing import on_one_postgresql

_USER = "INSERT INTO users (email, password_hash) VALUES ('a@example.com', '-')"
_RECORDS = """
    INSERT INTO idempotency_records (caller_id, key, user_id, fingerprint, status, expires_at)
    SELECT id, expires_in || ' ' || number, id, sha256(''), 204, now() + expires_in::interval
    FROM users, (VALUES ('-1 day', 8), ('-1 second', 3), ('1 minute', 4), ('1 day', 2)) AS given (expires_in, how_many),
        generate_series(1, how_many) AS number
"""
_LEFT = "SELECT substring(key, '.*(?= )') AS expires_in, count(*) AS how_many FROM idempotency_records GROUP BY 1"
_LIVE = {"1 minute": 4, "1 day": 2}


# Of each table, three rows that have expired and two that have not.
_ADDED = {
    "login_failures": (
        "INSERT INTO login_failures (subject, expires_at) SELECT sha256(convert_to(n::text, 'UTF8')), {expires_at} "
        "FROM generate_series(1, 5) AS n"
    ),
    "revocations": (
        "INSERT INTO revocations (id, expires_at) "
        "SELECT gen_random_uuid(), {expires_at} FROM generate_series(1, 5) AS n"
    ),
    "sessions": (
        "INSERT INTO sessions (user_id, id, token_hash, expires_at, access_expires_at) "
        "SELECT users.id, gen_random_uuid(), sha256('x'), {expires_at}, now() FROM users, generate_series(1, 5) AS n"
    ),
    "spent_refresh_tokens": (
        "INSERT INTO spent_refresh_tokens (user_id, session_id, token_hash, expires_at) "
        "SELECT user_id, id, sha256(convert_to(n::text, 'UTF8')), {expires_at} "
        "FROM (SELECT user_id, id FROM sessions WHERE expires_at > now() LIMIT 1) AS live, generate_series(1, 5) AS n"
    ),
}
_EXPIRES_AT = "now() + CASE WHEN n <= 3 THEN interval '-1 second' ELSE interval '1 hour' END"
_NOTHING = dict.fromkeys(purging.purges(), 0)


async def _add_records(connection: asyncpg.Connection) -> None:
    await connection.execute(_USER)
    await connection.execute(_RECORDS)


async def _left(connection: asyncpg.Connection) -> dict[str, int]:
    return {row["expires_in"]: row["how_many"] for row in await connection.fetch(_LEFT)}


async def test_only_what_has_expired_is_removed(connection: asyncpg.Connection) -> None:
    await _add_records(connection)
    assert await purging.purge(connection) == {**_NOTHING, "idempotency_records": 11}
    assert await _left(connection) == _LIVE
    assert await purging.purge(connection) == _NOTHING


async def test_every_table_whose_rows_expire_is_purged(connection: asyncpg.Connection) -> None:
    await connection.execute(_USER)
    for statement in _ADDED.values():
        await connection.execute(statement.format(expires_at=_EXPIRES_AT))
    assert await purging.purge(connection) == {**_NOTHING, **dict.fromkeys(_ADDED, 3)}
    for table in _ADDED:
        assert await connection.fetchval(f"SELECT count(*) FROM {table} WHERE expires_at > now()") == 2
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 2
    expiring = await connection.fetch(
        "SELECT attrelid::regclass::text AS name FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE attname = 'expires_at' AND relkind = 'r'"
    )
    assert {row["name"] for row in expiring} == _NOTHING.keys()


async def test_a_session_of_many_spent_tokens_goes_in_batches_as_well(connection: asyncpg.Connection) -> None:
    await connection.execute(_USER)
    await connection.execute(_ADDED["sessions"].format(expires_at="now() + interval '1 hour'"))
    await connection.execute(_ADDED["spent_refresh_tokens"].format(expires_at="now()"))
    await connection.execute("UPDATE sessions SET expires_at = now()")
    assert await purging.purge(connection) == {**_NOTHING, "sessions": 5, "spent_refresh_tokens": 5}


@pytest.mark.parametrize(("batch_size", "batches"), [(1, 12), (4, 3), (11, 2), (12, 1)])
async def test_it_goes_in_batches_until_one_is_not_full(
    batch_size: int, batches: int, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_BATCH_SIZE", batch_size)
    await _add_records(connection)
    statements: list[str] = []
    connection.add_query_logger(lambda record: statements.append(record.query))
    assert await purging.purge(connection) == {**_NOTHING, "idempotency_records": 11}
    await asyncio.sleep(0)  # asyncpg tells its query loggers in the loop's next turn
    assert sum("purge_idempotency_records" in statement for statement in statements) == batches
    assert await _left(connection) == _LIVE


async def test_what_others_hold_is_left_for_the_next_time(dsn: Dsn, connection: asyncpg.Connection) -> None:
    await _add_records(connection)
    async with connected(dsn) as holder, holder.transaction():
        held = await holder.fetch("SELECT key FROM idempotency_records WHERE key LIKE '-1 day%' LIMIT 2 FOR UPDATE")
        async with asyncio.timeout(5):
            assert (await purging.purge(connection))["idempotency_records"] == 9
        left = {row["key"] for row in await connection.fetch("SELECT key FROM idempotency_records")}
        assert {row["key"] for row in held} <= left
        # A record that is renewed meanwhile has not expired any more.
        await holder.execute(
            "UPDATE idempotency_records SET expires_at = now() + interval '1 day' WHERE key = $1", held[0][0]
        )
    assert (await purging.purge(connection))["idempotency_records"] == 1
    assert await _left(connection) == {**_LIVE, "-1 day": 1}


async def test_several_processes_share_the_work(
    dsn: Dsn, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_BATCH_SIZE", 2)
    await _add_records(connection)
    async with connected(dsn) as one, connected(dsn) as other:
        removed = await asyncio.gather(purging.purge(one), purging.purge(other))
    # Each may leave a batch to the other that was not full by then; nothing is counted twice.
    left = (await purging.purge(connection))["idempotency_records"]
    assert sum(counts["idempotency_records"] for counts in removed) + left == 11
    assert await _left(connection) == _LIVE


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- a log tells nobody
            await asyncio.sleep(0.01)


@on_one_postgresql
async def test_the_service_purges_again_and_again_and_a_failure_does_not_end_it(
    dsn: Dsn, settings: Settings, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_INTERVAL_SECONDS", 0.02)

    def purged() -> int:
        return sum(event["idempotency_records"] for event in events if event["event"] == "purged")

    def failed() -> list[EventDict]:
        return [event for event in events if event["event"] == "purging failed"]

    await _add_records(connection)
    with capture_logs() as events:
        async with started(settings, dsn):
            await _until(lambda: purged() == 11)
            assert await _left(connection) == _LIVE
            await connection.execute("ALTER TABLE idempotency_records RENAME TO elsewhere")
            await _until(lambda: len(failed()) >= 2)
            await connection.execute("ALTER TABLE elsewhere RENAME TO idempotency_records")
            await connection.execute("UPDATE idempotency_records SET expires_at = now()")
            await _until(lambda: purged() == 17)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'task-service' AND datname = current_database()"
            )
            await connection.execute(_RECORDS)
            await _until(lambda: purged() == 28)
    assert failed()[0]["error"] == "UndefinedTableError"
    assert "idempotency_records" in failed()[0]["detail"]


@on_one_postgresql
async def test_purging_does_not_keep_the_service_from_ending(
    dsn: Dsn, settings: Settings, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_INTERVAL_SECONDS", 0.0)
    async with connection.transaction():
        async with started(settings, dsn):
            await connection.execute("LOCK TABLE idempotency_records")  # not before: a start reads from every table
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'idempotency_records'::regclass"
            while not await connection.fetchval(waiting):
                pass
            stopping = monotonic()
        took = monotonic() - stopping
    print(f"the service ended {took:.2f} s after it was told to, in the middle of a purge")  # noqa: T201 -- the guarantee's figure
    assert took < 1.5


Purge = Callable[..., Result]


@pytest.fixture
def purge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Purge:
    """Run `python -m service purge` in this process, with these variables of ours and no other."""
    monkeypatch.chdir(tmp_path)
    unset: dict[str, str | None] = dict.fromkeys(VARIABLES)

    def purge(url: str, *args: str) -> Result:
        variables = unset | {"APP_ENV": "production", "DATABASE_URL": url}
        return CliRunner().invoke(main, ["purge", *args], env=variables)

    return purge


@on_one_postgresql
def test_the_command_says_how_many_it_removed(purge: Purge, dsn: Dsn) -> None:
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        connection.execute(_USER)
        connection.execute(_RECORDS.encode())
    first = purge(as_app(dsn).libpq_url)
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        f"{table}: {count} purged" for table, count in {**_NOTHING, "idempotency_records": 11}.items()
    ]
    second = purge(as_app(dsn).libpq_url, "--json")
    assert (second.exit_code, second.stderr, json.loads(second.stdout)) == (0, "", _NOTHING)


def _refusal(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@on_one_postgresql
def test_a_database_that_cannot_be_purged_is_one_clear_line(purge: Purge, dsn: Dsn, empty_database: Dsn) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else takes it
        unreachable = replace(dsn, port=closed.getsockname()[1], password="canary")
        for refused in (unreachable, replace(dsn, password="canary"), replace(dsn, database="nowhere")):
            said = _refusal(purge(refused.libpq_url))
            assert str(refused) in said
            assert "canary" not in said
    assert "idempotency_records" in _refusal(purge(as_app(empty_database).libpq_url))
