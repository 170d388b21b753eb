"""The example of migrations/README.md, done: a column is replaced under load, and nobody notices."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import aiohttp
import asyncpg
import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.migrate.errors import MigrationError
from service.migrate.files import read_migrations
from service.migrate.locks import mismatches
from service.migrate.measuring import measure
from service.migrate.snapshot import dump
from service.resources import resource_folder
from service.settings import Settings
from service.sqlcheck.checks.migrations import check as lint
from service.sqlcheck.project import read_project
from tests import canary
from tests.conftest import Api, as_app, connected, started
from tests.migrations.load import Balancer, Instance, Known, User
from tests.migrations.releases import Example
from tests.processes import PRODUCTION, command, serving
from tests.sharing import on_one_postgresql, until

pytestmark = [pytest.mark.faults, on_one_postgresql]

USERS = 6
OLD_TASKS = 500
"""The number of tasks that each user has from before the upgrade."""
LONGEST_STALL = 2.5
"""The seconds that a request may take: the lock_timeout, and what the machine needs for itself."""
_OWNER = "rolling_deploy"
_LOOKS = {"LOG_LEVEL": "info", "DEBUG": "false"}
_OLD_TASKS = """
    INSERT INTO tasks (user_id, title, description)
    SELECT $1, 'Old', CASE n % 10 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'Errand [' || n || ']' END
    FROM generate_series(1, $2::integer) AS n
    RETURNING id::text, description, version
    """
_IS_WAITED_FOR = """
    SELECT count(*)
    FROM pg_locks
    WHERE relation = 'tasks'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted
    """
_STORED = """
    SELECT id, title, description, status, completed_at, version, created_at, updated_at
    FROM tasks
    ORDER BY id
    """


async def make_user(number: int, anybody: Api, balancer: Balancer, connection: asyncpg.Connection) -> User:
    """Make a user who has had tasks for long."""
    api = await anybody.new_user(f"user-{number}@example.com")
    rows = await connection.fetch(_OLD_TASKS, api.user_id, OLD_TASKS)
    tasks = {row["id"]: Known(row["description"], row["version"]) for row in rows}
    return User(api, balancer, Random(number), tasks)


@asynccontextmanager
async def working(users: Sequence[User]) -> AsyncIterator[None]:
    """Have users work while the block runs; what one of them finds wrong ends it."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(user.work(stop))
        try:
            yield
        finally:
            stop.set()


@asynccontextmanager
async def report_open(dsn: Dsn) -> AsyncIterator[None]:
    """Have somebody read the table and leave the transaction open, until two attempts to lock it have failed."""
    async with connected(dsn) as reader, connected(dsn) as observer, asyncio.TaskGroup() as group:
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetchval("SELECT count(*) FROM tasks")

        async def come_back() -> None:
            for is_waiting in (True, False, True, False):

                async def is_so(expected: bool = is_waiting) -> bool:  # noqa: FBT001 -- bound as a default
                    return bool(await observer.fetchval(_IS_WAITED_FOR)) is expected

                await until(is_so, seconds=30)
            await transaction.rollback()

        group.create_task(come_back())
        yield


async def migrate(release: Path, dsn: Dsn) -> str:
    """Apply the migrations of a release by its own command, and return what it said."""
    options = command(release, "migrate", "apply", DATABASE_URL=dsn.libpq_url) | {"stderr": subprocess.STDOUT}
    done = await asyncio.to_thread(lambda: subprocess.run(**options, timeout=60, check=False))
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


async def copy_batch(example: Example, connection: asyncpg.Connection) -> int:
    """Copy some rows by hand, and return how many."""
    return int((await connection.execute(example.batch)).split()[1])


async def seen(instance: Instance, *, migrations: str, is_ready: bool) -> None:
    """Wait until the load balancer has seen how an instance stands."""

    async def holds() -> bool:
        return (instance.checks.get("migrations"), instance.is_ready) == (migrations, is_ready)

    await until(holds, seconds=10)


def imported(folder: Path) -> Path:
    """Return which package a process imports that is started in this folder."""
    options = command(folder)
    options["args"] = [sys.executable, "-c", "import service; print(service.__path__[0])"]
    return Path(subprocess.run(**options, check=True).stdout.strip())


def errors(log: Path) -> list[str]:
    """Return what went wrong, as a service has logged it."""
    return [line for line in log.read_text().splitlines() if json.loads(line)["level"] not in {"debug", "info"}]


def report(balancer: Balancer) -> None:
    """Print the figures of the guarantee."""
    failed = sum(sample.status >= 500 for sample in balancer.samples)
    lines = [
        f"rolling upgrade: {len(balancer.samples)} requests, 5xx = {failed}, connections refused {balancer.refused}"
    ]
    for phase in dict.fromkeys(sample.phase for sample in balancer.samples):
        of_phase = [sample for sample in balancer.samples if sample.phase == phase]
        slowest = max(of_phase, key=lambda sample: sample.seconds)
        lines.append(f"  {phase}: {len(of_phase)} requests, longest stall {slowest.seconds:.3f} s ({slowest.method})")
    print("\n".join(lines))  # noqa: T201 -- the guarantee's figures


def lines_of(dumped: str) -> list[str]:
    """Return the lines of a dump, in no order of their own."""
    return sorted(line.rstrip(",") for line in dumped.splitlines())


@pytest.fixture
def owner(postgres: embedded.Server, template: Dsn, empty_database: Dsn) -> Iterator[Dsn]:
    """A database of the test's own, as who migrates it: a member of task_owner, who is no superuser."""
    assert template  # whose migrations have made the roles
    password = f"{canary.MARK}-password-of-the-owner"
    with psycopg.connect(replace(postgres.dsn, database=empty_database.database).libpq_url, autocommit=True) as admin:
        role = Identifier(_OWNER)
        admin.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE task_owner").format(role, Literal(password)))
        admin.execute(SQL("ALTER ROLE {} SET role = task_owner").format(role))
        admin.execute("GRANT CREATE, USAGE ON SCHEMA public TO task_owner")
        try:
            dsn = replace(empty_database, user=_OWNER, password=password)
            runner.apply(dsn, resource_folder("migrations"))
            yield dsn
        finally:
            admin.execute(SQL("DROP ROLE {}").format(role))


async def test_a_column_is_replaced_under_load_and_every_request_is_answered(owner: Dsn, tmp_path: Path) -> None:
    example = Example()
    expanded, new, after = (
        make(tmp_path / make.__name__)
        for make in (example.old_release_expanded, example.new_release, example.release_after_it)
    )
    old = tmp_path / "old"
    old.mkdir()
    assert (imported(old), imported(new)) == (resource_folder("service"), new / "service")
    variables = {**PRODUCTION, **_LOOKS, "DATABASE_URL": as_app(owner).libpq_url}
    async with (
        connected(owner) as connection,
        aiohttp.ClientSession() as session,
        serving(old, **variables) as of_old,
        serving(new, **variables) as of_new,
        Balancer(session).watching(of_old.url, of_new.url) as balancer,
    ):
        a, b = balancer.instances
        users = [await make_user(number, Api(session, of_old.url), balancer, connection) for number in range(USERS)]
        async with working(users):
            await asyncio.sleep(1)

            balancer.phase = "expand"
            async with report_open(owner):
                said = await migrate(expanded, owner)
            assert said.count(f"{example.ids[0]}  retrying: ") >= 2, said
            await seen(a, migrations="ahead", is_ready=True)

            balancer.phase = "migrate"
            by_hand = [await copy_batch(example, connection) for _ in range(2)]
            await seen(b, migrations="behind", is_ready=False)
            await migrate(new, owner)

            balancer.phase = "roll"
            await seen(b, migrations="ok", is_ready=True)
            await asyncio.sleep(1)
            assert a.is_ready
            a.is_leaving = True
            assert await of_old.end(signal.SIGTERM) == 0
            await asyncio.sleep(0.5)

            balancer.phase = "contract"
            await migrate(after, owner)
            await seen(b, migrations="ahead", is_ready=True)
            await asyncio.sleep(0.5)
        kept = await connection.fetch("SELECT id::text, notes, version, updated_at > created_at AS changed FROM tasks")
        logged = [*errors(of_old.errors), *errors(of_new.errors)]
    told = {id_: (known.description, known.version) for user in users for id_, known in user.tasks.items()}
    report(balancer)
    assert min(by_hand) == 1000
    assert {row["id"]: (row["notes"], row["version"]) for row in kept} == told
    assert [row for row in kept if row["changed"] != (row["version"] > 1)] == []
    assert [sample for sample in balancer.samples if sample.status >= 500] == []
    assert logged == []
    assert {sample.url for sample in balancer.samples if sample.phase in {"quiet", "expand"}} == {of_old.url}
    assert {sample.url for sample in balancer.samples if sample.phase == "roll"} == {of_old.url, of_new.url}
    assert {sample.url for sample in balancer.samples if sample.phase == "contract"} == {of_new.url}
    assert max(sample.seconds for sample in balancer.samples) < LONGEST_STALL


async def test_what_is_dropped_too_soon_makes_the_old_instances_unready(
    settings: Settings, owner: Dsn, tmp_path: Path
) -> None:
    after = Example().release_after_it(tmp_path / "after")
    async with started(settings, owner) as old, aiohttp.ClientSession() as session:
        await asyncio.to_thread(runner.apply, owner, after / "migrations")
        ready = await Api(session, old.url).get("/health/ready")
    assert (ready.status, ready.body["checks"]["migrations"]) == (503, "ahead")
    assert {"create_task", "get_task", "list_tasks"} <= set(ready.body["checks"]["queries"].split(", "))


def test_the_files_keep_the_rules_and_lock_what_they_say(empty_database: Dsn, tmp_path: Path) -> None:
    release = Example().release_after_it(tmp_path / "after")
    folder = release / "migrations"
    assert list(map(str, lint(read_project(release)))) == []
    measured = measure(empty_database, folder)
    assert [wrong for one in read_migrations(folder) for wrong in mismatches(one, measured[one.id])] == []


async def test_there_is_a_way_back_from_each_step(owner: Dsn, tmp_path: Path, pg_dump: Path) -> None:
    example = Example()
    folder = example.release_after_it(tmp_path / "after") / "migrations"
    async with connected(owner) as connection:
        statement = "INSERT INTO users (email, password_hash) VALUES ('alice@example.com', 'hash') RETURNING id"
        await connection.fetch(_OLD_TASKS, await connection.fetchval(statement), 20)
        schema, tasks = dump(owner, pg_dump), await connection.fetch(_STORED)
        assert runner.apply(owner, folder) == example.ids
        with pytest.raises(MigrationError, match="loses every task's notes"):
            runner.rollback(owner, folder, count=len(example.ids))
        for id_ in reversed(example.ids):
            assert runner.rollback(owner, folder, lose_data=True) == [id_]
        assert await connection.fetch(_STORED) == tasks
        # But for the order of the columns.
        assert lines_of(dump(owner, pg_dump)) == lines_of(schema)
        assert runner.apply(owner, folder) == example.ids
