"""Keyset pages: a cursor is the position of the last item, bound to the list that it came from.

It is checked, not secret: it holds what the page showed, and every statement is limited to its caller anyway. The
digest refuses a cursor that is taken to another user, filter or order, and one that was typed or cut.
"""

import base64
import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_POSITION = struct.Struct(">q16s")
_DIGEST_BYTES = 12
_NO_ID = UUID(int=0)  # RFC 9562, section 5.9: it is nothing's id, and comes before every other.


@dataclass(frozen=True, slots=True)
class Position:
    """The start of a page in a list ordered by `(created_at, id)`: right after this pair, in either direction."""

    created_at: datetime
    id: UUID


def start_of(moment: datetime) -> Position:
    """Return the position between what was created before a moment and what was created then or later."""
    return Position(moment, _NO_ID)


def write_cursor(position: Position, scope: str) -> str:
    """Write a cursor for the list that `scope` names: its user, filters and order."""
    packed = _POSITION.pack((position.created_at - _EPOCH) // _MICROSECOND, position.id.bytes)
    return base64.urlsafe_b64encode(packed + _digest(packed, scope)).decode()


def next_cursor(rows: Sequence[Mapping[str, Any]], limit: int, scope: str) -> str | None:
    """Write the cursor of the next page, if there are more rows than the `limit` that this one has."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return write_cursor(Position(last["created_at"], last["id"]), scope)


def read_cursor(cursor: str, scope: str) -> Position:
    """Read a cursor of the list that `scope` names.

    Raises:
        ValueError: it is no cursor, or that of another list.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor)
    except ValueError:
        raise ValueError("not a cursor") from None
    # base64 reads more spellings than it writes; a cursor has one.
    if base64.urlsafe_b64encode(raw).decode() != cursor:
        raise ValueError("not a cursor as it was written")
    packed, digest = raw[: _POSITION.size], raw[_POSITION.size :]
    if len(packed) != _POSITION.size or digest != _digest(packed, scope):
        raise ValueError("not a cursor of this list")
    microseconds, identifier = _POSITION.unpack(packed)
    try:
        return Position(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=identifier))
    except OverflowError:
        raise ValueError("not a position") from None


def _digest(packed: bytes, scope: str) -> bytes:
    return hashlib.blake2b(packed, key=hashlib.sha256(scope.encode()).digest(), digest_size=_DIGEST_BYTES).digest()
