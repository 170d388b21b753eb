"""Tasks: each handler parses, asks the database, replies. Whose a task is, is decided in the WHERE clause."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from aiohttp import web

from service.database.queries import queries
from service.http.bodies import MERGE_PATCH, read_body, read_query
from service.http.identity import caller
from service.http.keys import DATABASE
from service.http.pagination import FIRST, Position, next_cursor, read_cursor
from service.http.preconditions import etag, is_unchanged, required_versions
from service.http.problems import Problem, invalid, invalid_parameter
from service.http.replies import Row, reply, reply_list, reply_page
from service.tasks.schemas import Task, TaskCreate, TaskListQuery, TaskStatus, TaskUpdate

routes = web.RouteTableDef()

_create = TaskCreate()
_update = TaskUpdate()
_list = TaskListQuery()
_task = Task()
_task_status = TaskStatus()


@routes.post("/api/tasks", name="tasks")
async def create_task(request: web.Request) -> web.Response:
    """Create a task for the caller: 201 with its Location and ETag."""
    draft = await read_body(request, _create)
    await _check_agreement(request, draft)
    completed = draft.pop("completed", False)
    draft.setdefault("status", "complete" if completed else "incomplete")
    task = await queries.create_task(request.app[DATABASE], user_id=caller(request), **draft)
    return reply(_task, task, status=201, headers={"Location": f"/api/tasks/{task['id']}", **_etag(task)})


@routes.get("/api/tasks")
async def list_tasks(request: web.Request) -> web.Response:
    """Answer with one page of the caller's tasks, newest first."""
    asked = read_query(request, _list)
    filters = {name: asked.get(name) for name in ("status", "completed")}
    limit, scope = asked["limit"], f"{caller(request)} -created_at {filters}"
    after = _read_position(asked.get("cursor"), scope)
    # One more than was asked for tells whether there is more.
    tasks = await _find_page(request, filters, after, limit + 1)
    cursor = next_cursor(tasks, limit, scope)
    next_url = str(request.rel_url.update_query(cursor=cursor)) if cursor else None
    return reply_page(_task, tasks[:limit], cursor, next_url)


@routes.get("/api/tasks/{id}", name="task")
async def get_task(request: web.Request) -> web.Response:
    """Answer with one of the caller's tasks, or with 304 when the caller's copy is still current."""
    task = await _get(request)
    if is_unchanged(request, task["version"]):
        return web.Response(status=304, headers=_etag(task))
    return reply(_task, task, headers=_etag(task))


@routes.patch("/api/tasks/{id}")
async def update_task(request: web.Request) -> web.Response:
    """Change what the merge patch names of one of the caller's tasks: 200 with the new ETag."""
    task_id, versions = _task_id(request), required_versions(request)
    changes = await read_body(request, _update, MERGE_PATCH)
    await _check_agreement(request, changes)
    task = await queries.update_task(
        request.app[DATABASE],
        user_id=caller(request),
        id=task_id,
        versions=versions,
        title=changes.get("title"),
        replaces_description="description" in changes,
        description=changes.get("description"),
        status=changes.get("status"),
        completed=changes.get("completed"),
    )
    if task is None:
        raise _stale(await _get(request))
    return reply(_task, task, headers=_etag(task))


@routes.delete("/api/tasks/{id}")
async def delete_task(request: web.Request) -> web.Response:
    """Remove one of the caller's tasks: 204."""
    deleted = await queries.delete_task(
        request.app[DATABASE], user_id=caller(request), id=_task_id(request), versions=required_versions(request)
    )
    if deleted is None:
        raise _stale(await _get(request))
    return web.Response(status=204)


@routes.get("/api/task-statuses", name="task-statuses")
async def list_task_statuses(request: web.Request) -> web.Response:
    """Answer with the states that a task can be in."""
    return reply_list(_task_status, await queries.list_task_statuses(request.app[DATABASE]))


async def _get(request: web.Request) -> Row:
    task: Row | None = await queries.get_task(request.app[DATABASE], user_id=caller(request), id=_task_id(request))
    if task is None:
        raise Problem("not_found")
    return task


def _task_id(request: web.Request) -> UUID:
    """Read the id in the path; what is no UUID is the id of no task."""
    text = request.match_info["id"]
    with suppress(ValueError):
        # UUID() reads more spellings than one; a task has one address.
        if str(task_id := UUID(text)) == text.lower():
            return task_id
    raise Problem("not_found")


def _etag(task: Row) -> dict[str, str]:
    return {"ETag": etag(task["version"])}


def _stale(task: Row) -> Problem:
    """Say that a task is there, but at another version than If-Match allows."""
    return Problem("precondition_failed", headers=_etag(task))


def _read_position(cursor: str | None, scope: str) -> Position:
    if cursor is None:
        return FIRST
    try:
        return read_cursor(cursor, scope)
    except ValueError:
        raise invalid_parameter("cursor", "Is not a cursor of this list.", "cursor") from None


async def _find_page(request: web.Request, filters: dict[str, Any], after: Position, size: int) -> list[Row]:
    page = {"before_created_at": after.created_at, "before_id": after.id, "page_size": size}
    if all(value is None for value in filters.values()):
        tasks: list[Row] = await queries.list_tasks(request.app[DATABASE], user_id=caller(request), **page)
        return tasks
    tasks = await queries.list_tasks_by_status(request.app[DATABASE], user_id=caller(request), **filters, **page)
    if not tasks and filters["status"] is not None:
        await _check_status_parameter(request, filters["status"])
    return tasks


async def _check_agreement(request: web.Request, given: dict[str, Any]) -> None:
    """Refuse a status and a completed that say different things; only a request that has both costs a look."""
    if "status" in given and "completed" in given:
        status = await queries.get_task_status(request.app[DATABASE], status=given["status"])
        if status is None:
            raise invalid("/status", "There is no such status.", "unknown_status")
        if status["is_done"] != given["completed"]:
            raise invalid("/completed", "Does not agree with the status.", "disagreement")


async def _check_status_parameter(request: web.Request, status: str) -> None:
    """Tell an empty list from a status that does not exist; only an empty list costs a look."""
    if await queries.get_task_status(request.app[DATABASE], status=status) is None:
        raise invalid_parameter("status", "There is no such status.", "unknown_status")
