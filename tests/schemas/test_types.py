"""The types of PostgreSQL that fields and settings carry."""

import pytest
from marshmallow import fields

from service.schemas.fields import Binary, Flag, IsSet, Text, Timestamp
from service.schemas.types import SCALARS, kind_of, types_fed_by, types_of


@pytest.mark.parametrize(
    ("field", "types"),
    [
        (Text(), ("text", "varchar")),
        (fields.UUID(), ("uuid",)),
        (fields.Integer(), ("int2", "int4", "int8")),
        (fields.Float(), ("float4", "float8")),
        (fields.Boolean(), ("bool",)),
        (Flag(), ("bool",)),
        (IsSet(), ("bool",)),
        (Timestamp(), ("timestamptz",)),
        (Binary(), ("bytea",)),
        (fields.List(fields.UUID()), ("uuid[]",)),
        (fields.List(Text()), ("text[]", "varchar[]")),
        (fields.Raw(), ()),
        (fields.List(fields.Raw()), ()),
    ],
)
def test_a_field_carries_these_types(field: fields.Field[object], types: tuple[str, ...]) -> None:
    assert types_of(field) == types


def test_a_whole_number_feeds_a_float8_too() -> None:
    assert types_fed_by(fields.Integer(), None)[-1] == types_fed_by(None, int)[-1] == "float8"
    assert types_fed_by(None, float) == ("float4", "float8")
    assert types_fed_by(None, str) == ("text", "varchar")
    assert types_fed_by(None, frozenset) == ()


@pytest.mark.parametrize(
    ("type_name", "kind"), [("int8", "integer"), ("varchar", "text"), ("uuid[]", "uuid[]"), ("jsonb", "jsonb")]
)
def test_a_type_is_returned_by_the_word_that_stands_for_it(type_name: str, kind: str) -> None:
    assert kind_of(type_name) == kind


def test_each_type_has_one_word() -> None:
    types = [one for types in SCALARS.values() for one in types]
    assert len(types) == len(set(types))
