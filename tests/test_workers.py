"""`serve --workers`: several processes serve as one, and come and go without anybody noticing."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

import aiohttp
import asyncpg
import psutil
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from service.cli import main
from service.database import embedded
from service.dsn import Dsn
from tests.conftest import PASSWORD, Api, as_app, connected
from tests.processes import PRODUCTION, Process, command, folder, postgres_processes, serving
from tests.sharing import on_one_postgresql, until

__all__ = ["folder"]

SECONDS = 30
POOL = {"POOL_SIZE": "2", "POOL_MAX_OVERFLOW": "2"}


def worker_pids(service: Process) -> set[int]:
    """The workers: children that are the same program."""
    parent = psutil.Process(service.process.pid)
    pids = set()
    for child in parent.children():
        with suppress(psutil.Error):  # it has just ended
            if child.cmdline() == parent.cmdline():
                pids.add(child.pid)
    return pids


async def gone(pids: set[int]) -> bool:
    """Tell whether none of these processes runs any more."""
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


async def said(service: Process, text: str) -> bool:
    """Tell whether this is in the log."""
    return text in service.errors.read_text()


@asynccontextmanager
async def caller(url: str, token: str | None = None) -> AsyncIterator[Api]:
    """A client that opens a connection for each request, so that any worker may get it."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield Api(session, url, token)


async def scrape(api: Api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read what /metrics says, as Prometheus would."""
    text = (await api.get("/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def lives_counted(api: Api) -> float:
    """Return the number of requests for liveness that the service says to have answered."""
    labels = frozenset({("method", "GET"), ("route", "/health/live"), ("status", "200")})
    return (await scrape(api)).get(("http_requests_total", labels), 0)


async def replaced(service: Process, killed: int, count: int) -> bool:
    """Tell whether a worker has been replaced."""
    pids = worker_pids(service)
    return killed not in pids and len(pids) == count


@on_one_postgresql
async def test_workers_count_together_and_a_replaced_one_is_not_forgotten(dsn: Dsn, folder: Path) -> None:
    async with (
        serving(folder, "--workers", "3", **PRODUCTION, **POOL, DATABASE_URL=as_app(dsn).libpq_url) as service,
        caller(service.url) as api,
    ):
        before = worker_pids(service)
        assert len(before) == 3
        sent = 0
        for answering in before:
            # Those that are stopped answer nothing, so each has to answer its share.
            stopped = [psutil.Process(pid) for pid in before - {answering}]
            for process in stopped:
                process.suspend()
            for _ in range(40):
                assert (await api.get("/health/live")).status == 200
                sent += 1
            for process in stopped:
                process.resume()
        assert [await lives_counted(api) for _ in range(6)] == [sent] * 6
        samples = await scrape(api)
        for worker in "123":
            assert samples["db_pool_connections", frozenset({("worker", worker), ("state", "checked_in")})] == 2
            assert samples["db_pool_connections_max", frozenset({("worker", worker)})] == 4
            assert samples["process_open_fds", frozenset({("worker", worker)})] > 0
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        took = await until(lambda: replaced(service, killed, 3), seconds=SECONDS)
        assert [await lives_counted(api) for _ in range(6)] == [sent] * 6
        for _ in range(60):
            assert (await api.get("/health/live")).status == 200
        assert [await lives_counted(api) for _ in range(6)] == [sent + 60] * 6
        after = worker_pids(service)
        assert after > before - {killed}
        assert await service.end(signal.SIGTERM) == 0
        assert await gone(after)
    logged = service.errors.read_text()
    assert logged.count("worker replaced") == 1
    assert "Traceback" not in logged
    print(f"{sent + 60} requests, all counted; a worker replaced in {took:.2f} s")  # noqa: T201 -- the figure


@on_one_postgresql
@pytest.mark.parametrize(
    ("number", "to_all"),
    [(signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGTERM, True)],
    ids=["SIGTERM to the parent", "Ctrl-C in a terminal", "SIGTERM to every process"],
)
async def test_workers_lose_no_request_when_they_drain(
    dsn: Dsn, connection: asyncpg.Connection, folder: Path, number: signal.Signals, *, to_all: bool
) -> None:
    acknowledged: list[str] = []
    async with serving(folder, WORKERS="2", **PRODUCTION, **POOL, DATABASE_URL=as_app(dsn).libpq_url) as service:
        stopping, loaded = asyncio.Event(), asyncio.Event()
        pids = worker_pids(service)
        async with caller(service.url) as api:
            token = (await api.new_user("alice@example.com")).token

        async def work() -> None:
            # In steady use: one connection, kept until the service says `Connection: close`.
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
                api = Api(session, service.url, token)
                while True:
                    try:
                        answer = await api.post("/api/tasks", {"title": "t"})
                    except aiohttp.ClientConnectorError:
                        assert stopping.is_set()
                        return
                    assert answer.status == 201, answer.text
                    acknowledged.append(answer.body["id"])
                    if len(acknowledged) >= 200:
                        loaded.set()

        clients = [asyncio.create_task(work()) for _ in range(8)]
        await asyncio.wait_for(loaded.wait(), SECONDS)
        stopping.set()
        before, began = len(acknowledged), monotonic()
        if to_all:
            os.killpg(service.process.pid, number)
        else:
            service.process.send_signal(number)
        await asyncio.wait_for(asyncio.gather(*clients), SECONDS)
        assert await service.wait() == 0
        took = monotonic() - began
        assert await gone(pids)
    print(  # noqa: T201 -- the guarantee's figure
        f"{len(acknowledged)} requests, {len(acknowledged) - before} of them after the signal, 0 failed; "
        f"exit {took:.2f} s"
    )
    assert {str(row["id"]) for row in await connection.fetch("SELECT id FROM tasks")} == set(acknowledged)
    assert took < 5
    assert "Traceback" not in service.errors.read_text()


@on_one_postgresql
async def test_nobody_is_turned_away_while_a_worker_is_replaced(dsn: Dsn, folder: Path) -> None:
    answered = cut_off = 0
    async with (
        serving(folder, "--workers", "2", **PRODUCTION, **POOL, DATABASE_URL=as_app(dsn).libpq_url) as service,
        caller(service.url) as api,
    ):
        is_over = asyncio.Event()

        async def work() -> None:
            nonlocal answered, cut_off
            while not is_over.is_set():
                try:
                    # POST, since aiohttp repeats other requests by itself. A refused connection fails the test.
                    assert (await api.post("/api/auth/login", {})).status == 422
                    answered += 1
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    assert not isinstance(error, aiohttp.ClientConnectorError)  # noqa: PT017 -- others are expected
                    cut_off += 1

        clients = [asyncio.create_task(work()) for _ in range(4)]
        for number in (signal.SIGKILL, signal.SIGTERM):
            so_far = answered
            ended = min(worker_pids(service))
            os.kill(ended, number)
            await until(lambda: replaced(service, ended, 2), seconds=SECONDS)  # noqa: B023 -- it is awaited here
            while answered < so_far + 50:  # noqa: ASYNC110 -- the clients go on by themselves
                await asyncio.sleep(0.01)
        is_over.set()
        await asyncio.gather(*clients)
        assert await service.end(signal.SIGTERM) == 0
    print(f"{answered} answered, {cut_off} cut off with the process that was killed")  # noqa: T201 -- the figure
    assert cut_off <= 4  # those that it was answering


@on_one_postgresql
async def test_no_worker_outlives_its_parent(dsn: Dsn, folder: Path) -> None:
    async with serving(folder, "--workers", "2", **PRODUCTION, **POOL, DATABASE_URL=as_app(dsn).libpq_url) as service:
        pids = worker_pids(service)
        assert len(pids) == 2
        assert await service.end(signal.SIGKILL) == -signal.SIGKILL
        took = await until(lambda: gone(pids), seconds=SECONDS)
    print(f"the workers were gone {took:.2f} s after kill -9 of their parent")  # noqa: T201 -- the guarantee's figure
    assert took < 5
    assert service.errors.read_text().count('"stopped"') == 2  # in order


@on_one_postgresql
async def test_a_second_signal_does_not_wait(dsn: Dsn, connection: asyncpg.Connection, folder: Path) -> None:
    async with serving(folder, "--workers", "2", **PRODUCTION, **POOL, DATABASE_URL=as_app(dsn).libpq_url) as service:
        pids = worker_pids(service)
        async with caller(service.url) as api, connection.transaction():
            await connection.execute("LOCK TABLE users")
            stuck = asyncio.create_task(
                api.post("/api/auth/register", {"email": "a@example.com", "password": PASSWORD})
            )
            await until(lambda: connection.fetchval("SELECT bool_or(NOT granted) FROM pg_locks"), seconds=SECONDS)
            service.process.send_signal(signal.SIGTERM)
            await until(lambda: said(service, '"draining"'), seconds=SECONDS)
            began = monotonic()
            assert await service.end(signal.SIGTERM) == 1
            assert monotonic() - began < 3  # of the ten seconds that a drain may take
            assert await gone(pids)
            with suppress(aiohttp.ClientError):
                await stuck
    assert service.errors.read_text().splitlines()[-1] == "Workers were killed before they had drained."


async def test_a_first_start_with_workers_is_all_it_takes(folder: Path) -> None:
    async with serving(folder, "--workers", "2", **POOL) as service, caller(service.url) as api:
        assert len([line for line in service.said if line.startswith("Serving on")]) == 1
        assert len(worker_pids(service)) == 2
        alice = await api.new_user("alice@example.com")
        # A token of one worker is good at the other: both have the secret that was made.
        assert [(await alice.get("/api/users/me")).status for _ in range(12)] == [200] * 12
        os.killpg(service.process.pid, signal.SIGINT)
        assert await service.wait() == 0
    assert postgres_processes(folder) == []
    assert "Traceback" not in service.errors.read_text()


@on_one_postgresql
async def test_a_replacement_that_cannot_start_ends_the_service(
    dsn: Dsn, postgres: embedded.Server, folder: Path
) -> None:
    async with (
        serving(folder, "--workers", "2", **PRODUCTION, **POOL, DATABASE_URL=as_app(dsn).libpq_url) as service,
        connected(postgres.dsn) as administrator,
    ):
        pids = worker_pids(service)
        await administrator.execute(f"ALTER DATABASE {dsn.database} ALLOW_CONNECTIONS false")
        os.kill(min(pids), signal.SIGKILL)
        assert await service.wait() == 1
        assert await gone(pids)
    last = service.errors.read_text().splitlines()[-1]
    assert last.startswith(f"The database at {dsn} cannot be used: ")


@on_one_postgresql
def test_workers_that_cannot_start_are_one_clear_line(dsn: Dsn, folder: Path) -> None:
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0)) as taken:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else takes it
        unreachable = replace(dsn, port=closed.getsockname()[1], password="canary")
        for url, port, expected in (
            (unreachable.libpq_url, 0, str(unreachable)),
            (dsn.libpq_url, taken.getsockname()[1], "in use"),
        ):
            variables = {**PRODUCTION, "DATABASE_URL": url, "PORT": str(port)}
            started = subprocess.run(
                **command(folder, "serve", "--workers", "2", **variables),
                stderr=subprocess.PIPE,
                timeout=SECONDS,
                check=False,
            )
            assert (started.returncode, started.stdout) == (1, "")
            assert started.stderr.count("\n") == 1, started.stderr
            assert expected in started.stderr
            assert "canary" not in started.stderr


@pytest.mark.parametrize("workers", ["0", "65", "many"])
def test_an_impossible_number_of_workers_is_wrong_usage(workers: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--workers", workers])
    assert result.exit_code == 2
    assert "--workers" in result.stderr
