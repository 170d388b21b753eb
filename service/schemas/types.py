"""The types of PostgreSQL that fields and settings can carry.

Types go by the short names that asyncpg and psycopg share: `uuid`, `int8`, `timestamptz`, `text[]`.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from service.schemas.fields import Binary

_INTEGERS = ("int2", "int4", "int8")
SCALARS: Mapping[str, tuple[str, ...]] = {
    "boolean": ("bool",),
    "bytes": ("bytea",),
    "integer": _INTEGERS,
    "number": ("float4", "float8"),
    "text": ("text", "varchar"),
    "time": ("timestamptz",),
    "uuid": ("uuid",),
}
"""The words of `Returns:` for single values, each with the types of PostgreSQL that it stands for."""

# The word for each class of fields; the first that a field is an instance of counts.
_FIELDS: tuple[tuple[type[fields.Field[Any]], str], ...] = (
    (fields.UUID, "uuid"),
    (fields.String, "text"),
    (fields.Integer, "integer"),
    (fields.Float, "number"),
    (fields.Boolean, "boolean"),
    (fields.AwareDateTime, "time"),
    (Binary, "bytes"),
)
_HINTS: Mapping[object, str] = {bool: "boolean", bytes: "bytes", float: "number", int: "integer", str: "text"}


def types_of(field: fields.Field[Any]) -> tuple[str, ...]:
    """Return the types of PostgreSQL that a field can carry; none where that is not known here."""
    if isinstance(field, fields.List):
        return tuple(f"{one}[]" for one in types_of(field.inner))
    return next((SCALARS[kind] for made, kind in _FIELDS if isinstance(field, made)), ())


def kind_of(type_name: str) -> str:
    """Return the word by which the `Returns:` of a `$` query names a type of PostgreSQL; the type itself if by none."""
    scalar = type_name.removesuffix("[]")
    kind = next((kind for kind, types in SCALARS.items() if scalar in types), scalar)
    return kind + type_name[len(scalar) :]


def types_fed_by(field: fields.Field[Any] | None, setting: object) -> tuple[str, ...]:
    """Return the types of PostgreSQL that a parameter may have, where a field feeds it, or a setting of this type."""
    types = types_of(field) if field else SCALARS.get(_HINTS.get(setting, ""), ())
    # A whole number is a float8 as well.
    return (*types, "float8") if types == _INTEGERS else types
