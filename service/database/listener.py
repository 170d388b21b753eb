"""Listening: a connection of its own, on which PostgreSQL tells at once what others have done (LISTEN/NOTIFY)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import asyncpg
import structlog

from service.background import in_background
from service.dsn import Dsn
from service.settings import Settings

log = structlog.get_logger()

# A connection on which nothing comes may be dead, so a query is sent on it now and then. This is also the longest that
# news takes which was never announced, as behind a pooler that swallows LISTEN.
_HEARTBEAT_SECONDS = 2.0
_RETRY_SECONDS = 0.2
_CLOSE_SECONDS = 1.0


class News(Protocol):
    """Facts that PostgreSQL announces on a channel, and that can be read from their table as well."""

    channel: str

    def hear(self, announcement: str) -> None:
        """Take the payload of a notification."""

    async def read_all(self, connection: asyncpg.Connection) -> None:
        """Read everything; after each LISTEN, since before it anything can have been missed."""

    async def read_recent(self, connection: asyncpg.Connection) -> None:
        """Read what is new; at each heartbeat, since it may not have been announced."""


class Listener:
    """A subscription to a channel, which connects again whenever it is cut off.

    Args:
        dsn: the database; a pooler in front of it is bypassed, since it is sessions that listen.
        settings: the service's settings.
        news: the facts to listen for.

    Attributes:
        hears: set while nothing can be missed.
    """

    def __init__(self, dsn: Dsn, settings: Settings, news: News) -> None:
        self.hears = asyncio.Event()
        self._tried = asyncio.Event()
        self._dsn = dsn.direct
        self._timeout = settings.db_connect_timeout
        self._news = news

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs; it begins once everything so far is known, or the first attempt has failed."""
        async with in_background(self._listen_again_and_again()):
            await self._tried.wait()
            yield

    async def _listen_again_and_again(self) -> None:
        reason = ""
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next attempt may succeed
                if self.hears.is_set() or repr(error) != reason:  # the same failure is told once
                    log.warning(
                        "not listening", channel=self._news.channel, error=type(error).__name__, detail=str(error)
                    )
                reason = repr(error)
            finally:
                self.hears.clear()
                self._tried.set()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        """Listen until the connection is lost, and raise what it was lost by."""
        connection = await asyncpg.connect(
            self._dsn.asyncpg_url,
            timeout=self._timeout,
            command_timeout=_HEARTBEAT_SECONDS,
            server_settings={"application_name": "task-service listener"},
        )
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(self._news.channel, self._tell)
            # Only now that it listens, so that nothing falls between.
            await self._news.read_all(connection)
            self.hears.set()
            self._tried.set()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT_SECONDS):
                        await lost.wait()
                        raise ConnectionResetError("The connection was closed.")
                await self._news.read_recent(connection)
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=_CLOSE_SECONDS)

    def _tell(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:  # noqa: ANN401 -- asyncpg's own
        self._news.hear(str(payload))
