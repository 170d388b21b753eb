"""The cost of a page of a list: `make bench`.

For each statement and kind of plan, the cost of page 1 and of page 1,000 of a user with 100,000 tasks, in a table that
holds those of twenty other users in between:

- `buffers` is how many times a page of 8 KiB was looked at, in memory or on disk. It does not depend on the machine.
  Where a list is read from its start, page 1,000 looks at a thousand times what page 1 does; here the ratio is 1.
- `ms` is the time in PostgreSQL, without planning. It does depend on the machine, and on what else it does.

`generic` and `custom` are the plans that PostgreSQL may choose for a prepared statement: one that was made for any
parameters, and one for those at hand. The last lines are the times of a search that finds nothing, and so reads all
tasks: with descriptions of a line, and with the longest.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from service.database import embedded
from service.database.queries import queries, read_queries
from service.dsn import Dsn
from service.http.pagination import Position, start_of
from service.migrate import runner
from service.resources import resource_folder

TASKS = 100_000
PAGE_SIZE = 50
MODES = ("force_generic_plan", "force_custom_plan")
# The filters of each statement, which most tasks pass, so that there is a page 1,000; every other filter is left open.
STATEMENTS: dict[str, dict[str, object]] = {
    "list_tasks": {},
    "list_tasks_by_status": {"completed": False},
    "list_tasks_by_status_oldest_first": {"completed": False},
    "list_tasks_matching": {"q": "TASK"},
    "list_tasks_matching_oldest_first": {"q": "TASK"},
    "list_tasks_oldest_first": {},
}
_PARAMETERS = {query.name: query.parameters for query in read_queries(resource_folder("sql"))}
_DESCRIPTIONS = {
    "short descriptions": "SELECT",
    "descriptions of 2,000 characters": "UPDATE tasks SET description = rpad(description, 2000, ' and so on')",
}
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one run of a statement, and its plan as EXPLAIN writes it."""

    buffers: int
    milliseconds: float
    plan: dict[str, Any]

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Yield each node of the plan, from the top."""
        left = [self.plan]
        while left:
            yield (node := left.pop())
            left += node.get("Plans", [])


class Explainer:
    """An executor that explains a statement instead of answering it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: object) -> Cost:
        """Run the statement, and return what that cost."""
        arguments = ", ".join("NULL" if argument is None else f"'{argument}'" for argument in args)
        await self._connection.execute(f"PREPARE explained AS {query}")
        try:
            explained = await self._connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained({arguments})"
            )
        finally:
            await self._connection.execute("DEALLOCATE explained")
        [found] = json.loads(explained)
        plan = found["Plan"]
        return Cost(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], found["Execution Time"], plan)


async def load_tasks(connection: asyncpg.Connection, count: int) -> UUID:
    """Give a new user so many tasks, between those of twenty others; return the user's id."""
    users = [
        row["id"]
        for row in await connection.fetch(
            """
            INSERT INTO users (email, password_hash)
            SELECT 'user-' || n || '@bench.example.com', 'x' FROM generate_series(0, 20) AS n
            RETURNING id
            """
        )
    ]
    await connection.execute(
        """
        INSERT INTO tasks (user_id, title, description, status, created_at)
        SELECT
            CASE WHEN n % 5 > 0 THEN $1 ELSE ($2::uuid[])[n / 5 % 20 + 1] END,
            'Task ' || n,
            'What is to be done about ' || n,
            (ARRAY['incomplete', 'in_progress', 'complete', 'incomplete'])[n / 5 % 4 + 1],
            now() - n / 4 * interval '1 second'
        FROM generate_series(0, $3 * 5 / 4 - 1) AS n
        ORDER BY n DESC
        """,
        users[0],
        users[1:],
        count,
    )
    await connection.execute("VACUUM ANALYZE")
    user: UUID = users[0]
    return user


async def position_of_page(
    connection: asyncpg.Connection, name: str, user_id: UUID, page: int, *, page_size: int = PAGE_SIZE
) -> Position:
    """Return where a page of a list begins."""
    start = start_of(EARLIEST if _is_oldest_first(name) else LATEST)
    if page == 1:
        return start
    before = _parameters(name, user_id, start) | {"page_size": (page - 1) * page_size}
    last = (await getattr(queries, name)(connection, **before))[-1]
    return Position(last["created_at"], last["id"])


async def page_cost(connection: asyncpg.Connection, name: str, user_id: UUID, start: Position, **asked: object) -> Cost:
    """Return what the page that begins there costs, on the second run of two."""
    for _ in range(2):
        cost: Cost = await getattr(queries, name)(Explainer(connection), **_parameters(name, user_id, start) | asked)
    return cost


def _parameters(name: str, user_id: UUID, start: Position) -> dict[str, object]:
    page: dict[str, object] = dict.fromkeys(_PARAMETERS[name]) | STATEMENTS[name]
    page |= {"user_id": user_id, "page_size": PAGE_SIZE + 1}
    if _is_oldest_first(name):
        return page | {"after_created_at": start.created_at, "after_id": start.id, "created_before": LATEST}
    return page | {"before_created_at": start.created_at, "before_id": start.id, "created_after": EARLIEST}


def _is_oldest_first(name: str) -> bool:
    return name.endswith("_oldest_first")


@asynccontextmanager
async def migrated() -> AsyncIterator[Dsn]:
    """Run an embedded PostgreSQL with a migrated database."""
    with embedded.temporary(options={"fsync": "off"}) as server:
        administrator = await asyncpg.connect(server.dsn.asyncpg_url)
        await administrator.execute("CREATE DATABASE bench")
        await administrator.close()
        dsn = replace(server.dsn, database="bench")
        await asyncio.to_thread(runner.apply, dsn, resource_folder("migrations"))
        yield dsn


@asynccontextmanager
async def _database() -> AsyncIterator[asyncpg.Connection]:
    async with migrated() as dsn:
        connection = await asyncpg.connect(dsn.asyncpg_url, server_settings={"jit": "off", "timezone": "UTC"})
        try:
            yield connection
        finally:
            await connection.close()


async def _main() -> None:
    async with _database() as connection:
        user_id = await load_tasks(connection, TASKS)
        line = "{:36}{:9}{:>10}{:>12}{:>7}{:>10}{:>12}"
        _print(line.format("", "", "page 1", "page 1,000", "", "page 1", "page 1,000"))
        _print(line.format("statement", "plan", "buffers", "buffers", "ratio", "ms", "ms"))
        for name in STATEMENTS:
            starts = [await position_of_page(connection, name, user_id, page) for page in (1, 1000)]
            for mode in MODES:
                await connection.execute(f"SET plan_cache_mode = {mode}")
                first, last = [await page_cost(connection, name, user_id, start) for start in starts]
                costs = (first.buffers, last.buffers, f"{last.buffers / first.buffers:.2f}")
                times = (f"{first.milliseconds:.2f}", f"{last.milliseconds:.2f}")
                _print(line.format(name, mode.split("_")[1], *costs, *times))
        start = await position_of_page(connection, "list_tasks_matching", user_id, 1)
        for what, statement in _DESCRIPTIONS.items():
            await connection.execute(statement)
            nothing = await page_cost(connection, "list_tasks_matching", user_id, start, q="no task says so")
            _print(f"A search that finds nothing in {TASKS:,} tasks with {what}: {nothing.milliseconds:,.0f} ms.")


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- what it is run for


if __name__ == "__main__":
    asyncio.run(_main())
