"""Helpers of the tests of lists: many tasks at once, walks, and the parameters that a refusal names."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from tests.conftest import Answer, Api


async def insert_tasks(
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


async def walk(user: Api, **parameters: object) -> list[Any]:
    """Follow `Link` to the end; return every item."""
    items: list[Any] = []
    path: str | None = f"/api/tasks?{urlencode(parameters)}"
    while path:
        page = await user.get(path)
        assert page.status == 200, page.text
        items += page.body["items"]
        path = next_page(page)
    return items


def next_page(page: Answer) -> str | None:
    """Return the address of the next page, which Link and `next_cursor` agree about."""
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


def ids_of(items: list[Any]) -> list[str]:
    return [item["id"] for item in items]


def parameters_of(answer: Answer) -> set[str]:
    """Return the parameters that a validation error names."""
    assert (answer.status, answer.code) == (422, "validation_error"), answer.text
    return {error["parameter"] for error in answer.body["errors"]}
