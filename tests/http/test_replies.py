"""Replies: what a row becomes is what its schema says, at a fraction of the cost (`make bench`)."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from asyncpg.pgproto import pgproto
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields

from service.accounts.schemas import User
from service.http.replies import reply, reply_list, reply_page, row_serialiser
from service.schemas.fields import Flag, IsSet, Schema, Text, Timestamp
from service.schemas.promises import fields_of_columns
from service.tasks.schemas import Task, TaskStatus

# The values that PostgreSQL can hold, as asyncpg hands them over, by the field that they are shown through.
_ids = st.uuids().map(lambda id_: pgproto.UUID(str(id_))) | st.uuids()
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 -- Hypothesis adds the time zone
_whole = st.integers(-(2**63), 2**63 - 1)

VALUES: dict[type[fields.Field[Any]], st.SearchStrategy[Any]] = {
    Flag: st.booleans(),
    Text: _texts,
    Timestamp: _moments,
    fields.Integer: _whole,
    fields.UUID: _ids,
}


def rows_of(schema: type[Schema]) -> st.SearchStrategy[dict[str, Any]]:
    """Rows that the queries could return for a schema."""
    columns = {}
    for name, shown in fields_of_columns(schema).items():
        [field] = [field for field in shown if not isinstance(field, IsSet)]
        values = VALUES[type(field)]
        columns[name] = st.none() | values if field.allow_none else values
    return st.fixed_dictionaries(columns)


@pytest.mark.parametrize("schema", [Task, User, TaskStatus])
@given(data=st.data())
def test_a_row_becomes_what_its_schema_dumps(schema: type[Schema], data: st.DataObject) -> None:
    made, rows = schema(), data.draw(st.lists(rows_of(schema), min_size=1, max_size=3))
    dumped = made.dump(rows, many=True)
    one = orjson.loads(_body(reply(made, rows[0])))
    assert one == dumped[0]
    assert list(one) == list(made.fields)
    assert orjson.loads(_body(reply_list(made, rows))) == {"items": dumped}
    assert orjson.loads(_body(reply_page(made, rows, "x", None))) == {"items": dumped, "next_cursor": "x"}


def test_a_column_that_the_schema_does_not_name_stays_inside() -> None:
    row = {"status": "complete", "is_done": True, "position": 1, "secret": "hush"}
    assert "hush" not in _body(reply(TaskStatus(), row)).decode()


def test_a_row_of_one_column_is_an_object_too() -> None:
    class Summary(Schema):
        """A schema of one field."""

        open = fields.Integer()

    assert orjson.loads(_body(reply(Summary(), {"open": 1}))) == Summary().dump({"open": 1}) == {"open": 1}


def test_a_field_that_orjson_would_write_otherwise_is_refused() -> None:
    class Price(Schema):
        """A schema with a field whose JSON is a string, where orjson writes none."""

        amount = fields.Decimal(as_string=True)

    with pytest.raises(TypeError, match=r"Price\.amount"):
        row_serialiser(Price())


def _body(response: Any) -> bytes:
    body = response.body
    assert isinstance(body, bytes)
    return body
