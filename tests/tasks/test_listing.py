"""Lists of tasks: newest first, in keyset pages that neither skip nor repeat."""

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import asyncpg
import pytest

from tests.conftest import Answer, Api
from tests.sharing import NewUser


async def _insert(
    connection: asyncpg.Connection, user: Api, count: int, *, ties: int = 1, statuses: tuple[str, ...] = ("incomplete",)
) -> list[str]:
    """Insert tasks of which each `ties` in a row have one moment of creation; return their ids as a list has them."""
    rows = await connection.fetch(
        """
        INSERT INTO tasks (user_id, title, status, created_at)
        SELECT
            $1, 'Task ' || n, ($4::text[])[n % cardinality($4::text[]) + 1], now() - n / $3 * interval '1 microsecond'
        FROM generate_series(0, $2 - 1) AS n
        RETURNING id, created_at
        """,
        user.user_id,
        count,
        ties,
        list(statuses),
    )
    return [str(row["id"]) for row in sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)]


async def _walk(user: Api, **parameters: object) -> list[Any]:
    """Follow `Link` to the end; return every item."""
    items: list[Any] = []
    path: str | None = f"/api/tasks?{urlencode(parameters)}"
    while path:
        page = await user.get(path)
        assert page.status == 200, page.text
        items += page.body["items"]
        path = _next(page)
    return items


def _next(page: Answer) -> str | None:
    """The address of the next page, which Link and `next_cursor` agree about."""
    assert page.body.keys() == {"items", "next_cursor"}
    cursor = page.body["next_cursor"]
    if cursor is None:
        assert "Link" not in page.headers
        return None
    address, relation = page.headers["Link"].split("; ")
    assert relation == 'rel="next"'
    assert dict(parse_qsl(urlsplit(address[1:-1]).query))["cursor"] == cursor
    assert (address[0], address[-1]) == ("<", ">")
    return address[1:-1]


def _ids(items: list[Any]) -> list[str]:
    return [item["id"] for item in items]


def _parameters(answer: Answer) -> set[str]:
    """The parameters that a validation error names."""
    assert (answer.status, answer.code) == (422, "validation_error"), answer.text
    return {error["parameter"] for error in answer.body["errors"]}


async def test_a_new_user_has_an_empty_list(alice: Api) -> None:
    answer = await alice.get("/api/tasks")
    assert (answer.status, answer.body) == (200, {"items": [], "next_cursor": None})
    assert "Link" not in answer.headers


async def test_the_newest_task_comes_first(alice: Api) -> None:
    tasks = [await alice.new_task(f"Task {n}") for n in range(5)]
    assert (await alice.get("/api/tasks")).body == {"items": tasks[::-1], "next_cursor": None}


async def test_a_changed_task_keeps_its_place(alice: Api) -> None:
    tasks = [await alice.new_task(f"Task {n}") for n in range(3)]
    await alice.patch(f"/api/tasks/{tasks[0]['id']}", {"title": "Changed last"})
    assert _ids((await alice.get("/api/tasks")).body["items"]) == _ids(tasks[::-1])


async def test_a_page_has_50_tasks_unless_asked_otherwise_and_200_at_most(
    alice: Api, connection: asyncpg.Connection
) -> None:
    ids = await _insert(connection, alice, 201)
    for query, size in (("", 50), ("?limit=1", 1), ("?limit=200", 200), ("?limit=00007", 7)):
        page = await alice.get(f"/api/tasks{query}")
        assert _ids(page.body["items"]) == ids[:size]
        assert page.body["next_cursor"] is not None


@pytest.mark.parametrize("ties", [1, 4, 100])
@pytest.mark.parametrize("limit", [1, 7, 20, 39, 40, 41])
async def test_a_walk_sees_each_task_once(alice: Api, connection: asyncpg.Connection, limit: int, ties: int) -> None:
    ids = await _insert(connection, alice, 40, ties=ties)
    assert _ids(await _walk(alice, limit=limit)) == ids


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"status": "incomplete"}, {"incomplete"}),
        ({"status": "in_progress"}, {"in_progress"}),
        ({"status": "complete"}, {"complete"}),
        ({"completed": "true"}, {"complete"}),
        ({"completed": "false"}, {"incomplete", "in_progress"}),
        ({"completed": "false", "status": "in_progress"}, {"in_progress"}),
        ({"completed": "true", "status": "complete"}, {"complete"}),
        # They contradict each other.
        ({"completed": "true", "status": "in_progress"}, set()),
        ({"completed": "false", "status": "complete"}, set()),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
@pytest.mark.parametrize("ties", [1, 10])
async def test_a_filtered_walk_sees_each_task_of_its_kind_once(
    alice: Api, connection: asyncpg.Connection, filters: dict[str, str], kept: set[str], ties: int
) -> None:
    ids = await _insert(connection, alice, 30, ties=ties, statuses=("incomplete", "in_progress", "complete"))
    everything = await _walk(alice)
    assert _ids(everything) == ids
    assert await _walk(alice, limit=4, **filters) == [item for item in everything if item["status"] in kept]


async def test_the_limit_may_change_from_page_to_page(alice: Api, connection: asyncpg.Connection) -> None:
    ids = await _insert(connection, alice, 10, ties=3)
    seen, cursor = [], ""
    for limit in (1, 5, 2, 200):
        page = (await alice.get(f"/api/tasks?limit={limit}{cursor}")).body
        seen += _ids(page["items"])
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ids


async def test_a_page_can_be_asked_for_again(alice: Api, connection: asyncpg.Connection) -> None:
    await _insert(connection, alice, 6)
    path = _next(await alice.get("/api/tasks?limit=2"))
    assert path
    assert (await alice.get(path)).body == (await alice.get(path)).body


@pytest.mark.parametrize("filters", [{}, {"completed": "false"}], ids=str)
async def test_a_walk_sees_what_stayed_once_whatever_comes_and_goes(
    alice: Api, connection: asyncpg.Connection, filters: dict[str, str]
) -> None:
    ids = await _insert(connection, alice, 60, ties=5)
    doomed = ids[1::3]
    walking = asyncio.Event()
    added: list[str] = []

    async def write() -> None:
        await walking.wait()
        for id_ in reversed(doomed):  # from the end that the walk comes to last
            await alice.delete(f"/api/tasks/{id_}")
            added.append((await alice.new_task())["id"])

    async def walk() -> list[str]:
        seen: list[str] = []
        path: str | None = f"/api/tasks?limit=3&{urlencode(filters)}"
        while path:
            page = await alice.get(path)
            seen += _ids(page.body["items"])
            path = _next(page)
            walking.set()
        return seen

    _, seen = await asyncio.gather(write(), walk())
    print(  # noqa: T201 -- the guarantee's figure
        f"\nseen {len(seen)}, stayed {len(ids) - len(doomed)}, deleted meanwhile {len(doomed)}, added {len(added)}"
    )
    assert len(seen) == len(set(seen))
    stayed = [id_ for id_ in ids if id_ not in doomed]
    assert [id_ for id_ in seen if id_ in stayed] == stayed


async def test_a_cursor_outlives_the_task_that_it_was_made_from(alice: Api, connection: asyncpg.Connection) -> None:
    ids = await _insert(connection, alice, 4)
    path = _next(await alice.get("/api/tasks?limit=2"))
    assert path
    await alice.delete(f"/api/tasks/{ids[1]}")
    assert _ids((await alice.get(path)).body["items"]) == ids[2:]


async def test_a_cursor_is_bound_to_its_user_and_its_filters(
    alice: Api, bob: Api, connection: asyncpg.Connection
) -> None:
    queries = ("", "status=incomplete&", "completed=false&", "status=incomplete&completed=false&")
    for user in (alice, bob):
        await _insert(connection, user, 3)
    cursors = {
        (user, query): (await user.get(f"/api/tasks?{query}limit=1")).body["next_cursor"]
        for user in (alice, bob)
        for query in queries
    }
    for made_for, cursor in cursors.items():
        for user, query in cursors:
            answer = await user.get(f"/api/tasks?{query}cursor={cursor}")
            if (user, query) == made_for:
                assert answer.status == 200
            else:
                assert _parameters(answer) == {"cursor"}


async def test_a_cursor_that_was_tampered_with_is_refused(alice: Api, connection: asyncpg.Connection) -> None:
    await _insert(connection, alice, 3)
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
        assert _parameters(answer) == {"cursor"}, ascii(value)


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
    assert _parameters(answer) == named
    assert all(error["detail"] and error["code"] for error in answer.body["errors"])


async def test_a_status_that_is_unknown_is_refused_on_every_page(new_user: NewUser) -> None:
    nobody = await new_user()  # without tasks, so that every list is empty
    assert _parameters(await nobody.get("/api/tasks?status=nope")) == {"status"}
    assert (await nobody.get("/api/tasks?status=in_progress")).body["items"] == []
