"""The alias: /api/{user_id}/tasks is /api/tasks by the path that names the owner."""

import uuid

import pytest

from tests.conftest import Api
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

REQUESTS = [
    ("GET", "", None),
    ("POST", "", {"title": "x"}),
    ("GET", "/{id}", None),
    ("PATCH", "/{id}", {"title": "x"}),
    ("DELETE", "/{id}", None),
]


async def test_a_task_lives_through_the_alias_as_it_does_without(alice: Api) -> None:
    tasks = f"/api/{alice.user_id}/tasks"
    created = await alice.post(tasks, {"title": "x"})
    path = f"{tasks}/{created.body['id']}"
    assert (created.status, created.headers["Location"], created.headers["ETag"]) == (201, path, '"1"')
    got = await alice.get(path)
    assert (got.status, got.body) == (200, created.body)
    assert (await alice.get(f"/api/tasks/{created.body['id']}")).body == created.body
    assert (await alice.get(path, headers={"If-None-Match": '"1"'})).status == 304
    changed = await alice.patch(path, {"completed": True}, headers={"If-Match": '"1"'})
    assert (changed.status, changed.body["status"], changed.headers["ETag"]) == (200, "complete", '"2"')
    stale = await alice.delete(path, headers={"If-Match": '"1"'})
    assert (stale.status, stale.headers["ETag"]) == (412, '"2"')
    assert (await alice.get(f"{tasks}?completed=true")).body["items"] == [changed.body]
    assert (await alice.delete(path)).status == 204
    assert (await alice.get(path)).status == 404


async def test_a_page_leads_to_the_next_on_the_same_path_and_its_cursor_is_good_on_both(alice: Api) -> None:
    for number in range(3):
        await alice.new_task(f"Task {number}")
    first = await alice.get(f"/api/{alice.user_id}/tasks?limit=1")
    address = first.headers["Link"].split(">")[0].removeprefix("<")
    assert address.startswith(f"/api/{alice.user_id}/tasks?")
    cursor = first.body["next_cursor"]
    second = await alice.get(address)
    assert second.status == 200
    assert (await alice.get(f"/api/tasks?limit=1&cursor={cursor}")).body == second.body


async def test_the_owner_may_be_written_in_capitals(alice: Api) -> None:
    assert alice.user_id
    task = await alice.new_task()
    answer = await alice.get(f"/api/{alice.user_id.upper()}/tasks/{task['id'].upper()}")
    assert (answer.status, answer.body) == (200, task)


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_another_owner_is_not_found_whoever_that_is(
    alice: Api, bob: Api, method: str, path: str, body: object
) -> None:
    task = await bob.new_task()
    path = path.format(id=task["id"])
    strangers = [bob.user_id, uuid.uuid4(), uuid.UUID(int=0), "me", "not-a-uuid", "%00", "0" * 32, f"{{{bob.user_id}}}"]
    answers = [(await alice.send(method, f"/api/{owner}/tasks{path}", body)).told for owner in strangers]
    never_was = (await alice.get(f"/api/tasks/{uuid.uuid4()}")).told
    assert never_was[0] == 404
    assert all(answer == never_was for answer in answers)
    assert (await bob.get("/api/tasks")).body["items"] == [task]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_the_alias_needs_a_token(anybody: Api, alice: Api, method: str, path: str, body: object) -> None:
    task = await alice.new_task()
    answer = await anybody.send(method, f"/api/{alice.user_id}/tasks{path.format(id=task['id'])}", body)
    assert (answer.status, answer.code) == (401, "unauthenticated")
