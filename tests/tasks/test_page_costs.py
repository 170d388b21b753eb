"""The cost of a page of a list, counted in buffers: the same wherever it lies. `make bench` shows it as a table."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from service.database.queries import queries
from service.http.pagination import Position
from tests.benchmarks.pages import MODES, STATEMENTS, Cost, load_tasks, page_cost, position_of_page
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql  # `sql check` sees to it that the plans are the same on each

_PAGE_SIZE = 10
# A page may straddle one more page of the table and of the index, for each of three statuses; and chance.
_SLACK = 8


@pytest.fixture(scope="module")
async def user_id(connection: asyncpg.Connection) -> UUID:
    """A user with 14,000 tasks: a thousand pages of every list."""
    return await load_tasks(connection, 14_000)


async def _page_cost(
    connection: asyncpg.Connection, name: str, user_id: UUID, start: Position, **asked: object
) -> Cost:
    return await page_cost(connection, name, user_id, start, page_size=_PAGE_SIZE + 1, **asked)


def _promised_index(name: str) -> str:
    """The index that the statement's `Plan:` names."""
    plan = re.search(r"^Plan: (\w+_idx), ", getattr(queries, name).__doc__, re.MULTILINE)
    assert plan, name
    return plan[1]


def _rows_sorted(cost: Cost) -> int:
    sorts = [node for node in cost.nodes() if node["Node Type"] in {"Sort", "Incremental Sort"}]
    return max((node["Plans"][0]["Actual Rows"] * node["Plans"][0]["Actual Loops"] for node in sorts), default=0)


def _tables_read(cost: Cost) -> list[dict[str, Any]]:
    return [node for node in cost.nodes() if node.get("Relation Name") == "tasks"]


async def test_page_1000_costs_what_page_1_costs(connection: asyncpg.Connection, user_id: UUID) -> None:
    for name in STATEMENTS:
        starts = [await position_of_page(connection, name, user_id, page, page_size=_PAGE_SIZE) for page in (1, 1000)]
        for mode in MODES:
            await connection.execute(f"SET plan_cache_mode = {mode}")
            first, last = [await _page_cost(connection, name, user_id, start) for start in starts]
            print(f"{name}, {mode}: page 1 {first.buffers} buffers, page 1,000 {last.buffers}")  # noqa: T201 -- the guarantee's figure
            assert last.buffers <= first.buffers + _SLACK, name
            for cost in (first, last):
                assert cost.plan["Actual Rows"] == _PAGE_SIZE + 1
                assert {node.get("Index Name") for node in _tables_read(cost)} == {_promised_index(name)}, name
                assert _rows_sorted(cost) <= (3 * (_PAGE_SIZE + 1) if "by_status" in name else 0), name
            # No filter on a bound: it would be tried on every task that lies before it.
            conditions = [node for node in _tables_read(last) if "Filter" in node and "created_at" in node["Filter"]]
            assert not conditions, name


async def test_a_page_ends_where_the_times_asked_for_end(connection: asyncpg.Connection, user_id: UUID) -> None:
    moments = "SELECT created_at FROM tasks WHERE user_id = $1 ORDER BY created_at"
    oldest = await connection.fetchval(f"{moments} LIMIT 1", user_id)
    newest = await connection.fetchval(f"{moments} DESC LIMIT 1", user_id)
    bounds = {"created_after": newest - timedelta(seconds=2), "created_before": oldest + timedelta(seconds=2)}
    for name in STATEMENTS:
        bound = "created_before" if name.endswith("_oldest_first") else "created_after"
        start = await position_of_page(connection, name, user_id, 1, page_size=_PAGE_SIZE)
        for mode in MODES:
            await connection.execute(f"SET plan_cache_mode = {mode}")
            whole = await _page_cost(connection, name, user_id, start)
            short = await _page_cost(connection, name, user_id, start, **{bound: bounds[bound]})
            print(f"{name}, {mode}: {short.plan['Actual Rows']} tasks, {short.buffers} buffers")  # noqa: T201 -- the guarantee's figure
            assert 0 < short.plan["Actual Rows"] < _PAGE_SIZE
            assert short.buffers <= whole.buffers + _SLACK, name
