"""The queries of `sql/`: how they are loaded and run, and that each of them suits the schema and the style."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import asyncpg
import pytest

from service.database.queries import load_queries, queries, read_queries
from service.database.query_files import QueryError
from service.resources import resource_folder

_FILES = sorted(resource_folder("sql").glob("*.sql"))
# aiosql has a second name for each query, for its cursors.
_NAMES = sorted(name for name in queries.available_queries if not name.endswith("_cursor"))
_BLOCK = re.compile(r"^-- name: (\w+)\(([\w, ]*)\)([\^$]?)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


def _folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_bytes(text.encode())
    return tmp_path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "-- name: get_one()^\nSELECT 1 AS one;\n\n-- name: get_one()^\nSELECT 1 AS one;\n",
            ":4 get_one: Has a name that is taken by a.sql:1: give it another.",
        ),
        (
            "-- name: get_one(id)^\nSELECT :id, :other;\n",
            ":1 get_one: Uses :other, which its name does not list: add it",
        ),
        (
            "-- name: get_one(id, b)^\nSELECT :id;\n",
            ":1 get_one: Lists b, which its statement does not use: remove that",
        ),
        (
            "-- name: get_one(id)^\nSELECT :id,\n    $2;\n",
            ":3 get_one: Uses $2, which no name stands for: write :name,",
        ),
        ("-- name: get_one(id)^\nSELECT $1;\n", ":2 get_one: Uses $1, which no name stands for: write :name, and list"),
        ("-- name: get_one^\nSELECT 1;\n", ":1 get_one: Does not list its parameters: write them in brackets"),
        ("-- name: get_one(a b)^\nSELECT 1;\n", ":1 get_one: Has a name that cannot be read: write `-- name: "),
        ("-- name: 1st()^\nSELECT 1;\n", ":1 1st: Has a name that cannot be read: write `-- name: "),
        ("-- name: get_one()^\n-- One.\n", ":1 get_one: Has no SQL: write its statement below its comment."),
        ("-- name: get_one()^", ":1 get_one: Has no SQL: write its statement below its comment."),
        ("\n-- name: ", ":2: Has a name that cannot be read: write `-- name: "),
        ("-- name: get_one()!\nSELECT 1;\n", ":1 get_one: Has an operator that is not in use here: write ^ (one row)"),
        ("-- name: get_one()<!\nSELECT 1;\n", ":1 get_one: Has an operator that is not in use here: write ^ (one row)"),
        ("-- name: get_one()*!\nSELECT 1;\n", ":1 get_one: Has an operator that is not in use here: write ^ (one row)"),
        ("-- name: get_one()#\nSELECT 1;\n", ":1 get_one: Has an operator that is not in use here: write ^ (one row)"),
        ("-- Name: get_one()\n", ":1: Resembles a name, and is not read as one: begin the line with `-- name: `."),
        ("--name: get_one()\n", ":1: Resembles a name, and is not read as one: begin the line with `-- name: `."),
        ("-- Of one.\nSELECT 1;\n", ":2: Stands under no name: write `-- name: verb_words(parameter, …)` above it."),
        (
            "-- name: a()\nSELECT 1; -- name: b()\nSELECT 1;",
            ":1 a: Has a second `-- name:` in a line: begin a line with",
        ),
        ("-- name: a()\nSELECT\r 1;\n", ":2: Has the character U+000D, which is no line break to everybody"),
        ("-- name: a()\nSELECT '\0';\n", ":2: Has the character U+0000, which is no line break to everybody"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(QueryError) as refused:
        load_queries(_folder(tmp_path, a=text))
    assert str(refused.value).startswith(f"{tmp_path.name}/a.sql{told}")


def test_a_dollar_that_is_no_parameter_is_none(tmp_path: Path) -> None:
    sql = """SELECT '$1', E'\\'$2', "a$3", $$ $4 $$, $tag$ $5 $tag$, a$6 /* $7 */ -- it's $8
        FROM (SELECT 1 AS "a$3", 2 AS a$6) AS one"""
    assert load_queries(_folder(tmp_path, a=f"-- name: get_one()^\n-- For $9.\n{sql};\n")).get_one


def test_every_mistake_of_every_file_is_told(tmp_path: Path) -> None:
    one = "-- name: get_one()^\nSELECT 1 AS one;\n\n"
    folder = _folder(tmp_path, a=f"{one}-- name: get_two\nSELECT 2;\n-- name: get_six()!\nSELECT 6;\n", b=f"\n{one}")
    (folder / "c.sql").write_bytes(b"-- name: get_three()\n-- Three.\nSELECT '\xff';\n")
    (folder / "d.sql").mkdir()
    with pytest.raises(QueryError, match=r"a\.sql:4 get_two: .* \(4 more: `sql check` tells of all\.\)$") as refused:
        read_queries(folder)
    places = [(one.file.name, one.line, one.name) for one in refused.value.mistakes]
    assert places == [
        ("a.sql", 4, "get_two"),
        ("a.sql", 6, "get_six"),
        ("b.sql", 2, "get_one"),
        ("c.sql", 3, ""),
        ("d.sql", 1, ""),
    ]
    assert [query.name for query in refused.value.queries] == ["get_one"]


def test_a_folder_without_queries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"Has no file of queries"):
        load_queries(tmp_path / "nowhere")


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(b"-- name: get_one()^\r\n-- One.\r\nSELECT\r\n    1;\r\n")
    assert [query.sql for query in read_queries(tmp_path)] == ["SELECT /* get_one */ 1;"]


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
