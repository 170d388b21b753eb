"""Cursors: what was written is read again, and nothing else is."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from service.http.pagination import Position, read_cursor, start_of, write_cursor

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_moments = st.datetimes(timezones=st.just(UTC))
_LATEST = Position(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
_positions = st.builds(Position, _moments, st.uuids())
_scopes = st.text(st.characters(exclude_categories=["Cs"]))


@given(_positions, _scopes)
def test_a_cursor_leads_back_to_its_position(position: Position, scope: str) -> None:
    assert read_cursor(write_cursor(position, scope), scope) == position


@given(_positions, _scopes)
def test_a_cursor_needs_no_quoting_in_a_url(position: Position, scope: str) -> None:
    assert set(write_cursor(position, scope)) <= set(_ALPHABET)


@given(_positions, _scopes, _scopes)
def test_a_cursor_of_another_list_is_refused(position: Position, scope: str, other: str) -> None:
    assume(scope != other)
    with pytest.raises(ValueError, match="of this list"):
        read_cursor(write_cursor(position, scope), other)


@given(_positions, st.integers(0, 35), st.integers(1, 255))
def test_a_cursor_with_another_byte_is_refused(position: Position, place: int, flip: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(write_cursor(position, "scope")))
    assert len(raw) == 36
    raw[place] ^= flip
    with pytest.raises(ValueError, match="not a"):
        read_cursor(base64.urlsafe_b64encode(raw).decode(), "scope")


@example(_LATEST, 20, "/")  # base64 proper, for the "_" of its form in a URL
@given(_positions, st.integers(0, 47), st.sampled_from(_ALPHABET + "+/=%. "))
def test_a_cursor_with_another_character_is_refused(position: Position, place: int, character: str) -> None:
    cursor = write_cursor(position, "scope")
    assume(cursor[place] != character)
    with pytest.raises(ValueError, match="not a"):
        read_cursor(cursor[:place] + character + cursor[place + 1 :], "scope")


@example(_LATEST, "", "=")  # padding that pads nothing
@given(_positions, st.text(max_size=5), st.text(max_size=5))
def test_a_cursor_with_anything_around_it_is_refused(position: Position, before: str, after: str) -> None:
    assume(before or after)
    with pytest.raises(ValueError, match="not a"):
        read_cursor(before + write_cursor(position, "scope") + after, "scope")


@given(st.text() | st.text(_ALPHABET + "=+/") | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_is_no_cursor_is_refused_whatever_it_is(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        read_cursor(text, "scope")


@given(_moments, _moments, st.uuids())
def test_the_start_of_a_moment_divides_what_was_created_before_it_from_the_rest(
    moment: datetime, created_at: datetime, id_: UUID
) -> None:
    start = start_of(moment)
    assert ((created_at, id_) > (start.created_at, start.id)) == (created_at >= moment)
