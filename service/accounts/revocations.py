"""Revocations: sessions and clients that are no more, whose access tokens are refused at once, in every process.

A revocation is a row that outlives the tokens it stops, announced when its transaction commits. Each process knows all
of them, so that no request asks the database. One that is cut off from the announcements says so in its readiness, and
reads what it missed as soon as it can.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import inf
from uuid import UUID

from aiohttp import web

from service.database.listener import Listener
from service.database.queries import Executor, queries
from service.dsn import Dsn
from service.settings import Settings

_CHANNEL = "revocations"
# A row has the time at which its transaction began, and is seen when that has committed; none takes so long.
_LONGEST_TRANSACTION = timedelta(minutes=1)


class Revocations:
    """The ids of the sessions and clients that are revoked, as far as an access token of theirs could still be good."""

    def __init__(self) -> None:
        self._expiries: dict[UUID, float] = {}
        self._known_until = datetime.min.replace(tzinfo=UTC) + _LONGEST_TRANSACTION

    def __contains__(self, id_: UUID) -> bool:
        """Tell whether a session or a client is revoked."""
        return id_ in self._expiries

    def add(self, ids: Iterable[UUID]) -> None:
        """Note what this process has just revoked itself, not to wait for the announcement of it."""
        for id_ in ids:
            self._expiries.setdefault(id_, inf)

    def hear(self, announcement: str) -> None:
        """Note what was announced: an id, a space, and when it expires, in seconds since the epoch."""
        id_, expires_at = announcement.split(" ")
        self._expiries[UUID(id_)] = float(expires_at)

    async def catch_up(self, executor: Executor) -> None:
        """Read what has been revoked since the last time, and forget what no longer matters."""
        for row in await queries.list_revocations(executor, created_after=self._known_until - _LONGEST_TRANSACTION):
            self._expiries[row["id"]] = row["expires_at"]
            self._known_until = max(self._known_until, row["created_at"])
        now = time.time()
        self._expiries = {id_: expires_at for id_, expires_at in self._expiries.items() if expires_at > now}

    def listener(self, dsn: Dsn, settings: Settings) -> Listener:
        """Return what keeps this up to date."""
        return Listener(dsn, settings, _CHANNEL, self.hear, self.catch_up)


REVOCATIONS = web.AppKey("revocations", Revocations)
