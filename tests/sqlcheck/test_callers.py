"""Who runs each query: what is read in the source is what PostgreSQL is sent by each route, command and job."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, chdir, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import click
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from service import purging
from service.accounts.passwords import Passwords
from service.cli import main
from service.database import embedded, pool
from service.database.pool import Database
from service.database.queries import queries, read_queries
from service.dsn import Dsn
from service.http.app_keys import DATABASE
from service.resources import resource_folder
from service.settings import Settings
from service.sqlcheck.catalogue.callers import JOBS, callers, queries_of_each, read_service
from service.sqlcheck.catalogue.callgraph import ANY
from tests.conftest import PASSWORD, Answer, Api, Service, connected, started
from tests.processes import VARIABLES
from tests.sharing import *  # noqa: F403 -- fixtures
from tests.sharing import on_one_postgresql, until

pytestmark = on_one_postgresql

UNSEEN = {
    # Asked when the list of a service client is empty, and service.http.oauth_scopes lets no client have this path.
    ("GET /api/tasks", "get_user"),
}
"""What the source tells of and no request can do."""

_NAMES = tuple(query.name for query in read_queries(resource_folder("sql")))
_CALLERS = callers(_NAMES)
_TOLD = {(who, name) for name, told in _CALLERS.items() for who in told}
_LISTENING, _LENDING, _PURGING = (JOBS[name] for name in sorted(JOBS))
_EXECUTED = re.compile(r"\[(\d+)\] LOG:  execute [^:]+: \w+ /\* (\w+) \*/")
_LISTENERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'task-service listener' AND datname = $1"
_CREATING, _CHANGING, _REMOVING = ({"Idempotency-Key": f"8e03978e-{number}"} for number in range(3))
_STALE = {"If-Match": '"99"'}


@dataclass(frozen=True, slots=True)
class Watch:
    """What PostgreSQL was sent, as its own log tells: while who was at work, by which process, and the query."""

    log: Path
    asked: set[str] = field(default_factory=set)
    seen: set[tuple[str, int, str]] = field(default_factory=set)
    listeners: set[int] = field(default_factory=set)

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """Who ran which query: a listener listens whoever is at work."""
        return {(_LISTENING if pid in self.listeners else who, name) for who, pid, name in self.seen}

    def note(self, who: str, began: int) -> None:
        """Note what has been run since the log was so long; PostgreSQL logs a statement before it answers."""
        with self.log.open() as log:
            log.seek(began)
            self.seen.update((who, int(pid), name) for pid, name in _EXECUTED.findall(log.read()))

    @contextmanager
    def noting(self, who: str) -> Iterator[None]:
        """Note what is run while the block runs."""
        self.asked.add(who)
        began = self.log.stat().st_size
        yield
        self.note(who, began)

    async def ask(self, api: Api, route: str, body: Any = None, *, status: int, id_: str = "", **sent: Any) -> Answer:
        """Send a request of a route, and note what it runs."""
        method, path = route.split(" ")
        path = re.sub(r"{(\w+)}", lambda name: {"user_id": str(api.user_id)}.get(name[1], id_), path)
        with self.noting(route):
            answer = await api.send(method, path, body, **sent)
        assert answer.status == status, (route, answer.text)
        return answer

    async def run(self, dsn: Dsn, command: str, *args: str) -> str:
        """Run a command, note what it runs, and return what it prints."""
        variables = {**dict.fromkeys(VARIABLES), "APP_ENV": "production", "DATABASE_URL": dsn.libpq_url}
        with self.noting(f"python -m service {command}"):
            # In a thread, since a command has an event loop of its own.
            result = await asyncio.to_thread(CliRunner().invoke, main, [*command.split(), *args], env=variables)
        assert result.exit_code == 0, result.output
        return result.stdout

    @asynccontextmanager
    async def serving(self, settings: Settings, dsn: Dsn) -> AsyncIterator[Service]:
        """Start the service, note what that runs, and learn which process serves its listener."""
        began = self.log.stat().st_size
        async with started(settings, dsn) as service, connected(dsn) as connection:
            self.listeners.update(row["pid"] for row in await connection.fetch(_LISTENERS, dsn.database))
            self.note("python -m service serve", began)
            yield service


@pytest.fixture(scope="module")
async def watch(
    postgres: embedded.Server, shared_dsn: Dsn, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Watch:
    """Ask every route all that leads to another query, and run the commands and the jobs that run any."""
    watch = Watch(postgres.folder / "server.log")
    async with connected(postgres.dsn) as administrator:
        for option in ("log_statement = 'all'", "log_parameter_max_length = 0"):
            await administrator.execute(f"ALTER DATABASE {shared_dsn.database} SET {option}")
    # Their own hashes cost less than those of the service, which renews one for it.
    async with watch.serving(replace(settings, bcrypt_cost=5), shared_dsn) as service, aiohttp.ClientSession() as http:
        anybody = Api(http, service.url)
        user = await _account(watch, anybody, service, settings, shared_dsn)
        await _pages(watch, user, service, shared_dsn)
        await _tasks(watch, user, "/api/tasks")
        with chdir(tmp_path_factory.mktemp("nothing")):
            await _clients(watch, user, shared_dsn)
        await watch.ask(user, "DELETE /api/users/me", status=204)
        await _jobs(watch, service.app[DATABASE])
    return watch


async def _account(watch: Watch, anybody: Api, service: Service, settings: Settings, dsn: Dsn) -> Api:
    """Do all that can be done with an account, but for its end."""
    email, login, refresh = "alice@example.com", "POST /api/auth/login", "POST /api/auth/refresh"
    right, wrong = ({"email": email, "password": password} for password in (PASSWORD, PASSWORD[:-1]))
    registered = await watch.ask(anybody, "POST /api/auth/register", right, status=201)
    await watch.ask(anybody, login, wrong, status=401)
    passwords = Passwords(settings.password_pepper, settings.bcrypt_cost)
    password_hash = await passwords.hash(PASSWORD)
    passwords.close()
    await queries.create_user(service.app[DATABASE], email="old@example.com", password_hash=password_hash)
    await watch.ask(anybody, login, {**right, "email": "old@example.com"}, status=200)

    spent = (await watch.ask(anybody, login, right, status=200)).body["refresh_token"]
    for _ in range(2):  # the second time its successor is given once more
        live = (await watch.ask(anybody, refresh, {"refresh_token": spent}, status=200)).body["refresh_token"]
    async with connected(dsn) as connection:
        await connection.execute("UPDATE spent_refresh_tokens SET spent_at = spent_at - interval '1 minute'")
    await watch.ask(anybody, refresh, {"refresh_token": spent}, status=401)
    await watch.ask(anybody, "POST /api/auth/logout", {"refresh_token": live}, status=204)

    logged_in = await watch.ask(anybody, login, right, status=200)
    user = replace(anybody, token=logged_in.body["access_token"], user_id=registered.body["id"])
    for current, status in ((PASSWORD[:-1], 422), (PASSWORD, 204)):
        change = {"current_password": current, "new_password": "another horse battery staple"}
        await watch.ask(user, "POST /api/users/me/password", change, status=status)
    return user


async def _pages(watch: Watch, user: Api, service: Service, dsn: Dsn) -> None:
    """Get whatever is got without saying more, and ask for readiness after a migration too."""
    for route in _routes_of(service):
        if route.startswith("GET ") and "{" not in route and route != "GET /api/tasks":
            await watch.ask(user, route, status=307 if route == "GET /" else 200, allow_redirects=False)
    await watch.ask(user, "GET /docs/{file}", status=200, id_="page.css")
    await watch.ask(user, "GET /problems/{code}", status=200, id_="not_found")
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('-', 'later')")
    await watch.ask(user, "GET /health/ready", status=200)


async def _tasks(watch: Watch, caller: Api, tasks: str) -> None:
    """Do with tasks all that leads to another query; at first there are none."""
    for order in ("-created_at", "created_at"):
        for what in ({}, {"completed": "false"}, {"q": "plants"}):
            await watch.ask(caller, f"GET {tasks}", status=200, params={"sort": order, **what})
    await watch.ask(caller, f"GET {tasks}", status=422, params={"status": "nope"})
    agreeing = {"title": "Water the plants", "status": "complete", "completed": True}
    await watch.ask(caller, f"POST {tasks}", agreeing, status=201)
    created = await watch.ask(caller, f"POST {tasks}", agreeing, status=201, headers=_CREATING)
    task = f"{tasks}/{{id}}"
    id_ = created.body["id"]
    await watch.ask(caller, f"GET {task}", status=200, id_=id_)
    await watch.ask(caller, f"PATCH {task}", agreeing, status=412, id_=id_, headers=_STALE)
    await watch.ask(caller, f"PATCH {task}", agreeing, status=200, id_=id_, headers=_CHANGING)
    await watch.ask(caller, f"DELETE {task}", status=412, id_=id_, headers=_STALE)
    await watch.ask(caller, f"DELETE {task}", status=204, id_=id_, headers=_REMOVING)


async def _clients(watch: Watch, user: Api, dsn: Dsn) -> None:
    """Run the commands, and what a service client does that one of them has made."""
    scopes = ("--scope", "tasks:read", "--scope", "tasks:write")
    told = json.loads(await watch.run(dsn, "clients create", "reporting", *scopes, "--json"))
    form = {"grant_type": "client_credentials", "client_id": told["client_id"], "client_secret": told["client_secret"]}
    granted = await watch.ask(replace(user, token=None), "POST /api/auth/token", status=200, data=form)
    async with connected(dsn) as connection:
        await connection.execute("DELETE FROM tasks")
    await _tasks(watch, replace(user, token=granted.body["access_token"]), "/api/{user_id}/tasks")
    await watch.run(dsn, "clients list")
    await watch.run(dsn, "clients rotate", "reporting")
    await watch.run(dsn, "clients revoke", "reporting")
    await watch.run(dsn, "purge")


async def _jobs(watch: Watch, database: Database) -> None:
    """Let the jobs do at once what they do now and then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_TRUSTED_IDLE_SECONDS", 0.0)
        with watch.noting(_LENDING):
            async with database.connection():
                pass
    with pytest.MonkeyPatch.context() as patch, watch.noting(_PURGING), capture_logs() as events:

        async def has_purged() -> bool:
            return any(event["event"] == "purged" for event in events)

        patch.setattr(purging, "_INTERVAL_SECONDS", 0.01)
        async with purging.purging(database):
            await until(has_purged, seconds=5)


def _routes_of(service: Service) -> set[str]:
    """Return the routes as the application has them; HEAD comes with each GET."""
    return {
        f"{route.method} {route.resource.canonical}"
        for route in service.app.router.routes()
        if route.resource and route.method != "HEAD"
    }


def _commands_of(group: click.Group, path: str = "python -m service") -> set[str]:
    """Return the commands as click has them, groups too."""
    below = {f"{path} {name}": command for name, command in group.commands.items()}
    return {path}.union(
        *(_commands_of(one, name) if isinstance(one, click.Group) else {name} for name, one in below.items())
    )


def test_whoever_runs_a_query_is_told_of(watch: Watch) -> None:
    assert watch.pairs - _TOLD == set()


def test_whoever_is_told_of_runs_the_query(watch: Watch) -> None:
    assert _TOLD - watch.pairs == UNSEEN


async def test_every_route_was_asked(watch: Watch, service: Service) -> None:
    assert _routes_of(service) - watch.asked == set()


async def test_every_route_command_and_job_is_looked_at(service: Service) -> None:
    looked_at = queries_of_each(read_service(), JOBS).keys()
    assert looked_at == _routes_of(service) | _commands_of(main) | set(JOBS.values())


def test_every_query_is_run_by_somebody() -> None:
    assert [name for name, told in _CALLERS.items() if not told] == []


def test_who_runs_a_query_is_told_in_the_order_of_the_alphabet_and_of_one_that_nobody_runs_too() -> None:
    run = {"PATCH /b": frozenset({"get_b"}), "GET /b": frozenset({"get_a", "get_b"}), "POST /b": frozenset[str]()}
    assert callers(["get_b", "get_a", "get_c"], run) == {
        "get_b": ["GET /b", "PATCH /b"],
        "get_a": ["GET /b"],
        "get_c": [],
    }


def test_who_may_run_any_query_is_told_of_with_each() -> None:
    assert callers(["get_a", "get_b"], {"GET /": frozenset({ANY})}) == {"get_a": ["GET /"], "get_b": ["GET /"]}


def test_the_checks_themselves_do_not_count() -> None:
    assert [name for name in read_service().definitions if name.startswith("service.sqlcheck")] == []
