"""The cost of the parts that every request needs, beside those of the libraries that they replace: `make bench`.

Each line has the time of one call in microseconds, in the service's own part and in the library's. It depends on the
machine, and the ratio of the two depends on it less.

- `a statement by its key`: one from the pool, on an embedded PostgreSQL, without asyncpg's reset query and with it.
- `a page of 50 tasks as JSON`: by the row serialiser of `service.http.replies`, and by marshmallow's dump.
- `counting a request`: in the memory that workers share, and by a counter and a histogram of prometheus_client.
- `logging a request`: past structlog's chain, and through it. To write the line is up to a thread in both.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from timeit import timeit
from typing import Any

import asyncpg
import orjson
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, Counter, Histogram

from service.database.pool import Database
from service.database.queries import Executor, queries
from service.http.metrics import Metrics, SharedCounts
from service.http.replies import reply_page
from service.logs import log_request, writing
from service.settings import Settings
from service.tasks.schemas import Task
from tests.benchmarks.pages import EARLIEST, PAGE_SIZE, load_tasks, migrated, position_of_page

ROUNDS = 15
CALLS = 1000
_LINE = "{:30}{:>10}{:>12}{:>10}"


def _microseconds(call: Callable[[], object], calls: int) -> float:
    return timeit(call, number=calls) / calls * 1e6


async def _microseconds_awaited(call: Callable[[], Awaitable[object]], calls: int) -> float:
    begun = perf_counter()
    for _ in range(calls):
        await call()
    return (perf_counter() - begun) / calls * 1e6


def _compare(what: str, own: Callable[[], object], librarys: Callable[[], object], calls: int = CALLS) -> None:
    """Show the best of some rounds, in which the two take turns."""
    rounds = [(_microseconds(own, calls), _microseconds(librarys, calls)) for _ in range(ROUNDS)]
    _show(what, *map(min, zip(*rounds, strict=True)))


def _show(what: str, own: float, librarys: float) -> None:
    print(_LINE.format(what, f"{own:.1f}", f"{librarys:.1f}", f"{librarys / own:.1f}"), flush=True)  # noqa: T201 -- what it is run for


async def _statement(database: Database, stock: asyncpg.Pool, task: asyncpg.Record) -> None:
    def read(executor: Executor) -> Callable[[], Awaitable[object]]:
        return lambda: queries.get_task(executor, user_id=task["user_id"], id=task["id"])

    rounds = [[await _microseconds_awaited(read(one), CALLS) for one in (database, stock)] for _ in range(ROUNDS)]
    _show("a statement by its key", *map(min, zip(*rounds, strict=True)))


def _page(rows: Sequence[Mapping[str, Any]]) -> None:
    schema = Task()

    def dump() -> web.Response:
        body = orjson.dumps({"items": schema.dump(rows, many=True), "next_cursor": None})
        return web.Response(body=body, content_type="application/json")

    _compare(f"a page of {len(rows)} tasks as JSON", lambda: reply_page(schema, rows, None, None), dump, calls=100)


def _count(request: web.Request, database: Database) -> None:
    own = Metrics(SharedCounts.of(1)[0], request.app.router, database, pool_max=1)
    registry = CollectorRegistry()
    requests = Counter("http_requests", "Requests.", ("method", "route", "status"), registry=registry)
    seconds = Histogram("http_request_seconds", "Seconds.", ("method", "route"), registry=registry)

    def count() -> None:
        resource = request.match_info.route.resource
        assert resource
        requests.labels(request.method, resource.canonical, 200).inc()
        seconds.labels(request.method, resource.canonical).observe(0.003)

    _compare("counting a request", lambda: own.count(request, 200, 0.003), count)


def _log() -> None:
    fields = {"method": "GET", "path": "/api/tasks", "status": 200, "ms": 3.0, "request_id": "01234567-89ab"}
    with open(os.devnull, "w") as nowhere, writing("info", "json", nowhere):  # noqa: PTH123 -- a device
        log = structlog.get_logger()
        _compare("logging a request", lambda: log_request(fields), lambda: log.info("request", **fields))


async def _main() -> None:
    print(_LINE.format("microseconds", "here", "library's", "ratio"))  # noqa: T201 -- what it is run for
    async with migrated() as dsn:
        settings = Settings.load(Path(os.devnull), with_keys=False)
        connection = await asyncpg.connect(dsn.asyncpg_url)
        database = await Database.connect(dsn, settings)
        stock = await asyncpg.create_pool(dsn.asyncpg_url)
        try:
            user_id = await load_tasks(connection, 20 * PAGE_SIZE)
            start = await position_of_page(connection, "list_tasks", user_id, 2)
            rows = await queries.list_tasks(
                connection,
                user_id=user_id,
                before_created_at=start.created_at,
                before_id=start.id,
                created_after=EARLIEST,
                page_size=PAGE_SIZE,
            )
            await _statement(database, stock, rows[0])
            _page(rows)

            async def measure(request: web.Request) -> web.Response:
                """Measure what is done of a request, on a real one."""
                _count(request, database)
                return web.Response()

            app = web.Application()
            app.router.add_get("/api/tasks", measure)
            async with TestClient(TestServer(app)) as client:
                assert (await client.get("/api/tasks")).status == 200
            _log()
        finally:
            await stock.close()
            await database.close()
            await connection.close()


if __name__ == "__main__":
    asyncio.run(_main())
