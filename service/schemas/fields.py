"""marshmallow fields and the base of every schema: messages with a code, and strings that PostgreSQL can store."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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
        "unknown": Message("Must not be sent here: it is read-only, or not known.", "unknown"),
    }

    class Meta:
        """marshmallow's options."""

        unknown = marshmallow.RAISE


class Representation(Schema):
    """The base of what answers carry. It may grow, so nobody should refuse members that they do not know."""

    class Meta:
        """marshmallow's options."""

        unknown = marshmallow.EXCLUDE


class RowSchema(Schema):
    """The base of what queries take and give inside the service, and never goes over the wire.

    It is there to be held against the database: a field is NULL only where it says `allow_none`, and its example is
    found in the database that `python -m service sql check` makes.
    """


class Binary(fields.Field[bytes]):
    """Bytes, such as a digest."""


class Text(fields.String):
    """A string without NUL, which PostgreSQL cannot store, and without lone surrogates, which UTF-8 cannot hold."""

    default_error_messages = {
        **_COMMON,
        "invalid": Message("Must be a string.", "type"),
        "unstorable": Message("Must not contain NUL or a lone surrogate.", "invalid_character"),
    }
    pattern = r"^[^\u0000]*$"
    """The pattern that the OpenAPI document has for the string when it is sent; subclasses have a narrower one."""

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
    """A moment as RFC 3339, section 5.6, has it: what else ISO 8601 allows is refused. Written in UTC, with `Z`."""

    default_error_messages = {
        **_COMMON,
        "invalid": Message("Must be a time as in RFC 3339, such as 2026-11-22T09:30:00Z.", "timestamp"),
    }

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return _read_timestamp(value)
        except (ValueError, OverflowError):
            raise self.make_error("invalid") from None

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class QueryTimestamp(Timestamp):
    """A moment in a query string, where a `+` that was not escaped has become a space."""

    default_error_messages = {
        "plus": Message("Write the + of an offset as %2B: in a query string + means a space.", "timestamp"),
    }

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if isinstance(value, str) and re.search(r" [0-9]{2}:[0-9]{2}$", value):
            raise self.make_error("plus")
        return super()._deserialize(value, attr, data, **kwargs)


class IsSet(fields.Boolean):
    """A flag that says whether another column has a value: `completed` says it of `completed_at`."""

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


def about(description: str, example: object) -> dict[str, Any]:
    """Make the metadata of a field: its description, and its example."""
    return {"description": description, "examples": [example]}


_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-5][0-9]):([0-5][0-9]|60)"
    r"(?:\.([0-9]+))?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def _read_timestamp(text: str) -> datetime:
    """Read a time as RFC 3339 writes it, in UTC; what is finer than a microsecond is rounded up.

    Stored times are whole microseconds, of which the same ones lie before the result as before the time itself. A leap
    second (section 5.7) counts as the second that follows it.

    Raises:
        ValueError, OverflowError: it is no such time, or not of the years 1 to 9999 in UTC.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("not a time")
    date, minute, second, fraction, offset = match.groups(default="")
    is_leap_second = second == "60"
    moment = datetime.fromisoformat(f"{date}T{minute}:{'59' if is_leap_second else second}{offset.upper()}")
    moment = moment.astimezone(UTC)
    if is_leap_second:
        moment += timedelta(seconds=1)
        if (moment.day, moment.hour, moment.minute) != (1, 0, 0):
            raise ValueError("not the end of a month")
    microseconds = int(fraction[:6].ljust(6, "0")) + (fraction[6:].strip("0") != "")
    return moment + timedelta(microseconds=microseconds)


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
