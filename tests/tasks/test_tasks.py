"""Tasks over HTTP, on a real database: their life from creation to deletion, and whose they are."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.conftest import Answer, Api
from tests.sharing import on_one_postgresql

MEMBERS = {
    "id",
    "user_id",
    "title",
    "description",
    "status",
    "completed",
    "completed_at",
    "version",
    "created_at",
    "updated_at",
}


def pointers(answer: Answer) -> dict[str, list[str]]:
    """The codes of a validation error's faults, by pointer."""
    assert answer.status == 422, answer.text
    assert answer.code == "validation_error"
    found: dict[str, list[str]] = {}
    for error in answer.body["errors"]:
        found.setdefault(error["pointer"], []).append(error["code"])
    return found


async def test_a_created_task_can_be_read_again(alice: Api) -> None:
    created = await alice.post("/api/tasks", {"title": "Water the plants"})
    assert created.status == 201
    read = await alice.get(created.headers["Location"])
    assert read.status == 200
    assert read.body == created.body
    assert read.headers["ETag"] == created.headers["ETag"] == '"1"'


async def test_a_new_task_has_its_defaults(alice: Api) -> None:
    before = datetime.now(UTC)
    created = await alice.post("/api/tasks", {"title": "Water the plants"})
    task = created.body
    assert task.keys() == MEMBERS
    assert created.headers["Location"] == f"/api/tasks/{task['id']}"
    assert created.headers["Content-Type"].startswith("application/json")
    assert str(UUID(task["id"])) == task["id"]
    assert task["user_id"] == alice.user_id
    assert (task["description"], task["status"], task["completed"], task["completed_at"]) == (
        None,
        "incomplete",
        False,
        None,
    )
    assert task["version"] == 1
    assert task["created_at"] == task["updated_at"]
    assert task["created_at"].endswith("Z")
    # A minute allows for a clock that is set meanwhile, and not for a time zone.
    assert abs(datetime.fromisoformat(task["created_at"]) - before) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("given", "status", "completed"),
    [
        ({"status": "incomplete"}, "incomplete", False),
        ({"status": "in_progress"}, "in_progress", False),
        ({"status": "complete"}, "complete", True),
        ({"completed": True}, "complete", True),
        ({"completed": False}, "incomplete", False),
        ({"status": "complete", "completed": True}, "complete", True),
        ({"status": "in_progress", "completed": False}, "in_progress", False),
    ],
    ids=str,
)
async def test_status_and_completed_are_two_ways_to_say_one_thing(
    alice: Api,
    given: dict[str, Any],
    status: str,
    completed: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    task = await alice.new_task(**given)
    assert (task["status"], task["completed"]) == (status, completed)
    assert (task["completed_at"] is not None) is completed
    if completed:
        assert task["completed_at"] == task["created_at"]


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"status": "complete", "completed": False}, {"/completed": ["disagreement"]}),
        ({"status": "in_progress", "completed": True}, {"/completed": ["disagreement"]}),
        ({"status": "nope"}, {"/status": ["unknown_status"]}),
        ({"status": "nope", "completed": True}, {"/status": ["unknown_status"]}),
        ({"status": ""}, {"/status": ["unknown_status"]}),
        ({"status": "Complete"}, {"/status": ["unknown_status"]}),
        # Long enough not to fit into an index entry, and without a pattern that would let it be compressed.
        ({"status": "".join(chr(0x4E00 + i * 7919 % 20000) for i in range(6000))}, {"/status": ["unknown_status"]}),
        ({"status": None, "completed": None}, {"/status": ["null"], "/completed": ["null"]}),
        ({"status": 1, "completed": "true"}, {"/status": ["type"], "/completed": ["type"]}),
        ({"completed": 1}, {"/completed": ["type"]}),
    ],
    ids=lambda value: ascii(value)[:60],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_status_that_cannot_be_is_refused_by_name(
    alice: Api, method: str, given: dict[str, Any], faults: dict[str, list[str]]
) -> None:
    if method == "POST":
        answer = await alice.post("/api/tasks", {"title": "Water the plants", **given})
    else:
        answer = await alice.patch(f"/api/tasks/{(await alice.new_task())['id']}", given)
    assert pointers(answer) == faults


# One of each plane, to tell characters from bytes and from UTF-16 units.
@on_one_postgresql
@pytest.mark.parametrize("character", ["a", "é", "水", "🌱"])
@pytest.mark.parametrize(("member", "limit"), [("title", 200), ("description", 2000)])
async def test_limits_count_characters(alice: Api, member: str, limit: int, character: str) -> None:
    fits, too_long = character * limit, character * (limit + 1)
    task = await alice.new_task(**{member: fits})
    assert task[member] == fits
    assert pointers(await alice.post("/api/tasks", {"title": "x", member: too_long})) == {f"/{member}": ["length"]}
    assert pointers(await alice.patch(f"/api/tasks/{task['id']}", {member: too_long})) == {f"/{member}": ["length"]}
    assert (await alice.get(f"/api/tasks/{task['id']}")).body == task


@on_one_postgresql
async def test_an_empty_title_is_too_short(alice: Api) -> None:
    assert pointers(await alice.post("/api/tasks", {"title": ""})) == {"/title": ["length"]}


@on_one_postgresql
@pytest.mark.parametrize(
    "blank",
    [" ", "\t\r\n", "\x0b\x0c", "\x1c", "\x85", "\xa0", "\u2003 \u3000", "\u2028", "\u202f", " " * 200],
    ids=ascii,
)
async def test_a_title_of_white_space_alone_is_blank(alice: Api, blank: str) -> None:
    task = await alice.new_task()
    assert pointers(await alice.post("/api/tasks", {"title": blank})) == {"/title": ["blank"]}
    assert pointers(await alice.patch(f"/api/tasks/{task['id']}", {"title": blank})) == {"/title": ["blank"]}


@pytest.mark.parametrize(
    "text", ["  Water the plants \n", "\u3000水\u3000", "\u200b", "' OR 1=1; --", "e\u0301 \u00e9"], ids=ascii
)
async def test_texts_are_stored_as_sent(alice: Api, text: str) -> None:
    task = await alice.new_task(text, description=text)
    assert (task["title"], task["description"]) == (text, text)
    read = await alice.get(f"/api/tasks/{task['id']}")
    assert (read.body["title"], read.body["description"]) == (text, text)


async def test_an_empty_description_stays_empty(alice: Api) -> None:
    assert (await alice.new_task(description=""))["description"] == ""


@on_one_postgresql
async def test_every_fault_of_a_new_task_is_named_at_once(alice: Api) -> None:
    answer = await alice.post(
        "/api/tasks", {"description": 7, "status": False, "completed": "no", "owner": "me", "id": 1, "a/b~c": 1}
    )
    assert pointers(answer) == {
        "/title": ["required"],
        "/description": ["type"],
        "/status": ["type"],
        "/completed": ["type"],
        "/owner": ["unknown"],
        "/id": ["unknown"],
        "/a~1b~0c": ["unknown"],
    }
    assert all(error["detail"] for error in answer.body["errors"])


@on_one_postgresql
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_members_that_only_the_service_writes_are_refused(alice: Api, method: str) -> None:
    task = await alice.new_task()
    read_only = sorted(MEMBERS - {"title", "description", "status", "completed"})
    path = "/api/tasks" if method == "POST" else f"/api/tasks/{task['id']}"
    answer = await alice.send(method, path, {"title": "x", **{name: task[name] for name in read_only}})
    assert pointers(answer) == {f"/{name}": ["unknown"] for name in read_only}
    assert (await alice.get(f"/api/tasks/{task['id']}")).body == task


async def test_a_deleted_task_is_gone(alice: Api) -> None:
    kept, task = await alice.new_task(), await alice.new_task()
    path = f"/api/tasks/{task['id']}"
    deleted = await alice.delete(path)
    assert (deleted.status, deleted.text) == (204, "")
    assert "Content-Type" not in deleted.headers
    assert [(await alice.send(method, path)).status for method in ("GET", "DELETE")] == [404, 404]
    assert (await alice.patch(path, {"title": "x"})).status == 404
    assert (await alice.get("/api/tasks")).body["items"] == [kept]


async def test_the_statuses_are_listed_in_their_order(alice: Api, anybody: Api) -> None:
    answer = await alice.get("/api/task-statuses")
    assert answer.status == 200
    assert answer.body == {
        "items": [
            {"status": "incomplete", "is_done": False, "position": 10},
            {"status": "in_progress", "is_done": False, "position": 20},
            {"status": "complete", "is_done": True, "position": 30},
        ]
    }
    assert (await anybody.get("/api/task-statuses")).code == "unauthenticated"


async def test_a_task_may_be_addressed_in_upper_case(alice: Api) -> None:
    task = await alice.new_task()
    assert (await alice.get(f"/api/tasks/{task['id'].upper()}")).body == task


# How UUID() also reads a UUID, and what is none.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "without hyphens": lambda id_: id_.replace("-", ""),
    "in braces": lambda id_: f"%7B{id_}%7D",
    "as a URN": lambda id_: f"urn:uuid:{id_}",
    "hyphens elsewhere": lambda id_: "-".join(id_.replace("-", "")),
    "fullwidth digits": lambda id_: id_.translate({ord("0") + i: 0xFF10 + i for i in range(10)}),
    "white space around": lambda id_: f"%20{id_}%20",
    "one character short": lambda id_: id_[:-1],
    "one character more": lambda id_: id_ + "0",
    "a number": lambda _: "1",
    "a word": lambda _: "me",
    "NUL": lambda id_: f"{id_}%00",
    "bad UTF-8": lambda _: "%ff",
    "never was": lambda _: str(uuid4()),
    "the nil UUID": lambda _: "00000000-0000-0000-0000-000000000000",
}


@on_one_postgresql
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_anothers_task_is_told_apart_from_none_by_nothing(
    alice: Api, bob: Api, connection: asyncpg.Connection, method: str
) -> None:
    task = await alice.new_task()
    paths = {name: f"/api/tasks/{spell(task['id'])}" for name, spell in SPELLINGS.items()}
    paths["another user's"] = f"/api/tasks/{task['id']}"
    options = {"body": {"title": "Mine now"}} if method == "PATCH" else {}
    for headers in ({}, {"If-Match": '"1"'}, {"If-Match": '"9"'}, {"If-Match": "*"}):
        answers = {name: await bob.send(method, path, headers=headers, **options) for name, path in paths.items()}
        assert {name: answer.code for name, answer in answers.items()} == dict.fromkeys(paths, "not_found")
        bodies = [answer.body | {"request_id": "", "instance": ""} for answer in answers.values()]
        assert all(body == bodies[0] for body in bodies)
        fields = [sorted(answer.headers.keys() - {"Content-Length"}) for answer in answers.values()]
        assert all(names == fields[0] for names in fields)
    # The owner's own odd spellings are no addresses either.
    own = {name: (await alice.send(method, path, **options)).status for name, path in paths.items()}
    assert own.pop("another user's") in {200, 204}
    assert set(own.values()) == {404}
    row = await connection.fetchrow("SELECT title FROM tasks WHERE id = $1", task["id"])
    assert (row["title"] if row else None) == {"GET": task["title"], "PATCH": "Mine now", "DELETE": None}[method]


async def test_a_list_holds_only_its_callers_tasks(alice: Api, bob: Api) -> None:
    theirs, own = await alice.new_task(), await bob.new_task()
    assert (await alice.get("/api/tasks")).body["items"] == [theirs]
    assert (await bob.get("/api/tasks")).body["items"] == [own]


@on_one_postgresql
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/tasks"),
        ("POST", "/api/tasks"),
        ("GET", f"/api/tasks/{uuid4()}"),
        ("PATCH", f"/api/tasks/{uuid4()}"),
        ("DELETE", f"/api/tasks/{uuid4()}"),
    ],
    ids=lambda value: value[:10],
)
async def test_without_a_token_there_are_no_tasks(anybody: Api, method: str, path: str) -> None:
    answer = await anybody.send(method, path)
    assert answer.status == 401
    assert answer.code == "unauthenticated"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_task_for_a_user_who_is_gone_is_refused_as_a_stale_token(
    alice: Api, connection: asyncpg.Connection
) -> None:
    await connection.execute("DELETE FROM users WHERE id = $1", alice.user_id)
    answer = await alice.post("/api/tasks", {"title": "x"})
    assert answer.code == "invalid_token"
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
