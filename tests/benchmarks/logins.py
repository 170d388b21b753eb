"""The cost of a flood of log-ins to everybody else: `python -m tests.benchmarks.logins`.

The service runs in a process of its own on an embedded PostgreSQL, with the default cost of a password. While more log
in than it can check, `/health/live` and a user's own account are asked for, fifty times a second each, and what that
takes is shown:

- with nothing else going on;
- in the flood;
- in the flood, were the threads that check passwords no less important than the one that answers. That they stand back
  is the difference.

`log-ins` are those that were checked, `shed` those that were answered 503 at once. The flood and the questions come
from one process on the same machine, which needs a core for that as well: a part of each time is its own.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import quantiles
from time import perf_counter

import aiohttp

from service.database import embedded
from service.dsn import Dsn
from tests.processes import command

SECONDS = 10
CLIENTS = 64
PATHS = ("/health/live", "/api/users/me")
SETTINGS = {
    "BCRYPT_COST": "12",
    "LOGIN_FAILURES_PER_ACCOUNT": "1000000",
    "LOGIN_FAILURES_PER_ADDRESS": "1000000",
}
_PERSON = {"email": "alice@example.com", "password": "correct horse battery staple"}
_RETRY_SECONDS = 0.1
_PROBE_SECONDS = 0.02
_SERVE = "from service.cli import main; main(['serve'])"
_AS_IMPORTANT = f"import os; os.nice = lambda _: 0; {_SERVE}"


@asynccontextmanager
async def _service(code: str, dsn: Dsn, folder: str) -> AsyncIterator[str]:
    """Run the service in a process of its own, by this code; give its URL."""
    options = command(Path(folder), DATABASE_URL=dsn.libpq_url, LOG_LEVEL="warning", **SETTINGS)
    process = subprocess.Popen(**options | {"args": [sys.executable, "-c", code]})  # noqa: ASYNC220 -- it is only started here
    assert process.stdout
    try:
        while not (line := await asyncio.to_thread(process.stdout.readline)).startswith("Serving on "):
            assert line, "it did not start"
        yield line.split()[2].rstrip(".")
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


async def _flood(session: aiohttp.ClientSession, statuses: Counter[int]) -> None:
    """Log in wrongly, again and again, each time as somebody else; count the answers."""
    for number in count():
        login = {"email": f"{id(asyncio.current_task())}-{number}@example.com", "password": "a wrong password"}
        async with session.post("/api/auth/login", json=login) as answer:
            statuses[answer.status] += 1
        if answer.status == 503:
            await asyncio.sleep(_RETRY_SECONDS)


async def _probe(session: aiohttp.ClientSession, path: str, seconds: float) -> list[float]:
    """Ask for a path fifty times a second, and return what each time took, in milliseconds."""
    times = []
    end = perf_counter() + seconds
    while (begun := perf_counter()) < end:
        async with session.get(path) as answer:
            assert answer.status == 200, await answer.text()
        times.append((perf_counter() - begun) * 1000)
        await asyncio.sleep(_PROBE_SECONDS)
    return times


async def measure(url: str, clients: int, seconds: float) -> tuple[Counter[int], dict[str, list[float]]]:
    """Flood a service; return how often it answered with which status, and what each path took meanwhile."""
    statuses: Counter[int] = Counter()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as flood, aiohttp.ClientSession(url) as session:
        await session.post("/api/auth/register", json=_PERSON)
        async with session.post("/api/auth/login", json=_PERSON) as answer:
            session.headers["Authorization"] = f"Bearer {(await answer.json())['access_token']}"
        floods = [asyncio.create_task(_flood(flood, statuses)) for _ in range(clients)]
        try:
            times = await asyncio.gather(*(_probe(session, path, seconds) for path in PATHS))
        finally:
            for task in floods:
                task.cancel()
            await asyncio.gather(*floods, return_exceptions=True)
    return statuses, dict(zip(PATHS, times, strict=True))


async def _main() -> None:
    line = "{:28}{:>9}{:>8}  {:16}{:>9}{:>9}{:>9}"
    _print(line.format("", "log-ins", "shed", "", "p50", "p99", "greatest"))
    with embedded.temporary() as server, tempfile.TemporaryDirectory() as folder:
        for name, code, clients in (
            ("nothing else", _SERVE, 0),
            (f"{CLIENTS} log in", _SERVE, CLIENTS),
            ("... at the same priority", _AS_IMPORTANT, CLIENTS),
        ):
            async with _service(code, server.dsn, folder) as url:
                statuses, times = await measure(url, clients, SECONDS)
            for path, taken in times.items():
                cuts = quantiles(taken, n=100)
                figures = [f"{value:.1f} ms" for value in (cuts[49], cuts[98], max(taken))]
                _print(
                    line.format(
                        name, f"{statuses[401] / SECONDS:.1f}/s", f"{statuses[503] / SECONDS:.0f}/s", path, *figures
                    )
                )


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- what it is run for


if __name__ == "__main__":
    asyncio.run(_main())
