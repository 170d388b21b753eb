"""Tasks: each handler parses, asks the database, replies. Whose a task is, is decided in the WHERE clause."""

from typing import Any

from aiohttp import web

from service.database.queries import queries
from service.http.app_keys import executor
from service.http.bodies import MERGE_PATCH, read_body, read_query
from service.http.idempotency import retriable
from service.http.identity import owner, path_uuid
from service.http.operations import Answer, operation
from service.http.preconditions import etag, is_unchanged, required_versions
from service.http.problems import Problem, invalid
from service.http.replies import Record, reply, reply_list, reply_page
from service.tasks.listing import find_page
from service.tasks.schemas import Task, TaskCreate, TaskListQuery, TaskStatus, TaskUpdate

routes = web.RouteTableDef()

_create = TaskCreate()
_update = TaskUpdate()
_list = TaskListQuery()
_task = Task()
_task_status = TaskStatus()


@routes.post("/api/{user_id}/tasks")
@routes.post("/api/tasks", name="tasks")
@operation(
    Answer(201, _task, headers=("ETag", "Location"), links=("get_task", "update_task", "delete_task")),
    body=_create,
    headers=("Idempotency-Key",),
)
@retriable
async def create_task(request: web.Request) -> web.Response:
    """Create a task: 201 with its Location and ETag."""
    draft = await read_body(request, _create)
    await _check_agreement(request, draft)
    completed = draft.pop("completed", False)
    draft.setdefault("status", "complete" if completed else "incomplete")
    task = await queries.create_task(executor(request), user_id=owner(request), **draft)
    return reply(_task, task, status=201, headers={"Location": f"{request.path}/{task['id']}", **_etag(task)})


@routes.get("/api/{user_id}/tasks")
@routes.get("/api/tasks")
@operation(Answer(200, _task, "page", headers=("Link",)), query=_list)
async def list_tasks(request: web.Request) -> web.Response:
    """Answer with one page of the user's tasks."""
    asked = read_query(request, _list)
    tasks, cursor = await find_page(request, owner(request), asked)
    next_url = str(request.rel_url.with_fragment(None).update_query(cursor=cursor)) if cursor else None
    return reply_page(_task, tasks, cursor, next_url)


@routes.get("/api/{user_id}/tasks/{id}")
@routes.get("/api/tasks/{id}", name="task")
@operation(
    Answer(200, _task, headers=("ETag",)),
    Answer(304, headers=("ETag",), meaning="The caller's copy is current."),
    headers=("If-None-Match",),
)
async def get_task(request: web.Request) -> web.Response:
    """Answer with one of the user's tasks, or with 304 when the caller's copy is still current."""
    task = await _get(request)
    if is_unchanged(request, task["version"]):
        return web.Response(status=304, headers=_etag(task))
    return reply(_task, task, headers=_etag(task))


@routes.patch("/api/{user_id}/tasks/{id}")
@routes.patch("/api/tasks/{id}")
@operation(
    Answer(200, _task, headers=("ETag",)),
    body=_update,
    media_types=MERGE_PATCH,
    headers=("If-Match", "Idempotency-Key"),
)
@retriable
async def update_task(request: web.Request) -> web.Response:
    """Change what the merge patch names of one of the user's tasks: 200 with the new ETag."""
    task_id, versions = path_uuid(request, "id"), required_versions(request)
    changes = await read_body(request, _update, MERGE_PATCH)
    await _check_agreement(request, changes)
    task = await queries.update_task(
        executor(request),
        user_id=owner(request),
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


@routes.delete("/api/{user_id}/tasks/{id}")
@routes.delete("/api/tasks/{id}")
@operation(Answer(204, meaning="It is gone."), headers=("If-Match", "Idempotency-Key"))
@retriable
async def delete_task(request: web.Request) -> web.Response:
    """Remove one of the user's tasks: 204."""
    deleted = await queries.delete_task(
        executor(request), user_id=owner(request), id=path_uuid(request, "id"), versions=required_versions(request)
    )
    if deleted is None:
        raise _stale(await _get(request))
    return web.Response(status=204)


@routes.get("/api/task-statuses", name="task-statuses")
@operation(Answer(200, _task_status, "list"))
async def list_task_statuses(request: web.Request) -> web.Response:
    """Answer with the states that a task can be in."""
    return reply_list(_task_status, await queries.list_task_statuses(executor(request)))


async def _get(request: web.Request) -> Record:
    task: Record | None = await queries.get_task(executor(request), user_id=owner(request), id=path_uuid(request, "id"))
    if task is None:
        raise Problem("not_found")
    return task


def _etag(task: Record) -> dict[str, str]:
    return {"ETag": etag(task["version"])}


def _stale(task: Record) -> Problem:
    """Say that a task is there, but at another version than If-Match allows."""
    return Problem("precondition_failed", headers=_etag(task))


async def _check_agreement(request: web.Request, given: dict[str, Any]) -> None:
    """Refuse a status and a completed that say different things; only a request that has both costs a look."""
    if "status" in given and "completed" in given:
        status = await queries.get_task_status(executor(request), status=given["status"])
        if status is None:
            raise invalid("/status", "There is no such status.", "unknown_status")
        if status["is_done"] != given["completed"]:
            raise invalid("/completed", "Does not agree with the status.", "disagreement")
