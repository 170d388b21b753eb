"""marshmallow fields and the base of every schema: messages with a code, and strings that PostgreSQL can store."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

import marshmallow
from marshmallow import ValidationError, fields, validate
from marshmallow.types import ErrorMessages


class Message(str):
    """A sentence about a fault, with the code that programs read."""

    __slots__ = ("code",)
    code: str

    def __new__(cls, detail: str, code: str) -> Self:
        """Make a message from its sentence and its code."""
        message = super().__new__(cls, detail)
        message.code = code
        return message

    def format(self, *_args: object, **_kwargs: object) -> Self:
        """Stay a `Message` where marshmallow fills messages in; none here has a gap."""
        return self


_COMMON: ErrorMessages = {
    "required": Message("Must be given.", "required"),
    "null": Message("Must not be null.", "null"),
}


class Schema(marshmallow.Schema):
    """The base of every schema: unknown members are refused, and every message has a code."""

    error_messages = {
        "unknown": Message("Is not a member that may be sent here.", "unknown"),
    }

    class Meta:
        """marshmallow's options."""

        unknown = marshmallow.RAISE


class Text(fields.String):
    """A string without NUL, which PostgreSQL cannot store, and without lone surrogates, which UTF-8 cannot hold."""

    default_error_messages = {
        **_COMMON,
        "invalid": Message("Must be a string.", "type"),
        "unstorable": Message("Must hold neither NUL nor a lone surrogate.", "invalid_character"),
    }

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if "\0" in value or not _is_encodable(value):
            raise self.make_error("unstorable")
        return self.clean(value)

    def clean(self, value: str) -> str:
        """Return the form in which the string counts; subclasses change it, or raise a ValidationError."""
        return value


class Flag(fields.Boolean):
    """A JSON true or false, and nothing that merely resembles one."""

    default_error_messages = {
        **_COMMON,
        "invalid": Message("Must be true or false.", "type"),
    }

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class QueryFlag(fields.Boolean):
    """`true` or `false` in a query string."""

    default_error_messages = {"invalid": Message("Must be true or false.", "type")}

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if value not in {"true", "false"}:
            raise self.make_error("invalid")
        return value == "true"


class QueryInteger(fields.Integer):
    """A whole number in a query string, in ASCII digits and within bounds."""

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum = minimum
        self.maximum = maximum

    def _deserialize(self, value: str, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        # The length is looked at first, so that no number of a thousand digits is made.
        if re.fullmatch(r"[0-9]{1,18}", value) and self.minimum <= int(value) <= self.maximum:
            return int(value)
        raise ValidationError(Message(f"Must be a whole number from {self.minimum} to {self.maximum}.", "range"))


class Timestamp(fields.AwareDateTime):
    """A moment, written as RFC 3339 in UTC with `Z`."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class IsSet(fields.Boolean):
    """Whether another column has a value: `completed` says it of `completed_at`."""

    def _serialize(self, value: object, attr: str | None, obj: Any, **kwargs: Any) -> bool:
        return value is not None


def length(minimum: int, maximum: int) -> validate.Length:
    """Make a validator of a string's length in characters (code points), both ends included."""
    detail = f"Must have {minimum} to {maximum} characters." if minimum else f"Must have at most {maximum} characters."
    return validate.Length(min=minimum, max=maximum, error=Message(detail, "length"))


def not_blank(value: str) -> str:
    """Refuse a string of white space alone."""
    if value.isspace():
        raise ValidationError(Message("Must not be blank.", "blank"))
    return value


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
