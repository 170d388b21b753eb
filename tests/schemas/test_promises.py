"""The promises of a comment, held against the types that PostgreSQL has: those of an example, and the service's own."""

from collections.abc import Sequence

import asyncpg
import pytest

from service.database.queries import read_queries
from service.database.query_files import Query
from service.registry import REGISTRY
from service.resources import resource_folder
from service.schemas.promises import fields_of_columns, mismatches
from tests.schemas import examples
from tests.schemas.examples import Book
from tests.sharing import on_each_postgresql

ABOUT = "One.\nTakes: BookKey, limit from Settings.port.\nReturns: Book, many."
KEY = [("reader_id", "uuid"), ("id", "uuid"), ("limit", "int8")]
BOOK = [("id", "uuid"), ("title", "varchar"), ("returned_at", "timestamptz")]


def told(
    about: str, parameters: Sequence[tuple[str, str]], columns: Sequence[tuple[str, str]], operator: str = ""
) -> list[str]:
    return mismatches(about, operator, parameters, columns, examples.REGISTRY)


def test_a_column_may_be_shown_by_two_fields() -> None:
    assert [field.name for field in fields_of_columns(Book)["returned_at"]] == ["returned", "returned_at"]


def test_what_is_as_it_was_promised_is_left_alone() -> None:
    assert told(ABOUT, KEY, BOOK) == []


def test_a_parameter_of_another_type_is_told() -> None:
    assert told(ABOUT, [("reader_id", "uuid"), ("id", "int4"), ("limit", "text")], BOOK) == [
        "Parameter :id is int4 in PostgreSQL, but BookKey.id, which feeds it, is uuid: change the one or the other.",
        (
            "Parameter :limit is text in PostgreSQL, but Settings.port, which feeds it, is int2 or int4 or int8 or"
            " float8: change the one or the other."
        ),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            [("id", "text"), *BOOK[1:]],
            "Returns the column id as text, but Book.id is uuid: change the one or the other.",
        ),
        (
            [*BOOK, ("shelf", "text")],
            "Returns the column shelf, which Book does not show: remove it or add the field.",
        ),
        ([*BOOK, BOOK[0]], "Returns the column id twice: keep one."),
        (BOOK[:-1], "Lacks the column returned_at, which Book shows: return it or remove the field."),
    ],
)
def test_a_column_that_is_otherwise_is_told(columns: Sequence[tuple[str, str]], message: str) -> None:
    assert told(ABOUT, KEY, columns) == [message]


@pytest.mark.parametrize(
    ("columns", "messages"),
    [
        ([("count", "int8")], []),
        ([("count", "numeric")], ["Returns numeric, but says integer: cast it, or say what it is."]),
        (
            [("count", "int8"), ("more", "int8")],
            ["Returns 2 columns, but a $ query gives one value: return one column, or use ^."],
        ),
    ],
)
def test_a_single_value_is_of_the_type_that_is_said(columns: Sequence[tuple[str, str]], messages: list[str]) -> None:
    assert told("One.\nReturns: integer, how many.", [], columns, "$") == messages


def test_a_label_that_cannot_be_read_is_told() -> None:
    assert told("One.\nTakes: Nobody.\nReturns: Book, many.", KEY, BOOK) == [
        "Takes Nobody, but the registry has no such schema: correct the name, or register its module."
    ]
    assert told("One.", [], BOOK) == ["Returns '', which cannot be read: write `Returns: Schema, many.`."]


@on_each_postgresql
async def test_every_query_keeps_its_promises_as_asyncpg_describes_it(connection: asyncpg.Connection) -> None:
    found = read_queries(resource_folder("sql"))

    assert {query.name: wrong for query in found if (wrong := await described(connection, query))} == {}


async def described(connection: asyncpg.Connection, query: Query) -> list[str]:
    """Return what is wrong with a query as asyncpg describes it."""
    prepared = await connection.prepare(query.sql)
    types = [kind.name for kind in prepared.get_parameters()]
    parameters = list(zip(query.parameters, types, strict=True))
    columns = [(column.name, column.type.name) for column in prepared.get_attributes()]
    return mismatches(query.about, query.operator, parameters, columns, REGISTRY)
