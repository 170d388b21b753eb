"""Cursors of lists: they continue the list that they came from, and no other."""

import base64
from urllib.parse import quote, urlencode

import asyncpg
import pytest

from tests.conftest import Api
from tests.sharing import on_one_postgresql
from tests.tasks.lists import ids_of, insert_tasks, next_page, parameters_of

pytestmark = on_one_postgresql

# All of them hold every task of insert_tasks, and each is another list.
_LISTS: list[dict[str, str]] = [
    {},
    {"sort": "created_at"},
    {"status": "incomplete"},
    {"completed": "false"},
    {"status": "incomplete", "completed": "false"},
    {"created_after": "2000-01-01T00:00:00Z"},
    {"created_after": "2000-01-01T00:00:00.000001Z"},
    {"created_before": "2999-01-01T00:00:00Z"},
    {"created_after": "2000-01-01T00:00:00Z", "created_before": "2999-01-01T00:00:00Z"},
    {"q": "task"},
    {"q": "Task"},
    {"q": "task ", "sort": "created_at"},
    {"q": "task", "status": "incomplete", "created_after": "2000-01-01T00:00:00Z"},
]


async def test_the_limit_may_change_from_page_to_page(alice: Api, connection: asyncpg.Connection) -> None:
    ids = await insert_tasks(connection, alice, 10, ties=3)
    seen, cursor = [], ""
    for limit in (1, 5, 2, 200):
        page = (await alice.get(f"/api/tasks?limit={limit}{cursor}")).body
        seen += ids_of(page["items"])
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ids


async def test_a_page_can_be_asked_for_again(alice: Api, connection: asyncpg.Connection) -> None:
    await insert_tasks(connection, alice, 6)
    path = next_page(await alice.get("/api/tasks?limit=2"))
    assert path
    assert (await alice.get(path)).body == (await alice.get(path)).body


@pytest.mark.parametrize("query", ["sort=-created_at", "sort=created_at", "completed=false", "q=task"])
async def test_a_cursor_outlives_the_task_that_it_was_made_from(
    alice: Api, connection: asyncpg.Connection, query: str
) -> None:
    await insert_tasks(connection, alice, 4, ties=2)
    ids = ids_of((await alice.get(f"/api/tasks?{query}")).body["items"])
    path = next_page(await alice.get(f"/api/tasks?{query}&limit=2"))
    assert path
    await alice.delete(f"/api/tasks/{ids[1]}")
    assert ids_of((await alice.get(path)).body["items"]) == ids[2:]


async def test_a_cursor_is_bound_to_its_user_its_filters_and_its_order(
    alice: Api, bob: Api, connection: asyncpg.Connection
) -> None:
    for user in (alice, bob):
        await insert_tasks(connection, user, 3)
    lists = [(user, urlencode(parameters)) for user in (alice, bob) for parameters in _LISTS]
    cursors = {
        (user, query): (await user.get(f"/api/tasks?{query}&limit=1")).body["next_cursor"] for user, query in lists
    }
    assert len(set(cursors.values())) == len(lists)
    for made_for, cursor in cursors.items():
        for user, query in lists:
            answer = await user.get(f"/api/tasks?{query}&cursor={cursor}")
            if (user, query) == made_for:
                assert answer.status == 200
            else:
                assert parameters_of(answer) == {"cursor"}


async def test_a_cursor_is_bound_to_what_is_asked_for_and_not_to_how_it_is_written(
    alice: Api, connection: asyncpg.Connection
) -> None:
    await insert_tasks(connection, alice, 3)
    query = "created_before=2999-01-01T00:00:00Z&q=t%61sk"
    same = "q=task&sort=-created_at&limit=2&created_before=2999-01-01t02:00:00.0000000%2B02:00"
    page = (await alice.get(f"/api/tasks?{query}&limit=1")).body
    paths = [f"/api/tasks?{query}", f"/api/tasks?{same}", f"/api/{alice.user_id}/tasks?{same}"]
    rest = [(await alice.get(f"{path}&cursor={page['next_cursor']}")).body["items"] for path in paths]
    assert len(rest[0]) == 2
    assert rest == [rest[0]] * 3


async def test_a_cursor_that_was_tampered_with_is_refused(alice: Api, connection: asyncpg.Connection) -> None:
    await insert_tasks(connection, alice, 3)
    cursor = (await alice.get("/api/tasks?limit=1")).body["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor)
    bad = [
        "",
        " ",
        "x",
        "null",
        "%00",
        "\u0663" * 48,
        "\ud7ff",
        cursor[:-1],
        cursor + "A",
        cursor[:-4],
        cursor + "AAAA",
    ]
    bad += [cursor + "=", cursor + "\n", " " + cursor, "A" * 48, "A" * 5000]
    bad += [base64.urlsafe_b64encode(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]).decode() for i in range(len(raw))]
    for value in bad:
        answer = await alice.get(f"/api/tasks?cursor={quote(value)}")
        assert parameters_of(answer) == {"cursor"}, ascii(value)
