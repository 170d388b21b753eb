"""Listening: a connection of its own, on which PostgreSQL tells at once what others have done (LISTEN/NOTIFY)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import structlog

from service.dsn import Dsn
from service.settings import Settings

log = structlog.get_logger()

# A connection on which nothing comes may be one that is dead; so something is asked on it now and then. It is also the
# longest that news can take which was never announced, as behind a pooler that swallows LISTEN.
_HEARTBEAT_SECONDS = 2.0
_RETRY_SECONDS = 0.2
_CLOSE_SECONDS = 1.0


class Listener:
    """Hears of a channel for as long as it is wanted, and connects again whenever it is cut off.

    Args:
        dsn: the database; a pooler in front of it is bypassed, since it is sessions that listen.
        settings: what can be set.
        channel: what to listen to.
        on_news: called with the payload of each notification.
        catch_up: awaited with the connection after each LISTEN and at each heartbeat, to read what was not heard.

    Attributes:
        hears: set while nothing can be missed.
    """

    def __init__(
        self,
        dsn: Dsn,
        settings: Settings,
        channel: str,
        on_news: Callable[[str], None],
        catch_up: Callable[[asyncpg.Connection], Awaitable[None]],
    ) -> None:
        self.hears = asyncio.Event()
        self._tried = asyncio.Event()
        self._dsn = dsn.direct
        self._timeout = settings.db_connect_timeout
        self._channel = channel
        self._on_news = on_news
        self._catch_up = catch_up

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs; it begins once everything so far is known, or the first attempt has failed."""
        task = asyncio.create_task(self._listen_again_and_again())
        try:
            await self._tried.wait()
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _listen_again_and_again(self) -> None:
        reason = ""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                if self.hears.is_set() or repr(error) != reason:  # the same failure is told once
                    log.warning("not listening", channel=self._channel, error=type(error).__name__, detail=str(error))
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
            await connection.add_listener(self._channel, self._tell)
            while not lost.is_set():
                # Only now that it listens, so that nothing falls between.
                await self._catch_up(connection)
                self.hears.set()
                self._tried.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT_SECONDS):
                        await lost.wait()
            raise ConnectionResetError("The connection was closed.")
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=_CLOSE_SECONDS)

    def _tell(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:  # noqa: ANN401 -- asyncpg's own
        self._on_news(str(payload))
