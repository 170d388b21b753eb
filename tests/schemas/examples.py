"""Schemas of books on loan, and their registry: what is said of `service/schemas/` is shown by them."""

import sys

from marshmallow import fields

from service.schemas.fields import Binary, IsSet, Representation, RowSchema, Schema, Text, Timestamp, about
from service.schemas.registry import Registry


class Limits:
    """The settings."""

    port: int
    host: str


class BookKey(RowSchema):
    """The key of a book, and of its owner."""

    reader_id = fields.UUID(metadata=about("Whose it is.", "0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90"))
    id = fields.UUID(metadata=about("The id of the book.", "5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11"))


class Book(Representation):
    """A book, as its reader sees it."""

    id = fields.UUID()
    title = Text()
    returned = IsSet(attribute="returned_at", dump_only=True)
    returned_at = Timestamp(allow_none=True)


class Sent(Schema):
    """A request, as somebody sends it."""

    given = Text(required=True)
    absent = Text()
    cleared = Text(required=True, allow_none=True)
    emptied = Text(load_default=None)
    filled = Text(load_default="a")


class Kept(RowSchema):
    """A row, as the service makes it itself."""

    given = Text()
    cleared = Text(allow_none=True)
    digest = Binary(metadata=about("Of what was sent.", b"\x00"))


REGISTRY = Registry.of(sys.modules[__name__], settings=Limits)
