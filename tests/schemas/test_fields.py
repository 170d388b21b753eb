"""Fields: the times that bodies and query strings may hold."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from service.schemas.fields import QueryTimestamp, Timestamp

_FIELDS = (Timestamp(), QueryTimestamp())
_offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def _read(text: str) -> Any:
    """Read a time as both fields do."""
    in_body, in_query = (field.deserialize(text) for field in _FIELDS)
    assert in_body == in_query
    return in_body


def codes_of(refusal: ValidationError) -> list[str]:
    return [message.code for message in refusal.messages]  # type: ignore[union-attr]  # a list, where there is one field


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T09:30:00Z", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        ("2026-11-22t09:30:00z", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        ("2026-11-22T09:30:00+02:00", datetime(2026, 11, 22, 7, 30, tzinfo=UTC)),
        ("2026-11-22T23:30:00-05:45", datetime(2026, 11, 23, 5, 15, tzinfo=UTC)),
        ("2026-11-22T09:30:00-00:00", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        ("2026-11-22T09:30:00+23:59", datetime(2026, 11, 21, 9, 31, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-11-22T09:30:00.5Z", datetime(2026, 11, 22, 9, 30, 0, 500000, tzinfo=UTC)),
        ("2026-11-22T09:30:00.000001Z", datetime(2026, 11, 22, 9, 30, 0, 1, tzinfo=UTC)),
        # Rounded up to the next microsecond, the first that is not earlier.
        ("2026-11-22T09:30:00.0000010Z", datetime(2026, 11, 22, 9, 30, 0, 1, tzinfo=UTC)),
        ("2026-11-22T09:30:00.0000011Z", datetime(2026, 11, 22, 9, 30, 0, 2, tzinfo=UTC)),
        ("2026-11-22T09:30:59.9999999Z", datetime(2026, 11, 22, 9, 31, tzinfo=UTC)),
        (f"2026-11-22T09:30:00.{'0' * 5000}1Z", datetime(2026, 11, 22, 9, 30, 0, 1, tzinfo=UTC)),
        # Leap seconds: the examples of RFC 3339, section 5.8, and one with a fraction.
        ("1990-12-31T23:59:60Z", datetime(1991, 1, 1, tzinfo=UTC)),
        ("1990-12-31T15:59:60-08:00", datetime(1991, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.25Z", datetime(2017, 1, 1, 0, 0, 0, 250000, tzinfo=UTC)),
        ("2028-02-29T23:59:60Z", datetime(2028, 3, 1, tzinfo=UTC)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_time_is_read_as_rfc_3339_has_it(text: str, moment: datetime) -> None:
    read = _read(text)
    assert (read, read.tzinfo) == (moment, UTC)


@given(st.datetimes(), _offsets)
def test_every_time_with_an_offset_is_read_back(moment: datetime, offset: timezone) -> None:
    written = moment.replace(tzinfo=offset)
    try:
        expected = written.astimezone(UTC)
    except OverflowError:
        assume(False)  # noqa: FBT003 -- hypothesis has it so
    assert _read(written.isoformat()) == expected


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "now", "infinity", "-infinity", "epoch", "null", "0", "1795339800", "1795339800.5"],
        # ISO 8601, but not RFC 3339.
        *["2026-11-22", "2026-11-22T09:30Z", "2026-11-22T09Z", "2026-11-22T09:30:00", "20261122T093000Z"],
        *["2026-W47-7T09:30:00Z", "2026-326T09:30:00Z", "2026-11-22T09:30:00,5Z", "2026-11-22T24:00:00Z"],
        *["2026-11-22T09:30:00+02", "2026-11-22T09:30:00+0200", "+002026-11-22T09:30:00Z", "-2026-11-22T09:30:00Z"],
        *["2026-11-22T09:30:00.Z", "2026-11-22T09.5Z", "2026-11-22T09:30:00+02:00:30", "2026-11-22T09:30:00 Z"],
        *["2026-11-22 09:30:00Z", "2026-11-22_09:30:00Z", "2026-11-22T09:30:00UTC", "2026-11-22T09:30:00ZZ"],
        # No such time.
        *["2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-02-29T00:00:00Z"],
        *["2026-11-00T00:00:00Z", "2026-11-22T25:00:00Z", "2026-11-22T09:60:00Z", "2026-11-22T09:30:61Z"],
        *["2026-11-22T09:30:00+24:00", "2026-11-22T09:30:00+02:60", "2026-11-22T09:30:00+-2:00"],
        # A leap second anywhere but at the end of a month in UTC.
        *["2026-11-22T23:59:60Z", "2026-11-30T09:30:60Z", "2026-11-30T23:59:60+01:00", "2026-11-30T23:00:60Z"],
        # Beyond the years 1 to 9999.
        *["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z"],
        *["9999-12-31T23:59:60Z", "9999-12-31T23:59:59.9999999Z"],
        # Digits that are not ASCII, and something around it.
        *["\u0662\u0660\u0662\u0666-11-22T09:30:00Z", "2026-11-22T09:30:0\u0660Z", "2026-11-22T09:30:00.\u0660Z"],
        *[" 2026-11-22T09:30:00Z", "2026-11-22T09:30:00Z ", "2026-11-22T09:30:00Z\n", "2026-11-22T09:30:00Z\0"],
        *["2026-11-22T09:30:00\u221202:00", "\udcff2026-11-22T09:30:00Z", "9" * 5000],
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_what_is_no_time_of_rfc_3339_is_refused(text: str) -> None:
    for field in _FIELDS:
        with pytest.raises(ValidationError, match=r"RFC 3339") as refusal:
            field.deserialize(text)
        assert codes_of(refusal.value) == ["timestamp"]


@pytest.mark.parametrize("text", ["2026-11-22T09:30:00 02:00", "2026-11-22T09:30:00.5 00:00"])
def test_a_plus_that_became_a_space_is_explained_in_a_query_string(text: str) -> None:
    in_body, in_query = _FIELDS
    with pytest.raises(ValidationError, match="%2B"):
        in_query.deserialize(text)
    with pytest.raises(ValidationError, match="RFC 3339"):
        in_body.deserialize(text)


@pytest.mark.parametrize(
    ("value", "code"),
    [(None, "null"), (1795339800, "timestamp"), (True, "timestamp"), (["2026-11-22T09:30:00Z"], "timestamp")],
)
def test_what_is_no_string_in_a_body_is_no_time(value: object, code: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Timestamp().deserialize(value)
    assert codes_of(refusal.value) == [code]


def test_a_time_is_written_in_utc() -> None:
    moment = datetime(2026, 11, 22, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    assert Timestamp().serialize("at", {"at": moment}) == "2026-11-22T07:30:00Z"
    assert Timestamp().serialize("at", {"at": None}) is None
