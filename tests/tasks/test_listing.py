"""Lists of tasks: in keyset pages that neither skip nor repeat, and what may be asked of them."""

import string
from urllib.parse import quote

import asyncpg
import pytest

from tests.conftest import Api, Service
from tests.http.raw import exchange, head
from tests.sharing import NewUser, on_each_postgresql, on_one_postgresql
from tests.tasks.lists import ids_of, insert_tasks, next_page, parameters_of, walk

pytestmark = on_one_postgresql

# RFC 3986, section 2, without "#", where a fragment would begin.
_IN_A_URL = set("%-._~:/?[]@!$&'()*+,;=" + string.ascii_letters + string.digits)


async def test_a_new_user_has_an_empty_list(alice: Api) -> None:
    answer = await alice.get("/api/tasks")
    assert (answer.status, answer.body) == (200, {"items": [], "next_cursor": None})
    assert "Link" not in answer.headers


@on_each_postgresql
async def test_the_newest_task_comes_first(alice: Api) -> None:
    tasks = [await alice.new_task(f"Task {n}") for n in range(5)]
    assert (await alice.get("/api/tasks")).body == {"items": tasks[::-1], "next_cursor": None}


@on_each_postgresql
async def test_the_oldest_task_comes_first_where_that_is_asked_for(alice: Api) -> None:
    tasks = [await alice.new_task(f"Task {n}") for n in range(5)]
    assert (await alice.get("/api/tasks?sort=created_at")).body == {"items": tasks, "next_cursor": None}
    assert (await alice.get("/api/tasks?sort=-created_at")).body == {"items": tasks[::-1], "next_cursor": None}


async def test_a_changed_task_keeps_its_place(alice: Api) -> None:
    tasks = [await alice.new_task(f"Task {n}") for n in range(3)]
    await alice.patch(f"/api/tasks/{tasks[0]['id']}", {"title": "Changed last"})
    assert ids_of((await alice.get("/api/tasks")).body["items"]) == ids_of(tasks[::-1])


async def test_a_page_has_50_tasks_unless_asked_otherwise_and_200_at_most(
    alice: Api, connection: asyncpg.Connection
) -> None:
    ids = await insert_tasks(connection, alice, 201)
    for query, size in (("", 50), ("?limit=1", 1), ("?limit=200", 200), ("?limit=00007", 7)):
        page = await alice.get(f"/api/tasks{query}")
        assert ids_of(page.body["items"]) == ids[:size]
        assert page.body["next_cursor"] is not None


@on_each_postgresql
@pytest.mark.parametrize("ties", [1, 4, 100])
@pytest.mark.parametrize("limit", [1, 7, 20, 39, 40, 41])
async def test_a_walk_sees_each_task_once(alice: Api, connection: asyncpg.Connection, limit: int, ties: int) -> None:
    ids = await insert_tasks(connection, alice, 40, ties=ties)
    assert ids_of(await walk(alice, limit=limit)) == ids
    assert ids_of(await walk(alice, limit=limit, sort="created_at")) == ids[::-1]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        *[
            (f"limit={value}", {"limit"})
            for value in ("0", "201", "-1", "1.5", "1e1", "+1", "%201", "", "ten", "٣", "٣٣", "0x10", "1_0", "9" * 5000)
        ],
        ("limit=1&limit=1", {"limit"}),
        ("limit=1&limit=2", {"limit"}),
        *[(f"completed={value}", {"completed"}) for value in ("1", "True", "TRUE", "yes", "", "null", "true%20")],
        ("completed=true&completed=true", {"completed"}),
        ("status=nope", {"status"}),
        ("status=", {"status"}),
        ("status=COMPLETE", {"status"}),
        ("status=complete%00", {"status"}),
        ("status=%ff", {"status"}),
        (f"status={'x' * 5000}", {"status"}),
        ("status=nope&completed=true", {"status"}),
        ("status=complete&status=incomplete", {"status"}),
        *[
            (f"sort={value}", {"sort"})
            for value in ("", "id", "title", "-id", "Created_At", "%2Bcreated_at", "created_at,id")
        ],
        *[
            (f"sort={value}", {"sort"})
            for value in ("--created_at", "created_at%20", "created_at%00", "-created_at%20DESC")
        ],
        ("sort=created_at&sort=created_at", {"sort"}),
        # The times themselves are tried in tests/schemas/test_fields.py.
        ("created_after=yesterday", {"created_after"}),
        ("created_before=2026-11-22", {"created_before"}),
        ("created_after=2026-11-22T09:30:00+02:00", {"created_after"}),
        ("created_after=&created_before=", {"created_after", "created_before"}),
        ("created_after=2026-11-22T09:30:00Z&created_after=2026-11-22T09:30:00Z", {"created_after"}),
        ("created_before=2026-11-22T09:30:00Z%00", {"created_before"}),
        ("q=a&q=b", {"q"}),
        ("q=%00", {"q"}),
        ("q=a%00b&sort=title", {"q", "sort"}),
        # No UTF-8: a stray byte, an overlong form, a surrogate, beyond Unicode, cut short; in a name as well.
        *[(f"q=x{value}", {"q"}) for value in ("%ff", "%c0%af", "%ed%a0%80", "%f4%90%80%80", "%C3", "%80", "%E4+b")],
        ("%ff=1", {r"\udcff"}),
        ("%ff=1&%ff=2&limit=0", {r"\udcff", "limit"}),
        ("page=2", {"page"}),
        ("offset=2", {"offset"}),
        ("Limit=2", {"Limit"}),
        ("=2", {""}),
        ("limit=0&completed=maybe&page=2&cursor=%00", {"limit", "completed", "page", "cursor"}),
        # What is repeated does not hide the other faults.
        ("status=complete&status=complete&limit=0&page=2", {"status", "limit", "page"}),
    ],
    ids=lambda value: ascii(sorted(value) if isinstance(value, set) else value)[:40],
)
async def test_a_bad_parameter_is_refused_by_name(alice: Api, query: str, named: set[str]) -> None:
    await alice.new_task()
    answer = await alice.get(f"/api/tasks?{query}")
    assert parameters_of(answer) == named
    assert all(error["detail"] and error["code"] for error in answer.body["errors"])


@on_each_postgresql
async def test_a_status_that_is_unknown_is_refused_on_every_page(new_user: NewUser) -> None:
    nobody = await new_user()  # without tasks, so that every list is empty
    assert parameters_of(await nobody.get("/api/tasks?status=nope")) == {"status"}
    assert (await nobody.get("/api/tasks?status=in_progress")).body["items"] == []
    assert parameters_of(await nobody.get("/api/tasks?status=nope&q=x&sort=created_at")) == {"status"}


async def test_a_plus_that_became_a_space_is_explained(alice: Api) -> None:
    answer = await alice.get("/api/tasks?created_after=2026-11-22T09:30:00+02:00")
    assert "%2B" in answer.body["errors"][0]["detail"]
    assert (await alice.get("/api/tasks?created_after=2026-11-22T09:30:00%2B02:00")).status == 200


async def test_a_fragment_does_not_get_into_link(service: Service, alice: Api) -> None:
    for title in ("Task 1", "Task 2"):
        await alice.new_task(title)
    page = await exchange(service, head("GET", "/api/tasks?limit=1#>;rel=prev", alice))
    assert set(next_page(page) or "") <= _IN_A_URL


@pytest.mark.parametrize(
    "q",
    [
        *['"', ">", '"><a', "<", ";", ",", 'x>; rel="prev', " ", "a b", "+", "a+b", "%", "100%", "%41", "%zz", "%2B"],
        *["&", "a&limit=1", "=", "#", "#x", "?", "/", "\\", "'", "`", "{}|^[]", "~", "_", "ä", "Straße", "日本", "😀"],
        *["\ufffd", "\u200b", "\x7f", "\t", "\r\nX: y", "a" * 1998],
    ],
    ids=lambda q: ascii(q)[:20],
)
async def test_link_leads_to_the_next_page_whatever_is_searched_for(service: Service, alice: Api, q: str) -> None:
    tasks = [await alice.new_task(f"{n}", description=f"<{q}>") for n in range(3)]
    path: str | None = f"/api/tasks?limit=1&q={quote(q)}"
    found = []
    while path:
        # As it is: a library would quote what had been left unquoted.
        assert set(path) <= _IN_A_URL
        page = await exchange(service, head("GET", path, alice))
        assert page.status == 200
        found += page.body["items"]
        path = next_page(page)
    assert found == tasks[::-1]
