"""One page of a list of tasks: which query finds it, and where it begins."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from aiohttp import web

from service.database.queries import queries
from service.http.app_keys import executor
from service.http.identity import CALLER
from service.http.pagination import Position, next_cursor, read_cursor, start_of
from service.http.problems import Problem, invalid_parameter
from service.http.replies import Record
from service.tasks.schemas import NEWEST_FIRST, OLDEST_FIRST

_FILTERS = ("status", "completed", "created_after", "created_before", "q")
# Every task was created between these.
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


async def find_page(request: web.Request, owner: UUID, asked: Mapping[str, Any]) -> tuple[list[Record], str | None]:
    """Find one page of a user's tasks, and the cursor of the next while there is more.

    Args:
        request: what the database is asked for.
        owner: whose tasks.
        asked: the query string, loaded by `TaskListQuery`.

    Raises:
        Problem: `validation_error`, when the cursor is not one of this list, or the status is none; `not_found`, when a
            client asks for the tasks of nobody.
    """
    filters = {name: asked.get(name) for name in _FILTERS}
    limit, scope = asked["limit"], ascii((str(owner), asked["sort"], filters))
    bounds = _bounds(asked, _read_position(asked.get("cursor"), scope))
    # One more than was asked for tells whether there is more.
    tasks = await _find(request, asked, user_id=owner, **bounds, page_size=limit + 1)
    if not tasks:
        await _check_owner(request, owner)
        if "status" in asked:
            await _check_status(request, asked["status"])
    return tasks[:limit], next_cursor(tasks, limit, scope)


async def _find(request: web.Request, asked: Mapping[str, Any], **page: object) -> list[Record]:
    all_tasks, by_status, matching = _queries_in_order(asked["sort"])
    state = {"status": asked.get("status"), "completed": asked.get("completed")}
    if asked.get("q"):
        found = matching(executor(request), q=asked["q"], **state, **page)
    elif state["status"] is None and state["completed"] is None:
        found = all_tasks(executor(request), **page)
    else:
        found = by_status(executor(request), **state, **page)
    tasks: list[Record] = await found
    return tasks


@cache
def _queries_in_order(order: str) -> tuple[Any, Any, Any]:
    """Return the queries that list tasks in an order: all of them, by status, and matching a text."""
    return {
        NEWEST_FIRST: (queries.list_tasks, queries.list_tasks_by_status, queries.list_tasks_matching),
        OLDEST_FIRST: (
            queries.list_tasks_oldest_first,
            queries.list_tasks_by_status_oldest_first,
            queries.list_tasks_matching_oldest_first,
        ),
    }[order]


def _bounds(asked: Mapping[str, Any], after: Position | None) -> dict[str, object]:
    """Return the bounds of the page, as parameters of its query.

    Where reading begins, a cursor takes the place of the filter: it was made of a task that had passed it.
    """
    created_after, created_before = asked.get("created_after", _EARLIEST), asked.get("created_before", _LATEST)
    if asked["sort"] == NEWEST_FIRST:
        start = after or start_of(created_before)
        return {"before_created_at": start.created_at, "before_id": start.id, "created_after": created_after}
    start = after or start_of(created_after)
    return {"after_created_at": start.created_at, "after_id": start.id, "created_before": created_before}


def _read_position(cursor: str | None, scope: str) -> Position | None:
    if cursor is None:
        return None
    try:
        return read_cursor(cursor, scope)
    except ValueError:
        raise invalid_parameter("cursor", "Is not a cursor of this list.", "cursor") from None


async def _check_owner(request: web.Request, owner: UUID) -> None:
    """Tell an empty list from one of nobody; only a client's empty list costs a look, since a user has a session."""
    if request[CALLER].is_client and await queries.get_user(executor(request), id=owner) is None:
        raise Problem("not_found")


async def _check_status(request: web.Request, status: str) -> None:
    """Tell an empty list from a status that does not exist; only an empty list costs a look."""
    if await queries.get_task_status(executor(request), status=status) is None:
        raise invalid_parameter("status", "There is no such status.", "unknown_status")
