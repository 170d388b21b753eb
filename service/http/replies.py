"""Replies: the single place where rows become bytes.

A marshmallow schema is the contract of every response, but does not dump each row: a serialiser of rows is derived from
it once, whose output equals that of `schema.dump`, as a property test proves.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any
from uuid import UUID

import orjson
from aiohttp import hdrs, web
from marshmallow import fields

from service.schemas.fields import Flag, IsSet, Schema, Text, Timestamp

Record = Mapping[str, Any]

# The fields whose values orjson writes just as they do.
_NATIVE_FIELDS = (Flag, Text, Timestamp, fields.Integer, fields.UUID)


def reply(schema: Schema, row: Record, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with one row."""
    return reply_json(row_serialiser(schema)(row), status=status, headers=headers)


def reply_list(schema: Schema, rows: Iterable[Record]) -> web.Response:
    """Answer with every row of a short list: `{"items": […]}`."""
    serialise = row_serialiser(schema)
    return reply_json({"items": [serialise(row) for row in rows]})


def reply_page(schema: Schema, rows: Iterable[Record], next_cursor: str | None, next_url: str | None) -> web.Response:
    """Answer with one page: `{"items": […], "next_cursor": …}`, and a link (RFC 8288) while there is more."""
    serialise = row_serialiser(schema)
    headers = {str(hdrs.LINK): f'<{next_url}>; rel="next"'} if next_url else None
    return reply_json({"items": [serialise(row) for row in rows], "next_cursor": next_cursor}, headers=headers)


def reply_json(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a value, which may hold UUIDs and times."""
    body = orjson.dumps(value, default=_write_uuid, option=orjson.OPT_UTC_Z)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


@cache
def row_serialiser(schema: Schema) -> Callable[[Record], dict[str, Any]]:
    """Derive from a schema a function that turns a row into the dict that orjson writes as `schema.dump` would have it.

    Raises:
        TypeError: a field is of a class whose JSON orjson does not write by itself.
    """
    for name, field in schema.dump_fields.items():
        if type(field) not in (*_NATIVE_FIELDS, IsSet):
            raise TypeError(f"{type(schema).__name__}.{name}: no row serialiser can be derived from {type(field)}.")
    names = tuple(schema.dump_fields)
    presences = tuple(name for name, field in schema.dump_fields.items() if type(field) is IsSet)
    columns = [field.attribute or name for name, field in schema.dump_fields.items()]
    # Of a single column itemgetter gives the value, not a tuple of one.
    pick: Callable[[Record], tuple[Any, ...]] = (
        itemgetter(*columns) if len(columns) > 1 else lambda row: (row[columns[0]],)
    )

    def serialise(row: Record) -> dict[str, Any]:
        values = dict(zip(names, pick(row), strict=True))
        for name in presences:
            values[name] = values[name] is not None
        return values

    return serialise


def _write_uuid(value: object) -> str:
    """Write asyncpg's UUID, a subclass that orjson does not take for one."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value)} has no JSON form here.")
