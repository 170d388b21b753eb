"""Service clients and tasks: a client acts for any user that exists, by the path that names the user.

What each scope lets a client do is in tests/accounts/test_isolation.py, for every route.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from service.accounts.tokens import TOKENS
from tests.conftest import Api, Service
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

DRAFT = {"title": "Water the plants"}
REPLAYED = "Idempotency-Replayed"
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("GET", "?status=incomplete", None),
    ("GET", "?status=nope", None),
    ("GET", "?q=plants&completed=false&sort=created_at", None),
    ("POST", "", DRAFT),
    ("POST", "", {**DRAFT, "status": "complete", "completed": True}),
    ("GET", "/{id}", None),
    ("PATCH", "/{id}", DRAFT),
    ("PATCH", "/{id}", {}),
    ("DELETE", "/{id}", None),
]

NewClient = Callable[[], Api]


@pytest.fixture
def new_client(service: Service, anybody: Api) -> NewClient:
    """Make a client with both scopes, as far as its token goes; how it gets one is in tests/accounts/test_oauth.py."""
    tokens = service.app[TOKENS]
    return lambda: replace(anybody, token=tokens.issue_to_client(uuid4(), ["tasks:read", "tasks:write"]))


@pytest.fixture
def client(new_client: NewClient) -> Api:
    """A service client."""
    return new_client()


async def test_a_task_lives_through_a_client_as_it_does_through_its_owner(client: Api, alice: Api, bob: Api) -> None:
    tasks = f"/api/{alice.user_id}/tasks"
    created = await client.post(tasks, DRAFT)
    path = f"{tasks}/{created.body['id']}"
    assert (created.status, created.headers["Location"], created.body["user_id"]) == (201, path, alice.user_id)
    assert (await alice.get(f"/api/tasks/{created.body['id']}")).body == created.body
    assert (await client.get(path)).body == created.body
    changed = await client.patch(path, {"completed": True}, headers={"If-Match": '"1"'})
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    stale = await client.delete(path, headers={"If-Match": '"1"'})
    assert (stale.status, stale.headers["ETag"]) == (412, '"2"')
    assert (await client.get(f"{tasks}?completed=true")).body["items"] == [changed.body]
    assert (await client.get(f"/api/{bob.user_id}/tasks")).body == {"items": [], "next_cursor": None}
    assert (await client.delete(path)).status == 204
    assert (await alice.get("/api/tasks")).body["items"] == []


@pytest.mark.parametrize("key", [None, "8e03978e"], ids=["without a key", "with a key"])
@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_a_user_who_never_was_is_the_same_404_as_a_task(  # noqa: PLR0913, PLR0917 -- parameters and fixtures
    client: Api, alice: Api, method: str, path: str, body: object, key: str | None
) -> None:
    task = await alice.new_task()
    headers = {"Idempotency-Key": key} if key else {}
    nobody = [uuid4(), UUID(int=0), "me", "no-uuid", "%00", uuid4().hex]
    answers = [
        (await client.send(method, f"/api/{owner}/tasks{path.format(id=task['id'])}", body, headers=headers)).told
        for owner in nobody
    ]
    never_was = (await alice.get(f"/api/tasks/{uuid4()}")).told
    assert never_was[0] == 404
    assert answers == [never_was] * len(nobody)
    assert (await alice.get("/api/tasks")).body["items"] == [task]


async def test_a_user_who_is_deleted_meanwhile_is_not_found(
    client: Api, alice: Api, connection: asyncpg.Connection
) -> None:
    tasks = f"/api/{alice.user_id}/tasks"
    assert (await client.post(tasks, DRAFT, headers={"Idempotency-Key": "1"})).status == 201
    await connection.execute("DELETE FROM users WHERE id = $1", UUID(alice.user_id))
    for key in ({}, {"Idempotency-Key": "1"}, {"Idempotency-Key": "2"}):
        answer = await client.post(tasks, DRAFT, headers=key)
        assert (answer.status, answer.code) == (404, "not_found")
    assert (await client.get(tasks)).code == "not_found"


async def test_a_walk_of_a_client_sees_each_task_once_and_its_cursor_is_the_owners(
    client: Api, alice: Api, bob: Api
) -> None:
    made = [(await client.post(f"/api/{alice.user_id}/tasks", {"title": f"Task {number}"})).body for number in range(5)]
    seen, address, cursor = [], f"/api/{alice.user_id}/tasks?limit=2", None
    while address:
        page = await client.get(address)
        seen += page.body["items"]
        cursor = page.body["next_cursor"] or cursor
        address = page.headers.get("Link", "").split(">")[0].removeprefix("<")
    assert seen == made[::-1]
    # The list is the same one whoever reads it, and another user's is another.
    assert (await alice.get(f"/api/tasks?limit=2&cursor={cursor}")).body["items"] == seen[4:]
    elsewhere = await client.get(f"/api/{bob.user_id}/tasks?limit=2&cursor={cursor}")
    assert (elsewhere.status, elsewhere.code) == (422, "validation_error")


async def test_a_key_is_its_clients_and_one_for_all_users(new_client: NewClient, alice: Api, bob: Api) -> None:
    key = {"Idempotency-Key": "8e03978e"}
    one, other, tasks = new_client(), new_client(), f"/api/{alice.user_id}/tasks"
    first = await one.post(tasks, DRAFT, headers=key)
    again = await one.post(tasks, DRAFT, headers=key)
    assert (first.status, REPLAYED in first.headers) == (201, False)
    assert (again.status, again.headers[REPLAYED], again.text) == (201, "true", first.text)
    # Another client, and the user too, have keys of their own.
    for caller, path in ((other, tasks), (alice, tasks)):
        answer = await caller.post(path, DRAFT, headers=key)
        assert (answer.status, REPLAYED in answer.headers) == (201, False)
    # Of one caller it is another request for another user.
    reused = await one.post(f"/api/{bob.user_id}/tasks", DRAFT, headers=key)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    assert len((await alice.get("/api/tasks")).body["items"]) == 3
    assert (await bob.get("/api/tasks")).body["items"] == []


async def test_the_log_names_the_client(client: Api, alice: Api) -> None:
    with capture_logs() as events:
        await client.get(f"/api/{alice.user_id}/tasks")
        await client.get("/api/tasks")
    logged = [event for event in events if event["event"] == "request"]
    assert [event["status"] for event in logged] == [200, 403]
    assert len({event["client_id"] for event in logged}) == 1
    assert all(UUID(event["client_id"]) and event["user_id"] is None for event in logged)
