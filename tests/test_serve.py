"""`python -m service serve`, as people start and stop it: in a process of its own."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import venv
from dataclasses import replace
from pathlib import Path
from time import monotonic

import aiohttp
import asyncpg
import psutil
import pytest

from service import __version__
from service.dsn import Dsn
from tests.conftest import PASSWORD, Api, as_app
from tests.processes import PRODUCTION, command, folder, postgres_processes, serving
from tests.sharing import on_one_postgresql

__all__ = ["folder"]

pytestmark = on_one_postgresql

_ROOT = Path(__file__).parents[1]


async def _none_left(data_dir: Path, seconds: float) -> float:
    """Wait until that PostgreSQL is gone, and return how long it took."""
    started = monotonic()
    while left := postgres_processes(data_dir):
        assert monotonic() - started < seconds, left
        await asyncio.sleep(0.02)
    return monotonic() - started


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here, and the lines are for curl")
async def test_a_first_start_is_all_it_takes_and_a_second_finds_what_the_first_left(folder: Path) -> None:
    async with serving(folder, last_line="curl -sS http", DEBUG="true") as first, aiohttp.ClientSession() as session:
        # The greeting ends with the lines to paste; the first of them is there, two more follow.
        assert first.process.stdout
        lines = [first.said[-1], first.process.stdout.readline(), first.process.stdout.readline()]
        pasted = await asyncio.create_subprocess_exec(
            "bash", "-ec", "\n".join(["set -o pipefail", *lines]), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(pasted.communicate(), 20)
        assert pasted.returncode == 0
        assert '"email":"me@example.com"' in said.decode()
        assert '"title":"Water the plants"' in said.decode()
        assert sum("applied in" in line for line in first.said) >= 3
        api = Api(session, first.url)
        assert (await api.get("/health/ready")).body["checks"]["migrations"] == "ok"
        login = {"email": "me@example.com", "password": PASSWORD}
        token = (await api.post("/api/auth/login", login)).body["access_token"]
        options = command(folder, "migrate", "status")
        status = await asyncio.to_thread(lambda: subprocess.run(**options, timeout=60, check=False))
        assert status.returncode == 0
        assert status.stdout
        assert all(line.endswith("  applied") for line in status.stdout.splitlines())
        assert (await api.get("/health/ready")).status == 200  # the look at the database did not end it
        assert postgres_processes(folder)
        assert await first.end(signal.SIGTERM) == 0
    assert postgres_processes(folder) == []
    logged = first.errors.read_text()
    assert '"event":"statement"' in logged  # DEBUG by itself is enough
    assert '"event":"stopped"' in logged
    assert PASSWORD not in logged
    assert token not in logged
    async with serving(folder) as second, aiohttp.ClientSession() as session:
        assert not any("applied in" in line for line in second.said)
        api = Api(session, second.url, token)  # signed with the secret that the first start kept
        titles = [task["title"] for task in (await api.get("/api/tasks")).body["items"]]
        assert titles == ["Water the plants"]
        assert (await Api(session, second.url).post("/api/auth/login", login)).status == 200
        # Ctrl-C in a terminal reaches every process of the group.
        os.killpg(second.process.pid, signal.SIGINT)
        assert await second.wait() == 0
    assert postgres_processes(folder) == []
    async with serving(folder) as third:
        assert postgres_processes(folder)
        assert await third.end(signal.SIGKILL) == -signal.SIGKILL
        took = await _none_left(folder, seconds=10)
        print(f"PostgreSQL was gone {took:.2f} s after kill -9 of the service")  # noqa: T201 -- the guarantee's figure
    assert not [line for line in third.errors.read_text().splitlines() if "Traceback" in line]


async def test_accepted_requests_survive_a_sigterm_under_load(
    dsn: Dsn, connection: asyncpg.Connection, folder: Path
) -> None:
    acknowledged: list[str] = []
    refused = 0
    async with serving(folder, **PRODUCTION, DATABASE_URL=as_app(dsn).libpq_url) as service:
        assert psutil.Process(service.process.pid).children() == []  # DATABASE_URL is set: nothing embedded starts
        assert not (folder / "data").exists()
        stopping, loaded = asyncio.Event(), asyncio.Event()
        async with aiohttp.ClientSession() as session:
            token = (await Api(session, service.url).new_user("alice@example.com")).token

        async def work() -> None:
            nonlocal refused
            # A client in steady use: one connection, kept until the service says `Connection: close`. POST, since
            # aiohttp repeats other requests by itself.
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
                api = Api(session, service.url, token)
                while True:
                    try:
                        answer = await api.post("/api/tasks", {"title": "t"})
                    except aiohttp.ClientConnectorError as error:
                        if stopping.is_set() and isinstance(error.os_error, ConnectionRefusedError):
                            refused += 1
                            return
                        raise
                    assert answer.status == 201, answer.text
                    acknowledged.append(answer.body["id"])
                    if len(acknowledged) >= 200:
                        loaded.set()

        workers = [asyncio.create_task(work()) for _ in range(8)]
        await asyncio.wait_for(loaded.wait(), 30)
        stopping.set()
        before, signalled = len(acknowledged), monotonic()
        service.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*workers), 30)
        assert await service.wait() == 0
        took = monotonic() - signalled
    print(  # noqa: T201 -- the guarantee's figure
        f"{len(acknowledged)} requests, {len(acknowledged) - before} of them after SIGTERM, 0 failed; exit {took:.2f} s"
    )
    assert refused == 8
    stored = {str(row["id"]) for row in await connection.fetch("SELECT id FROM tasks")}
    assert stored == set(acknowledged)
    assert len(stored) == len(acknowledged)
    assert took < 5
    assert "canary" not in service.errors.read_text()
    assert "Traceback" not in service.errors.read_text()


async def test_production_does_not_migrate_and_says_that_it_is_behind(empty_database: Dsn, folder: Path) -> None:
    variables = {**PRODUCTION, "DATABASE_URL": as_app(empty_database).libpq_url}
    async with serving(folder, "--host", "::1", **variables) as service, aiohttp.ClientSession() as session:
        assert service.url.startswith("http://[::1]:")
        assert len(service.said) == 1  # no curl lines, and nothing applied
        ready = await Api(session, service.url).get("/health/ready")
        assert ready.status == 503
        assert ready.body["checks"] == {
            "database": "ok",
            "migrations": "behind",
            "queries": "unknown",
            "revocations": "stale",
            "draining": False,
        }
        assert (await Api(session, service.url).get("/health/live")).status == 200
        # An idle client that holds its connection open does not keep the service from ending.
        started = monotonic()
        assert await service.end(signal.SIGTERM) == 0
        print(f"exit {monotonic() - started:.2f} s after SIGTERM with one idle connection")  # noqa: T201 -- the guarantee's figure
        assert monotonic() - started < 5
    connection = await asyncpg.connect(empty_database.asyncpg_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


@pytest.fixture
def only_requirements(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands run by a Python that has the requirements installed, and not the package itself."""
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if "task_service" not in installed.name:
            (packages / installed.name).symlink_to(installed)
    monkeypatch.setattr(sys, "executable", str(folder / "venv" / "bin" / "python"))
    code = "from importlib.metadata import version; version('task-service')"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "PackageNotFoundError" in asked.stderr


@pytest.mark.usefixtures("only_requirements")
async def test_a_checkout_serves_where_only_the_requirements_are_installed(dsn: Dsn, folder: Path) -> None:
    variables = {"PYTHONPATH": str(_ROOT), "DATABASE_URL": as_app(dsn).libpq_url, **PRODUCTION}
    async with serving(folder, **variables) as service, aiohttp.ClientSession() as session:
        api = Api(session, service.url)
        assert (await api.get("/openapi.json")).body["info"]["version"] == __version__
        assert f'service_info{{version="{__version__}"}}' in (await api.get("/metrics")).text
        assert (await api.get("/health/ready")).status == 200


def test_a_database_that_cannot_be_served_from_is_one_clear_line(dsn: Dsn, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else takes it
        unreachable = replace(dsn, port=closed.getsockname()[1], password="canary")
        starts = [
            (
                database,
                subprocess.Popen(**command(tmp_path, "serve", **PRODUCTION, DATABASE_URL=url), stderr=subprocess.PIPE),
            )
            for database in (unreachable, replace(dsn, password="canary"), replace(dsn, database="nowhere"))
            for url in (database.libpq_url,)
        ]
        for database, start in starts:
            said, errors = start.communicate(timeout=60)
            assert (start.returncode, said) == (1, "")
            assert errors.count("\n") == 1, errors
            assert str(database) in errors
            assert "canary" not in errors
            assert "Traceback" not in errors
