"""One page of a list of tasks: which query finds it, and where it begins."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aiohttp import web

from service.database.queries import queries
from service.http.keys import executor
from service.http.pagination import FIRST, Position, next_cursor, read_cursor
from service.http.problems import invalid_parameter
from service.http.replies import Row

_FILTERS = ("status", "completed")


async def find_page(request: web.Request, owner: UUID, asked: Mapping[str, Any]) -> tuple[list[Row], str | None]:
    """Find one page of a user's tasks, and the cursor of the next while there is more.

    Args:
        request: what the database is asked for.
        owner: whose tasks.
        asked: the query string, loaded by `TaskListQuery`.

    Raises:
        Problem: `validation_error`, when the cursor is not one of this list, or the status is none.
    """
    filters = {name: asked.get(name) for name in _FILTERS}
    limit, scope = asked["limit"], f"{owner} -created_at {filters}"
    after = _read_position(asked.get("cursor"), scope)
    # One more than was asked for tells whether there is more.
    page = {"before_created_at": after.created_at, "before_id": after.id, "page_size": limit + 1}
    if all(value is None for value in filters.values()):
        tasks: list[Row] = await queries.list_tasks(executor(request), user_id=owner, **page)
    else:
        tasks = await queries.list_tasks_by_status(executor(request), user_id=owner, **filters, **page)
        if not tasks and filters["status"] is not None:
            await _check_status(request, filters["status"])
    return tasks[:limit], next_cursor(tasks, limit, scope)


def _read_position(cursor: str | None, scope: str) -> Position:
    if cursor is None:
        return FIRST
    try:
        return read_cursor(cursor, scope)
    except ValueError:
        raise invalid_parameter("cursor", "Is not a cursor of this list.", "cursor") from None


async def _check_status(request: web.Request, status: str) -> None:
    """Tell an empty list from a status that does not exist; only an empty list costs a look."""
    if await queries.get_task_status(executor(request), status=status) is None:
        raise invalid_parameter("status", "There is no such status.", "unknown_status")
