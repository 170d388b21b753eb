import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from service.database import embedded
from service.database.queries import queries
from service.database.statistics import NotCounted, Stats, Usage, read_stats, report
from service.dsn import Dsn
from service.migrate import runner
from service.resources import resource_folder
from tests.conftest import POSTGRESQL_15, VERSIONS, connected

Connection = psycopg.Connection[Any]

MIGRATIONS = resource_folder("migrations")
NAMES = {
    name
    for file in resource_folder("sql").glob("*.sql")
    for name in re.findall(r"^-- name: (\w+)", file.read_text(), re.MULTILINE)
}
# The fewest that it can be told to keep.
COUNTING = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "100", "fsync": "off"}


@pytest.fixture(scope="module", params=VERSIONS)
def counting(request: pytest.FixtureRequest) -> Iterator[Dsn]:
    """A migrated database on a server that counts its statements, which the tests' servers do not."""
    if request.param == "postgresql-15" and not POSTGRESQL_15.is_dir():
        pytest.skip(f"PostgreSQL 15 is not here: {POSTGRESQL_15}")
    binaries = POSTGRESQL_15 if request.param == "postgresql-15" else None
    with embedded.temporary(binaries=binaries, options=COUNTING) as server:
        runner.apply(server.dsn, MIGRATIONS)
        with psycopg.connect(server.dsn.libpq_url, autocommit=True) as administrator:
            administrator.execute("CREATE EXTENSION pg_stat_statements")
            administrator.execute("CREATE DATABASE another")
            administrator.execute("CREATE ROLE another LOGIN PASSWORD 'canary-7d1f'")
        yield server.dsn


@pytest.fixture
def administrator(counting: Dsn) -> Iterator[Connection]:
    """A connection to it, when nothing has been counted yet."""
    with psycopg.connect(counting.libpq_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        yield connection


def usages(stats: Stats) -> dict[str, Usage]:
    return {usage.statement: usage for usage in stats.queries}


async def test_each_call_of_the_service_counts_for_its_query(counting: Dsn, administrator: Connection) -> None:
    async with connected(counting) as connection:
        created = await queries.create_user(connection, email="me@example.com", password_hash="x")
        for _ in range(3):
            await queries.get_user(connection, id=created["id"])
        await queries.get_user(connection, id=uuid4())
        statuses = await queries.list_task_statuses(connection)
        await queries.delete_user(connection, id=created["id"])

    found = usages(read_stats(administrator))

    assert {name: (usage.calls, usage.rows) for name, usage in found.items()} == {
        "create_user": (1, 1),
        "get_user": (4, 3),
        "list_task_statuses": (1, len(statuses)),
        "delete_user": (1, 1),
    }
    assert all(0 < usage.mean_ms <= usage.max_ms <= usage.total_ms for usage in found.values())
    assert all(usage.blocks_hit + usage.blocks_read > 0 for usage in found.values())


async def test_what_users_and_wordings_of_a_query_have_cost_is_added_up(
    counting: Dsn, administrator: Connection
) -> None:
    administrator.execute("SELECT /* get_user */ pg_sleep(0.002)")
    administrator.execute("SELECT /* get_user */ pg_sleep(0.004), 1")
    with psycopg.connect(replace(counting, user="another", password="canary-7d1f").libpq_url) as another:
        for _ in range(2):
            another.execute("SELECT /* get_user */ pg_sleep(0.001)")

    (usage,) = read_stats(administrator).queries
    entries = administrator.execute(
        "SELECT calls, mean_exec_time, stddev_exec_time FROM pg_stat_statements WHERE query LIKE '%get_user%'"
    ).fetchall()

    assert len(entries) == 3
    mean = sum(calls * mean for calls, mean, _ in entries) / 4
    variance = sum(calls * (stddev**2 + (one - mean) ** 2) for calls, one, stddev in entries) / 4
    assert (usage.statement, usage.calls, usage.rows) == ("get_user", 4, 4)
    assert math.isclose(usage.mean_ms, mean)
    assert math.isclose(usage.stddev_ms, math.sqrt(variance), rel_tol=1e-6)
    assert math.isclose(usage.mean_plus_2_33_stddev_ms, mean + 2.33 * math.sqrt(variance), rel_tol=1e-6)
    assert usage.max_ms >= 4


def test_queries_that_nobody_has_called_are_told(administrator: Connection) -> None:
    administrator.execute("SELECT /* get_user */ 1")

    stats = read_stats(administrator)

    assert stats.never_called == sorted(NAMES - {"get_user"})
    assert f"Never called: {', '.join(stats.never_called)}." in report(stats)


def test_statements_that_no_file_holds_are_told_in_one_line(administrator: Connection) -> None:
    administrator.execute("SELECT 'by hand'\n    AS   text")
    administrator.execute("SELECT /* get_of_an_older_release */ 1")
    administrator.execute("SELECT " + ", ".join(f"1 AS column_{number}" for number in range(20)))

    others = [usage.statement for usage in read_stats(administrator).others]

    assert "SELECT $1 AS text" in others
    assert "SELECT /* get_of_an_older_release */ $1" in others
    (long,) = (text for text in others if "column_0" in text)
    assert len(long) == 80
    assert long.endswith("…")


def test_who_looks_at_the_figures_does_not_find_that_in_them(administrator: Connection) -> None:
    read_stats(administrator)

    assert {usage.statement for usage in read_stats(administrator).others} <= {"BEGIN", "COMMIT"}


def test_what_triggers_run_is_no_statement_of_anybodys(administrator: Connection) -> None:
    administrator.execute("SET pg_stat_statements.track = 'all'")
    administrator.execute("INSERT INTO users (email, password_hash) VALUES ('trigger@example.com', 'x')")
    administrator.execute("INSERT INTO tasks (user_id, title) SELECT id, 'x' FROM users")
    administrator.execute("DELETE FROM users")

    others = [usage.statement for usage in read_stats(administrator).others]

    assert "DELETE FROM users" in others
    assert not [text for text in others if "task_statuses" in text]


def test_plans_are_counted_where_postgresql_counts_them(administrator: Connection) -> None:
    administrator.execute("SET pg_stat_statements.track_planning = on")
    administrator.execute("SELECT /* get_user */ 1", prepare=False)

    stats = read_stats(administrator)

    assert usages(stats)["get_user"].plans == 1
    assert "plans" in report(stats).splitlines()[2]


def test_another_database_does_not_count(counting: Dsn, administrator: Connection) -> None:
    with psycopg.connect(replace(counting, database="another").libpq_url) as another:
        another.execute("SELECT /* get_user */ 1")

    assert read_stats(administrator).queries == []


def test_what_a_user_may_not_see_is_said_to_be_hidden(counting: Dsn, administrator: Connection) -> None:
    administrator.execute("SELECT /* get_user */ 1")
    with psycopg.connect(replace(counting, user="another", password="canary-7d1f").libpq_url) as another:
        another.execute("SELECT /* lock_user */ 1")
        stats = read_stats(another)

    assert list(usages(stats)) == ["lock_user"]
    assert stats.hidden > 0
    assert (
        f"{stats.hidden} calls were of other users, whose statements are hidden from this one and missing above:"
        " connect as a member of pg_read_all_stats."
    ) in report(stats)


def test_that_statements_have_been_forgotten_is_told(administrator: Connection) -> None:
    assert "forgotten" not in report(read_stats(administrator))

    for number in range(120):
        administrator.execute(f"SELECT 1 FROM (SELECT {', '.join('1' for _ in range(number + 1))}) AS x".encode())
    stats = read_stats(administrator)

    assert stats.forgotten > 0
    assert (
        f"Statements were forgotten {stats.forgotten} times, so some figures are too low: raise pg_stat_statements.max."
    ) in report(stats)


def test_the_extension_may_be_in_any_schema(administrator: Connection) -> None:
    administrator.execute('CREATE SCHEMA "Of the DBA"')
    try:
        administrator.execute('ALTER EXTENSION pg_stat_statements SET SCHEMA "Of the DBA"')
        administrator.execute("SELECT /* get_user */ 1")

        assert list(usages(read_stats(administrator))) == ["get_user"]
        assert administrator.execute("SHOW search_path").fetchone() == ('"$user", public',)
    finally:
        administrator.execute("ALTER EXTENSION pg_stat_statements SET SCHEMA public")
        administrator.execute('DROP SCHEMA "Of the DBA"')


def test_a_database_without_the_extension_is_refused(counting: Dsn) -> None:
    with (
        psycopg.connect(replace(counting, database="another").libpq_url) as another,
        pytest.raises(NotCounted) as error,
    ):
        read_stats(another)

    assert str(error.value) == (
        "This database does not count its statements: add pg_stat_statements to shared_preload_libraries, restart"
        " PostgreSQL, and have an administrator run CREATE EXTENSION pg_stat_statements in it."
    )


def test_an_extension_of_an_older_postgresql_is_refused(administrator: Connection) -> None:
    administrator.execute("DROP EXTENSION pg_stat_statements")
    administrator.execute("CREATE EXTENSION pg_stat_statements VERSION '1.7'")
    try:
        with pytest.raises(NotCounted) as error:
            read_stats(administrator)
    finally:
        administrator.execute("ALTER EXTENSION pg_stat_statements UPDATE")

    assert str(error.value) == (
        "The extension pg_stat_statements is of an older PostgreSQL: have an administrator run ALTER EXTENSION"
        " pg_stat_statements UPDATE."
    )


def test_a_server_that_has_not_loaded_the_library_is_refused(dsn: Dsn) -> None:
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        with pytest.raises(NotCounted) as error:
            read_stats(connection)

    assert str(error.value) == (
        "PostgreSQL does not count statements: add pg_stat_statements to shared_preload_libraries, and restart it."
    )


QUERY = Usage("get_task", 1200, 0, 150.25, 0.1252, 0.05, 0.2417, 4.5, 1100, 4800, 3)
STATS = Stats(
    since=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    forgotten=0,
    hidden=0,
    queries=[QUERY, replace(QUERY, statement="list_tasks", calls=7)],
    never_called=["lock_user", "purge_sessions"],
    others=[replace(QUERY, statement="SELECT 1 FROM tasks", calls=1, rows=1)],
)


REPORT = """\
Since 2026-11-22 09:30 UTC. Times are in milliseconds.

calls  total   mean  mean+2.33sd    max  rows  blocks hit  read  query
 1200  150.2  0.125        0.242  4.500  1100        4800     3  get_task
    7  150.2  0.125        0.242  4.500  1100        4800     3  list_tasks

mean+2.33sd is what 99 of 100 calls would stay below if their times were normally distributed. They are not, and \
PostgreSQL keeps no percentiles: take it as a measure of the spread.

Never called: lock_user, purge_sessions.

No file of sql/ holds these:
calls  total   mean  mean+2.33sd    max  rows  blocks hit  read  statement
    1  150.2  0.125        0.242  4.500     1        4800     3  SELECT 1 FROM tasks"""


def test_a_report_is_tables_and_what_to_make_of_them() -> None:
    assert report(STATS) == REPORT


def test_a_report_shows_the_costliest_of_many_others() -> None:
    others = [replace(QUERY, statement=f"SELECT {number}") for number in range(25)]
    text = report(replace(STATS, queries=[], never_called=[], others=others))

    assert "SELECT 19" in text
    assert "SELECT 20" not in text
    assert text.endswith("\n\nand 5 that cost less.")


def test_a_report_leaves_out_what_there_is_none_of() -> None:
    text = report(replace(STATS, queries=[], never_called=[], others=[]))

    assert text == "Since 2026-11-22 09:30 UTC. Times are in milliseconds."


def test_the_figures_are_json_as_they_are() -> None:
    written = json.loads(orjson.dumps(STATS))

    assert written["queries"][0]["mean_plus_2_33_stddev_ms"] == 0.2417
    assert written["never_called"] == ["lock_user", "purge_sessions"]


def test_it_runs_where_only_the_service_is_installed() -> None:
    program = "import sys, service.database.statistics; sys.exit('pglast' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
