"""The queries of `sql/`: how they are loaded and run, and that each of them suits the schema and the style."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import asyncpg
import pytest
from aiosql import SQLParseException

from service.database.queries import QueryError, load_queries, queries
from service.resources import resource_folder

_FILES = sorted(resource_folder("sql").glob("*.sql"))
# aiosql has a second name for each query, for its cursors.
_NAMES = sorted(name for name in queries.available_queries if not name.endswith("_cursor"))
_BLOCK = re.compile(r"^-- name: (\w+)\(([\w, ]*)\)([\^$]?)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


def _folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text)
    return tmp_path


def test_a_name_that_is_taken_is_refused_with_both_places(tmp_path: Path) -> None:
    one = "-- name: get_one()^\nSELECT 1 AS one;\n"
    folder = _folder(tmp_path, a=one, b="-- name: get_two()^\nSELECT 2 AS two;\n\n" + one)
    with pytest.raises(QueryError, match=r"b\.sql:4 get_one: .*a\.sql:1"):
        load_queries(folder)


def test_a_name_that_is_taken_in_the_same_file_is_refused(tmp_path: Path) -> None:
    one = "-- name: get_one()^\nSELECT 1 AS one;\n\n"
    with pytest.raises(QueryError, match=r"a\.sql:4 get_one: .*a\.sql:1"):
        load_queries(_folder(tmp_path, a=one + one))


@pytest.mark.parametrize("operator", ["!", "<!", "*!", "#"])
def test_an_operator_that_is_not_in_use_is_refused(tmp_path: Path, operator: str) -> None:
    with pytest.raises(QueryError, match=r"a\.sql:1 do_it: "):
        load_queries(_folder(tmp_path, a=f"-- name: do_it(){operator}\nDELETE FROM tasks;\n"))


def test_a_query_without_a_parameter_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SQLParseException):
        load_queries(_folder(tmp_path, a="-- name: get_one^\nSELECT 1 AS one;\n"))


def test_a_parameter_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SQLParseException):
        load_queries(_folder(tmp_path, a="-- name: get_one(id)^\nSELECT :id AS id, :other AS other;\n"))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"user_id": uuid4()},
        {"user_id": uuid4(), "id": uuid4(), "title": "one too many"},
        {"user_id": uuid4(), "uid": uuid4()},
    ],
)
async def test_parameters_must_be_those_of_the_query(parameters: dict[str, object]) -> None:
    with pytest.raises((TypeError, KeyError)):
        await queries.get_task(SimpleNamespace(fetchrow=_nothing), **parameters)


async def _nothing(_query: str, *_args: object) -> None:
    pytest.fail("the statement was run")


async def test_a_query_gives_what_its_mark_promises(connection: asyncpg.Connection, tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        a=(
            "-- name: count_to(last)\nSELECT generate_series(1, :last::integer) AS number;\n\n"
            "-- name: get_first(last)^\nSELECT generate_series(1, :last::integer) AS number;\n\n"
            "-- name: get_value(last)$\nSELECT generate_series(1, :last::integer) AS number;\n"
        ),
    )
    loaded = load_queries(folder)
    rows = await loaded.count_to(connection, last=3)
    assert isinstance(rows, list)
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert await loaded.count_to(connection, last=0) == []
    assert (await loaded.get_first(connection, last=3))["number"] == 1
    assert await loaded.get_first(connection, last=0) is None
    assert await loaded.get_value(connection, last=3) == 1
    assert await loaded.get_value(connection, last=0) is None


async def test_a_parameter_that_is_used_twice_is_sent_once(tmp_path: Path) -> None:
    sent: list[tuple[object, ...]] = []

    async def fetchrow(query: str, *args: object) -> None:
        sent.append((query, *args))

    folder = _folder(tmp_path, a="-- name: get(b, a)^\nSELECT :a::text, :b::integer, :a::text AS again;\n")
    await load_queries(folder).get(SimpleNamespace(fetchrow=fetchrow), b=2, a="one")
    assert sent == [("SELECT /* get */ $1::text, $2::integer, $1::text AS again;", "one", 2)]


def test_there_are_queries() -> None:
    assert len(_NAMES) >= 13
    assert len(_NAMES) == sum(len(_BLOCK.findall(file.read_text())) for file in _FILES)


async def test_every_query_suits_the_schema(connection: asyncpg.Connection) -> None:
    for name in _NAMES:
        function = getattr(queries, name)
        prepared = await connection.prepare(function.sql)
        assert re.match(rf"\w+ /\* {name} \*/ ", function.sql)
        # What the database wants is what the query declares (the connection comes first).
        declared = [parameter for parameter in inspect.signature(function).parameters if parameter != "conn"]
        assert len(prepared.get_parameters()) == len(declared), name
        columns = [column.name for column in prepared.get_attributes()]
        assert columns, name
        assert len(columns) == len(set(columns)), name
