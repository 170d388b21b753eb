"""PATCH: a merge patch changes what it names, and nothing else."""

from datetime import datetime
from typing import Any

import asyncpg
import pytest

from service.dsn import Dsn
from service.settings import Settings
from tests.conftest import Api, StartService, connected
from tests.sharing import on_one_postgresql

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


@pytest.mark.parametrize(
    "patch",
    [
        {"title": "Feed the cat"},
        {"description": "All of them"},
        {"description": ""},
        {"description": None},
        {"status": "in_progress"},
        {"title": "Feed the cat", "description": None, "status": "in_progress", "completed": False},
    ],
    ids=str,
)
async def test_a_patch_changes_what_it_names_and_nothing_else(alice: Api, patch: dict[str, Any]) -> None:
    task = await alice.new_task(description="The ones in the kitchen")
    answer = await alice.patch(f"/api/tasks/{task['id']}", patch)
    assert answer.status == 200
    changed = answer.body
    assert changed == task | patch | {"version": 2, "updated_at": changed["updated_at"]}
    assert datetime.fromisoformat(changed["updated_at"]) > datetime.fromisoformat(task["updated_at"])
    assert answer.headers["ETag"] == '"2"'
    assert (await alice.get(f"/api/tasks/{task['id']}")).body == changed


@pytest.mark.parametrize("completed", [False, True])
@pytest.mark.parametrize("same", [(), ("title",), ("description",), ("status",), ("completed",), ("title", "status")])
async def test_a_patch_that_changes_nothing_leaves_the_version(
    alice: Api,
    same: tuple[str, ...],
    completed: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    task = await alice.new_task(description="The ones in the kitchen", completed=completed)
    answer = await alice.patch(f"/api/tasks/{task['id']}", {name: task[name] for name in same})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (200, task, '"1"')


@on_one_postgresql
async def test_null_for_a_title_is_refused(alice: Api) -> None:
    task = await alice.new_task()
    answer = await alice.patch(f"/api/tasks/{task['id']}", {"title": None})
    assert answer.code == "validation_error"
    assert [(error["pointer"], error["code"]) for error in answer.body["errors"]] == [("/title", "null")]


@on_one_postgresql
async def test_every_fault_of_a_patch_is_named_at_once(alice: Api) -> None:
    task = await alice.new_task()
    patch = {"title": " ", "description": "x" * 2001, "status": None, "completed": 0, "version": 2, "due": "today"}
    answer = await alice.patch(f"/api/tasks/{task['id']}", patch)
    assert {error["pointer"] for error in answer.body["errors"]} == {f"/{name}" for name in patch}
    assert (await alice.get(f"/api/tasks/{task['id']}")).body == task


@pytest.mark.parametrize(
    ("status", "patch", "expected"),
    [
        ("incomplete", {"completed": False}, "incomplete"),
        ("incomplete", {"completed": True}, "complete"),
        ("in_progress", {"completed": False}, "in_progress"),
        ("in_progress", {"completed": True}, "complete"),
        ("complete", {"completed": True}, "complete"),
        ("complete", {"completed": False}, "incomplete"),
        ("complete", {"status": "in_progress"}, "in_progress"),
        ("complete", {"status": "in_progress", "completed": False}, "in_progress"),
        ("in_progress", {"status": "complete", "completed": True}, "complete"),
        ("complete", {"status": "complete"}, "complete"),
    ],
    ids=str,
)
async def test_completing_and_reopening(alice: Api, status: str, patch: dict[str, Any], expected: str) -> None:
    task = await alice.new_task(status=status)
    changed = (await alice.patch(f"/api/tasks/{task['id']}", patch)).body
    assert changed["status"] == expected
    assert changed["completed"] is (expected == "complete")
    if expected == status:
        assert changed == task
    elif expected == "complete":
        assert task["updated_at"] < changed["completed_at"] <= changed["updated_at"]
    else:
        assert changed["completed_at"] is None


async def test_completed_at_stays_while_other_members_change(alice: Api) -> None:
    task = await alice.new_task(completed=True)
    changed = (await alice.patch(f"/api/tasks/{task['id']}", {"title": "x", "completed": True})).body
    assert changed["version"] == 2
    assert changed["completed_at"] == task["completed_at"]


async def test_a_new_status_works_at_once_with_its_own_meaning(
    settings: Settings, dsn: Dsn, start_service: StartService
) -> None:
    # On a database of its own, since statuses are everybody's; the service runs already when they are added.
    alice = await (await start_service(settings, dsn)).new_user("alice@example.com")
    done = await alice.new_task(completed=True)
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO task_statuses VALUES ('cancelled', true, 40), ('waiting', false, 15)")
    statuses = (await alice.get("/api/task-statuses")).body["items"]
    assert [row["status"] for row in statuses] == ["incomplete", "waiting", "in_progress", "complete", "cancelled"]
    waiting = await alice.new_task(status="waiting")
    assert (waiting["completed"], waiting["completed_at"]) == (False, None)
    cancelled = (await alice.patch(f"/api/tasks/{waiting['id']}", {"status": "cancelled", "completed": True})).body
    assert cancelled["completed"] is True
    assert waiting["updated_at"] < cancelled["completed_at"] <= cancelled["updated_at"]
    # Already done in its own way, so that `completed` asks for nothing.
    assert (await alice.patch(f"/api/tasks/{waiting['id']}", {"completed": True})).body == cancelled
    moved = (await alice.patch(f"/api/tasks/{done['id']}", {"status": "cancelled"})).body
    assert moved["completed_at"] == done["completed_at"]
    listed = (await alice.get("/api/tasks?completed=true")).body["items"]
    assert listed == [cancelled, moved]
    assert (await alice.get("/api/tasks?status=cancelled&completed=false")).body["items"] == []
    disagreeing = await alice.patch(f"/api/tasks/{done['id']}", {"status": "waiting", "completed": True})
    assert disagreeing.body["errors"][0]["pointer"] == "/completed"
    reopened = (await alice.patch(f"/api/tasks/{done['id']}", {"completed": False})).body
    assert (reopened["status"], reopened["completed_at"]) == ("incomplete", None)


@on_one_postgresql
@pytest.mark.parametrize(
    "media_type",
    [
        "application/merge-patch+json",
        "application/json",
        "application/json; charset=utf-8",
        'Application/Merge-Patch+JSON; charset="UTF-8"',
    ],
)
async def test_a_patch_may_come_as_either_media_type(alice: Api, media_type: str) -> None:
    task = await alice.new_task()
    headers = {"Content-Type": media_type}
    answer = await alice.patch(f"/api/tasks/{task['id']}", data=b'{"title": "x"}', headers=headers)
    assert (answer.status, answer.body["title"]) == (200, "x")


@on_one_postgresql
@pytest.mark.parametrize(
    "media_type", ["application/json-patch+json", "text/plain", "application/x-www-form-urlencoded", "text/json"]
)
async def test_any_other_media_type_is_refused_with_what_is_accepted(
    alice: Api, connection: asyncpg.Connection, media_type: str
) -> None:
    task = await alice.new_task()
    headers = {"Content-Type": media_type}
    answer = await alice.patch(f"/api/tasks/{task['id']}", data=b'{"title": "x"}', headers=headers)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert answer.headers["Accept-Patch"] == "application/merge-patch+json, application/json"
    assert await connection.fetchval("SELECT version FROM tasks WHERE id = $1", task["id"]) == 1
    created = await alice.post("/api/tasks", data=b'{"title": "x"}', headers=headers)
    assert (created.status, created.headers["Accept-Post"]) == (415, "application/json")
    # A merge patch makes no task.
    assert (await alice.post("/api/tasks", data=b'{"title": "x"}', headers=MERGE_PATCH)).status == 415
