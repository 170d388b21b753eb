"""The callers of each query: what is read in the source is what PostgreSQL is sent by each route, command and job.

It is shown on the example's program, which is run here. Of the service it is only asked whether anything is left out.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request, RouteDef
from click.testing import CliRunner
from psycopg.sql import SQL, Identifier

from service.cli import main
from service.database import embedded
from service.dsn import Dsn
from service.resources import resource_folder
from service.sqlcheck.catalogue.callers import Run, callers, queries_of_each, read_package
from service.sqlcheck.catalogue.callgraph import ANY
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import Callers, Project, read_project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.trial.scratch import scratch_database
from tests.conftest import Service
from tests.sharing import *  # noqa: F403 -- fixtures
from tests.sharing import on_one_postgresql, until
from tests.sqlcheck.example.notebook.cli import main as notebook
from tests.sqlcheck.example.notebook.web import create_app, routes

pytestmark = on_one_postgresql

_TOP = resource_folder("sql").parent
_EXECUTED = re.compile(r"LOG:  execute [^:]+: \w+ /\* (\w+) \*/")
_EMAIL = "me@example.com"


@dataclass(frozen=True, slots=True)
class Watch:
    """The queries that PostgreSQL was sent, as its own log tells: while who was at work, and the query."""

    dsn: Dsn
    log: Path
    asked: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)

    @contextmanager
    def noting(self, who: str) -> Iterator[None]:
        """Note what is run while the block runs; PostgreSQL logs a statement before it answers."""
        began = self.log.stat().st_size
        yield
        self.asked.add(who)
        self.pairs.update((who, name) for name in self.executed(began))

    def executed(self, began: int) -> list[str]:
        """Return what has been run since the log was so long."""
        with self.log.open() as log:
            log.seek(began)
            return _EXECUTED.findall(log.read())

    async def ask(self, client: TestClient[Request, Application], route: str, status: int, **sent: str) -> None:
        """Send a request of a route, and note what it runs."""
        method, path = route.split(" ")
        with self.noting(route):
            answer = await client.request(method, path.format_map(sent), params=sent)
            assert answer.status == status, await answer.text()

    async def run(self, command: str, *args: str) -> None:
        """Run a command, and note what it runs."""
        with self.noting(f"python -m notebook {command}"):
            # In a thread, since a command has an event loop of its own.
            words = [*command.split(), self.dsn.asyncpg_url, *args]
            result = await asyncio.to_thread(CliRunner().invoke, notebook, words)
        assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def watch(postgres: embedded.Server, project: Project) -> Iterator[Watch]:
    """A database for the program, which commits what it does, on a server that logs whatever it is sent."""
    with scratch_database(project, postgres.dsn) as connection:
        dsn = replace(postgres.dsn, database=connection.info.dbname)
        database = Identifier(connection.info.dbname)
        for option in (SQL("log_statement = 'all'"), SQL("log_parameter_max_length = 0")):
            connection.execute(SQL("ALTER DATABASE {} SET {}").format(database, option))
        yield Watch(dsn, postgres.folder / "server.log")


@pytest.fixture(scope="module")
async def watched(watch: Watch) -> Watch:
    """The same, when all has been done that leads to another query."""
    with psycopg.connect(watch.dsn.libpq_url) as connection:
        [(member, note)] = connection.execute(
            "SELECT member_id, id FROM notes WHERE title = 'About the plants' AND body IS NOT NULL LIMIT 1"
        ).fetchall()
    with watch.noting("python -m notebook serve"):
        server = TestServer(create_app(watch.dsn.asyncpg_url, purging_seconds=3600))
        await server.start_server()
    async with TestClient(server, headers={"Member": str(member)}) as client:
        await watch.ask(client, "GET /notes", 200)
        await watch.ask(client, "GET /notes", 200, topic="draft")
        await watch.ask(client, "GET /topics", 200)
        for status in (204, 404):
            await watch.ask(client, "DELETE /notes/{id}", status, id=str(note))
    await watch.run("purge")
    await watch.run("members remove", _EMAIL)
    return watch


async def test_whoever_runs_a_query_is_told_of_and_whoever_is_told_of_runs_it(watched: Watch, project: Project) -> None:
    (job,) = _described(project).jobs.values()
    async with TestServer(create_app(watched.dsn.asyncpg_url, purging_seconds=0.01)):
        began = watched.log.stat().st_size

        async def has_purged() -> bool:
            return bool(watched.executed(began))

        with watched.noting(job):
            await until(has_purged, seconds=10)

    told = callers(project, [statement.name for statement in read_statements(project)])
    assert {(who, name) for name, run_by in told.items() for who in run_by} == watched.pairs


async def test_every_route_and_command_was_asked(watched: Watch, project: Project) -> None:
    served = {f"{one.method} {one.path}" for one in routes if isinstance(one, RouteDef)}
    looked_at = served | _commands_of(notebook, "python -m notebook")
    assert _run(project).keys() == looked_at | set(_described(project).jobs.values())
    # A group runs nothing by itself.
    assert looked_at - watched.asked == {"python -m notebook", "python -m notebook members"}


def test_who_runs_a_query_is_told_in_the_order_of_the_alphabet_and_of_one_that_nobody_runs_too(copy: Project) -> None:
    for method in ("post", "get", "patch"):
        _add_route(copy, method, "/b", "queries.lock_member")
    _add_route(copy, "get", "/a", "queries.get_note")
    assert callers(copy, ["lock_member", "get_note", "get_topic"]) == {
        "lock_member": ["GET /b", "PATCH /b", "POST /b"],
        "get_note": ["GET /a"],
        "get_topic": [],
    }


def test_who_may_run_any_query_is_told_of_with_each(copy: Project) -> None:
    _add_route(copy, "get", "/any", "getattr(queries, request.query['name'])")
    assert ANY in _run(copy)["GET /any"]
    assert callers(copy, ["lock_member", "get_topic"]) == {"lock_member": ["GET /any"], "get_topic": ["GET /any"]}


def test_nobody_is_told_of_where_no_program_is_described(project: Project) -> None:
    assert callers(replace(project, callers=None), ["get_note"]) == {"get_note": []}


def test_a_program_may_be_installed_elsewhere(project: Project) -> None:
    described = Callers("service", "service.database.queries.queries", "python -m service")
    assert read_package(project, described).name == "service"


_WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "the package": ({"package": "notebooks"}, "callers.package: There is no package notebooks."),
    "a module for the package": ({"package": "schemas"}, "callers.package: There is no package schemas."),
    "the queries": (
        {"queries": "notebook.database.querys"},
        "callers.queries: The package notebook defines no notebook.database.querys.",
    ),
    "queries that are imported": (
        {"queries": "notebook.web.queries"},
        "callers.queries: The package notebook defines no notebook.web.queries.",
    ),
    "a job": (
        {"jobs": {"notebook.web.purge_now_and_then": "every minute"}},
        "callers.jobs: The package notebook defines no notebook.web.purge_now_and_then.",
    ),
    "a package to leave out": (
        {"without": ("notebook.tests",)},
        "callers.without: There is no package notebook.tests in notebook.",
    ),
    "a module to leave out": (
        {"without": ("notebook.web",)},
        "callers.without: There is no package notebook.web in notebook.",
    ),
    "a package elsewhere to leave out": (
        {"without": ("migrations",)},
        "callers.without: There is no package migrations in notebook.",
    ),
}


@pytest.mark.parametrize("title", _WRONG)
def test_what_the_program_does_not_have_is_told(project: Project, title: str) -> None:
    wrong, told = _WRONG[title]
    with pytest.raises(CheckError) as refused:
        callers(replace(project, callers=replace(_described(project), **wrong)), ["get_note"])
    assert str(refused.value) == f"{project.folder}/pyproject.toml: [tool.sqlcheck] {told}"


def test_a_part_of_the_program_may_be_left_out(project: Project) -> None:
    without = read_package(project, replace(_described(project), without=("notebook",)))
    assert list(without.definitions) == []


async def test_every_route_command_and_job_of_the_service_is_looked_at(service: Service) -> None:
    product = read_project(_TOP)
    served = {(one.method, one.resource.canonical) for one in service.app.router.routes() if one.resource}
    # HEAD comes with each GET.
    served_routes = {f"{method} {path}" for method, path in served if method != "HEAD"}
    commands = _commands_of(main, "python -m service")
    assert _run(product).keys() == served_routes | commands | set(_described(product).jobs.values())


def test_every_query_of_the_service_is_run_by_somebody() -> None:
    product = read_project(_TOP)
    told = callers(product, [statement.name for statement in read_statements(product)])
    assert [name for name, run_by in told.items() if not run_by] == []


def _described(project: Project) -> Callers:
    assert project.callers
    return project.callers


def _run(project: Project) -> Run:
    """Return the queries that each route, command and job of a project's program runs."""
    return queries_of_each(project, _described(project))


def _add_route(project: Project, method: str, path: str, query: str) -> None:
    """Give the program a route that runs a query."""
    source = project.folder / "notebook" / "web.py"
    handler = (
        f"@routes.{method}({path!r})\nasync def {method}{path.replace('/', '_')}(request):\n    await {query}(None)"
    )
    source.write_text(f"{source.read_text()}\n\n{handler}\n")


def _commands_of(group: click.Group, path: str) -> set[str]:
    """Return the commands as click has them, groups too."""
    below = {f"{path} {name}": command for name, command in group.commands.items()}
    return {path}.union(
        *(_commands_of(one, name) if isinstance(one, click.Group) else {name} for name, one in below.items())
    )
