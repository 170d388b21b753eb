"""Walks through lists that change all the time: every task that stayed is seen once, and none twice."""

import asyncio
from collections import Counter
from datetime import datetime
from itertools import cycle
from urllib.parse import urlencode

import asyncpg

from tests.conftest import Api
from tests.sharing import on_one_postgresql
from tests.tasks.lists import insert_tasks, next_page

pytestmark = on_one_postgresql

_FILTERS: list[dict[str, str]] = [{}, {"completed": "false"}, {"q": "TASK", "created_after": "2000-01-01T00:00:00Z"}]
_WALKS = 3
_STAYING, _LEAVING = 240, 160


async def _walk(user: Api, counts: Counter[str], parameters: dict[str, str]) -> list[tuple[datetime, str]]:
    """Walk to the end of a list, and return the time and the id of each task."""
    seen: list[tuple[datetime, str]] = []
    path: str | None = f"/api/tasks?limit=7&{urlencode(parameters)}"
    while path:
        page = await user.get(path)
        assert page.status == 200, page.text
        seen += [(datetime.fromisoformat(task["created_at"]), task["id"]) for task in page.body["items"]]
        path = next_page(page)
        counts["pages"] += 1
    counts["walks"] += 1
    return seen


async def test_a_walk_sees_what_stayed_once_whatever_comes_and_goes(alice: Api, connection: asyncpg.Connection) -> None:
    ids = await insert_tasks(connection, alice, _STAYING + _LEAVING, ties=8)
    leaving = [id_ for n, id_ in enumerate(ids) if n % 5 in {1, 3}]
    staying = [id_ for id_ in ids if id_ not in set(leaving)]
    assert (len(staying), len(leaving)) == (_STAYING, _LEAVING)
    counts: Counter[str] = Counter()
    done = asyncio.Event()

    async def churn(doomed: list[str]) -> None:
        """Make a task, and delete an old one or the one just made, as fast as the service answers."""
        while not done.is_set():
            made = (await alice.new_task("Task that comes and goes"))["id"]
            gone = doomed.pop() if doomed and counts["made"] % 3 == 0 else made
            assert (await alice.delete(f"/api/tasks/{gone}")).status == 204
            counts.update(made=1, deleted=1)

    async def backdate() -> None:
        """Make and delete tasks in the middle of the list, where no request can: every walk passes there."""
        for place in cycle(range(0, len(staying), 9)):
            if done.is_set():
                break
            made = await connection.fetchval(
                """
                INSERT INTO tasks (user_id, title, created_at)
                SELECT user_id, 'Task from the past', created_at FROM tasks WHERE user_id = $1 AND id = $2
                RETURNING id
                """,
                alice.user_id,
                staying[place],
            )
            assert (await alice.delete(f"/api/tasks/{made}")).status == 204
            counts.update(backdated=1, deleted=1)

    async def read(parameters: dict[str, str]) -> None:
        for _ in range(_WALKS):
            seen = await _walk(alice, counts, parameters)
            assert len(seen) == len(set(seen))
            oldest_first = parameters["sort"] == "created_at"
            assert seen == sorted(seen, reverse=not oldest_first)
            stayed = [id_ for _, id_ in seen if id_ in set(staying)]
            assert stayed == (staying[::-1] if oldest_first else staying)

    readers = [read({**filters, "sort": sort}) for filters in _FILTERS for sort in ("created_at", "-created_at")]
    async with asyncio.TaskGroup() as writers:
        for part in range(3):
            writers.create_task(churn(leaving[part::3]))
        writers.create_task(backdate())
        try:
            await asyncio.gather(*readers)
        finally:
            done.set()
    print(f"\n{dict(counts)}, of {_STAYING} that stayed: missed 0, seen twice 0")  # noqa: T201 -- the guarantee's figure
    assert counts["walks"] == _WALKS * len(readers)
    assert min(counts["made"], counts["backdated"]) > 50
