"""The filters of lists, alone and together, against a model; and what a search finds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import urlencode

import aiohttp
import asyncpg
import pytest

from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.resources import resource_folder
from service.settings import Settings
from tests.conftest import Api, connected, started
from tests.sharing import on_one_postgresql
from tests.tasks.lists import ids_of, walk

_START = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
_STATUSES = ("incomplete", "in_progress", "complete")
_MICROSECOND = timedelta(microseconds=1)


async def _insert_corpus(connection: asyncpg.Connection, user: Api) -> None:
    """Insert 40 tasks, four at each moment; a search finds some by their title and some by their description."""
    await connection.executemany(
        "INSERT INTO tasks (user_id, title, description, status, created_at) VALUES ($1, $2, $3, $4, $5)",
        [
            (
                user.user_id,
                "Ärger" if n % 5 == 0 else f"Task {n}",
                (None, "", "viel ÄRGER", "more")[n % 4],
                _STATUSES[n % 3],
                _START + n // 4 * _MICROSECOND,
            )
            for n in range(40)
        ],
    )


def _model(tasks: list[Any], asked: dict[str, str]) -> list[Any]:
    """Return the tasks that a list holds, of all tasks newest first."""
    after = datetime.fromisoformat(asked.get("created_after", "0001-01-01T00:00:00Z"))
    before = datetime.fromisoformat(asked.get("created_before", "9999-12-31T00:00:00Z"))
    found = [
        task
        for task in tasks
        if asked.get("status", task["status"]) == task["status"]
        and asked.get("completed", str(task["completed"]).lower()) == str(task["completed"]).lower()
        and after <= datetime.fromisoformat(task["created_at"]) < before
        and any(asked.get("q", "").lower() in (text or "").lower() for text in (task["title"], task["description"]))
    ]
    return found[::-1] if asked.get("sort") == "created_at" else found


@on_one_postgresql
async def test_every_combination_of_filters_and_orders_gives_what_the_model_says(
    alice: Api, bob: Api, connection: asyncpg.Connection
) -> None:
    for user in (alice, bob):
        await _insert_corpus(connection, user)
    tasks = await walk(alice, limit=200)
    assert len(tasks) == 40
    moments = [None, *((_START + n * _MICROSECOND).isoformat() for n in (3, 7))]
    choices: dict[str, list[str | None]] = {
        "status": [None, *_STATUSES],
        "completed": [None, "true", "false"],
        "created_after": moments,
        "created_before": moments,
        "q": [None, "", "ärger"],
        "sort": [None, "created_at"],
    }
    sizes = set()
    for values in product(*choices.values()):
        asked = {name: value for name, value in zip(choices, values, strict=True) if value is not None}
        found = await walk(alice, limit=7, **asked)
        assert found == _model(tasks, asked), asked
        sizes.add(len(found))
    print(f"\nlists of {sorted(sizes)} tasks agree with the model")  # noqa: T201 -- the guarantee's figure
    assert {0, 40} < sizes


async def test_created_after_includes_its_moment_and_created_before_does_not(
    alice: Api, connection: asyncpg.Connection
) -> None:
    await _insert_corpus(connection, alice)
    moment = _START + 5 * _MICROSECOND
    for text in (
        moment.isoformat(),
        "2026-11-22t09:30:00.0000050000z",
        "2026-11-22T11:30:00.000005+02:00",
        # Between two microseconds: no task was made there, so the next one is as good.
        "2026-11-22T09:30:00.0000041Z",
        "2026-11-22T09:30:00.0000049999999999Z",
    ):
        for sort in ("created_at", "-created_at"):
            later = await walk(alice, limit=3, created_after=text, sort=sort)
            earlier = await walk(alice, limit=3, created_before=text, sort=sort)
            assert (len(earlier), len(later)) == (20, 20)
            assert all(datetime.fromisoformat(task["created_at"]) < moment for task in earlier)
            assert all(datetime.fromisoformat(task["created_at"]) >= moment for task in later)


async def test_a_time_is_taken_back_as_the_service_gave_it(alice: Api) -> None:
    tasks = [await alice.new_task(f"Task {n}") for n in range(3)]
    moment = tasks[1]["created_at"]
    assert await walk(alice, created_after=moment) == [tasks[2], tasks[1]]
    assert await walk(alice, created_before=moment) == [tasks[0]]


async def _finds(user: Api, q: str) -> set[str]:
    return {task["title"] for task in await walk(user, q=q)}


async def test_a_search_takes_every_character_literally(alice: Api) -> None:
    titles = [
        *"%_\\'\"*.?[](){}^$|",
        "a%b",
        "a_b",
        "a\\b",
        "aXb",
        "\\%",
        "''",
        "$1",
        ":q",
        "100 %",
        "\u200b-",
        "\ufffd",
    ]
    for title in titles:
        await alice.new_task(title)
    for q in [*titles, "\\_", "%%", "%b", "_b", "a%", "a_", ".*", "\\d", "[a]", "nothing"]:
        assert await _finds(alice, q) == {title for title in titles if q in title}, q


async def test_a_search_looks_for_a_part_of_the_title_or_the_description(alice: Api) -> None:
    await alice.new_task("One two", description="three")
    await alice.new_task("Four")
    await alice.new_task("Five", description="")
    for q, found in {
        "one": {"One two"},
        "E T": {"One two"},
        "hre": {"One two"},
        # From one into the other.
        "twothree": set(),
        "two three": set(),
        "two\nthree": set(),
        # The description is null.
        "four": {"Four"},
        "null": set(),
        "o": {"One two", "Four"},
        "": {"One two", "Four", "Five"},
        " ": {"One two"},
        "five" * 400: set(),
    }.items():
        assert await _finds(alice, q) == found, q


# What counts as one letter: its cases, more than two where there are more. Letters of two languages stay apart.
_SAME = [
    "Ää",
    "Éé",
    "Øø",
    "Łł",
    "Σσς",
    "Ωω\u2126",
    "Жж",
    "Ґґ",
    "ÅåÅ",
    "Kk\u212a",
    "Ss\u017f",
    "ẞß",
    "Μμµ",
    "Իի",
    "Ꭰꭰ",
    "Ǆǅǆ",
    "𐐀𐐨",
]
_OTHER = ["A", "E", "O", "L", "M\u0301", "\u0417", "SS", "\u0391"]


@asynccontextmanager
async def _user_of(settings: Settings, dsn: Dsn) -> AsyncIterator[Api]:
    async with started(settings, dsn) as service, aiohttp.ClientSession() as session:
        yield await Api(session, service.url).new_user("alice@example.com")


@pytest.fixture(params=["C.UTF-8", "C"])
async def alice_of_locale(
    request: pytest.FixtureRequest, postgres: embedded.Server, settings: Settings
) -> AsyncIterator[Api]:
    """A user in a database of that locale; in that of C, PostgreSQL's own upper() knows ASCII alone."""
    name, locale = f"locale_{request.param.replace('.', '_').replace('-', '_')}", request.param
    dsn = replace(postgres.dsn, database=name)
    async with connected(postgres.dsn) as administrator:
        await administrator.execute(
            f"CREATE DATABASE \"{name}\" TEMPLATE template0 LC_COLLATE '{locale}' LC_CTYPE '{locale}'"
        )
        try:
            runner.apply(dsn, resource_folder("migrations"))
            async with _user_of(settings, dsn) as user:
                yield user
        finally:
            await administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def test_a_search_ignores_the_case_of_every_letter_whatever_the_locale(alice_of_locale: Api) -> None:
    titles = {letter: same for same in _SAME for letter in same} | {letter: letter for letter in _OTHER}
    for title in titles:
        await alice_of_locale.new_task(f"<{title}>")
    for same in _SAME:
        for letter in same:
            assert await _finds(alice_of_locale, f"<{letter}>") == {f"<{other}>" for other in same}, ascii(letter)
    await alice_of_locale.new_task("ΟΔΥΣΣΕΥΣ", description="Čtěte knihy")
    for q in ("οδυσσευς", "οδυσσευσ", "Οδυσσεύς"[:5], "ČTĚTE KNIHY", "čTĚ"):
        assert await _finds(alice_of_locale, q) == {"ΟΔΥΣΣΕΥΣ"}, q


@on_one_postgresql
@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_the_alias_lists_the_same(alice: Api, connection: asyncpg.Connection, sort: str) -> None:
    await _insert_corpus(connection, alice)
    query = urlencode({"sort": sort, "q": "ÄRGER", "completed": "false", "limit": 5})
    page = (await alice.get(f"/api/tasks?{query}")).body
    assert len(ids_of(page["items"])) == 5
    alias = await alice.get(f"/api/{alice.user_id}/tasks?{query}")
    assert alias.body == page
    assert alias.headers["Link"].startswith(f"</api/{alice.user_id}/tasks?")
