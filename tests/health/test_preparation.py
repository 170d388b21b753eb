"""A service whose queries do not suit the schema says which, and is not ready, from its start on."""

import json
import re

import aiohttp
import pytest

from service.database.queries import read_queries
from service.dsn import Dsn
from service.logs import writing
from service.resources import resource_folder
from service.settings import Settings
from tests.conftest import Api, connected, started
from tests.sharing import on_each_postgresql, on_one_postgresql

_CHANGES = {
    "a column is gone": (
        "ALTER TABLE users RENAME COLUMN email TO address",
        ("users", "email"),
        'column "email" of relation "users" does not exist',
    ),
    "a column is of another type": (
        "ALTER TABLE task_statuses ALTER COLUMN position TYPE text",
        ("task_statuses", "position"),
        "Returns the column position as text, but TaskStatus.position is int2 or int4 or int8",
    ),
    "a parameter is of another type": (
        "ALTER TABLE login_failures ALTER COLUMN failures TYPE numeric",
        ("login_failures", "failures"),
        "Parameter :account_limit is numeric in PostgreSQL, but Settings.login_failures_per_account",
    ),
}


def queries_with(*words: str) -> str:
    """Return the names of the queries in which all of these words stand, as readiness lists them."""
    return ", ".join(
        sorted(
            query.name
            for query in read_queries(resource_folder("sql"))
            if all(re.search(rf"\b{word}\b", query.sql) for word in words)
        )
    )


@on_each_postgresql
@pytest.mark.parametrize("change", _CHANGES)
async def test_readiness_names_the_queries_that_do_not_suit_the_schema_and_the_log_says_why(
    settings: Settings, dsn: Dsn, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    statement, words, reason = _CHANGES[change]
    queries = queries_with(*words)
    async with connected(dsn) as connection:
        await connection.execute(statement)
    with writing("info", "json"):
        async with started(settings, dsn) as service, aiohttp.ClientSession() as session:
            ready = await Api(session, service.url).get("/health/ready")
    assert ready.status == 503
    assert ready.body["checks"]["queries"] == queries
    assert ready.body["checks"]["migrations"] == "ok"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    events = [line["event"] for line in lines]
    assert events.index("query does not suit the schema") < events.index("request")  # it is told at start
    told = {line["query"]: line["reasons"] for line in lines if line["event"] == "query does not suit the schema"}
    assert sorted(told) == queries.split(", ")
    assert any(reason in one for one in next(iter(told.values())))


@on_one_postgresql
async def test_a_schema_that_is_ahead_is_ready_as_soon_as_the_queries_suit_it(settings: Settings, dsn: Dsn) -> None:
    async with (
        connected(dsn) as connection,
        started(settings, dsn) as service,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, service.url)
        assert (await api.get("/health/ready")).status == 200
        await connection.execute("ALTER TABLE task_statuses RENAME COLUMN position TO place")
        # A schema changes by migrations, and so it is looked at again when there is another one.
        assert (await api.get("/health/ready")).status == 200
        await connection.execute("INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '9999.x')")
        ready = await api.get("/health/ready")
        checks = ready.body["checks"]
        assert (ready.status, checks["migrations"]) == (503, "ahead")
        assert checks["queries"] == queries_with("task_statuses", "position")
        await connection.execute("ALTER TABLE task_statuses RENAME COLUMN place TO position")
        ready = await api.get("/health/ready")
        assert (ready.status, ready.body["checks"]["migrations"], ready.body["checks"]["queries"]) == (
            200,
            "ahead",
            "ok",
        )
