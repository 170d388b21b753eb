"""Revocations: sessions and clients that are no more, whose access tokens are refused at once, in every process.

A revocation is a row that outlives the tokens it stops, announced when its transaction commits. Each process knows all
of them, so that no request asks the database. One that is cut off from the announcements says so in its readiness, and
reads what it missed as soon as it can.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from aiohttp import web

from service.database.queries import Executor, queries
from service.http.replies import Record

_EVER = datetime.min.replace(tzinfo=UTC)
# A row bears the time at which its transaction began, and is seen once that has committed; few take so long.
_LONGEST_TRANSACTION = timedelta(minutes=1)
# Few enough for the event loop and the timeout of a statement, even when everybody has been logged out.
_PAGE_SIZE = 5000


class Revocations:
    """The ids of the sessions and clients that are revoked, as far as an access token of theirs could still be good."""

    channel = "revocations"

    def __init__(self) -> None:
        self._expiries: dict[UUID, float] = {}
        self._known_until = _EVER

    def __contains__(self, id_: UUID) -> bool:
        """Tell whether a session or a client is revoked."""
        return id_ in self._expiries

    def add(self, rows: Iterable[Record]) -> None:
        """Note what was read, or what this process has just ended, not to wait for the announcement of it."""
        self._expiries.update((row["id"], row["expires_at"]) for row in rows)

    def hear(self, announcement: str) -> None:
        """Note what was announced: an id, a space, and when it expires, in seconds since the epoch."""
        id_, expires_at = announcement.split(" ")
        self._expiries[UUID(id_)] = float(expires_at)

    async def read_all(self, executor: Executor) -> None:
        """Read whatever is revoked."""
        await self._read_from(_EVER, executor)

    async def read_recent(self, executor: Executor) -> None:
        """Read what has been revoked since the last time, and forget what no longer matters."""
        await self._read_from(self._known_until, executor)
        now = time.time()
        self._expiries = {id_: expires_at for id_, expires_at in self._expiries.items() if expires_at > now}

    async def _read_from(self, moment: datetime, executor: Executor) -> None:
        id_ = UUID(int=0)
        while rows := await queries.list_revocations(
            executor, after_created_at=moment, after_id=id_, page_size=_PAGE_SIZE
        ):
            self.add(rows)
            moment, id_ = rows[-1]["created_at"], rows[-1]["id"]
            # By the clock of PostgreSQL, as created_at is.
            self._known_until = rows[-1]["read_at"] - _LONGEST_TRANSACTION


REVOCATIONS = web.AppKey("revocations", Revocations)
