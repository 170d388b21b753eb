"""Serving: from a bound socket to a clean drain."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
import uvloop
from aiohttp import web

from service.app import create_app
from service.database.pool import Database
from service.dsn import Dsn
from service.http.app_keys import DRAINING, REFUSING
from service.http.metrics import SharedCounts
from service.http.protocol import Protocol, protocol_factory
from service.logs import writing
from service.settings import Settings

log = structlog.get_logger()

_BACKLOG = 1024
_KEEPALIVE_SECONDS = 75.0  # longer than what proxies in front keep a connection for, so that they close it and not we
# How long the rest of a refused body is read and thrown away, so that the client gets to read the answer.
_LINGERING_SECONDS = 1.0
# After SIGTERM, answers carry `Connection: close`; a client in steady use learns so before its connection is closed.
_DRAIN_GRACE_SECONDS = 1.0
_DRAIN_POLL_SECONDS = 0.02
# What SHUTDOWN_TIMEOUT leaves is cancelled; aiohttp takes this time twice.
_CANCEL_SECONDS = 0.1


class ServeError(Exception):
    """The service cannot start; the message is one line."""


def bind(settings: Settings) -> socket.socket:
    """Return a socket bound to HOST and PORT, before anything else is started.

    Raises:
        ServeError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ServeError(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}.") from None


def serve(settings: Settings, dsn: Dsn, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain: finish what was accepted, within SHUTDOWN_TIMEOUT.

    Args:
        settings: the service's settings.
        dsn: the database, whose schema is as the code needs it.
        listener: the bound socket.
        on_ready: called once requests are answered.

    Raises:
        DatabaseUnusable: it cannot be reached, or refuses.
        MigrationError: the migrations that the code comes with are not as they were checked in.
    """
    run(settings, _serve_until_stopped(settings, dsn, listener, on_ready))


def run(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, on an event loop of its own, and write the logs meanwhile."""
    with (
        writing(settings.log_level, settings.log_format),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(work)


async def _go_on() -> None:
    """Return at once: one process by itself has no others to wait for before it drains."""


@asynccontextmanager
async def serving(
    settings: Settings,
    dsn: Dsn,
    listener: socket.socket,
    counts: SharedCounts | None = None,
    on_closed: Callable[[], Awaitable[None]] = _go_on,
) -> AsyncIterator[web.Application]:
    """Answer requests on a bound socket while the block runs, and drain at its end.

    Args:
        settings: the service's settings.
        dsn: the database.
        listener: the bound socket.
        counts: the memory that this process counts in, where there are others beside it.
        on_closed: awaited at the end, when no connection is accepted any more and before any is asked to close.

    Raises:
        DatabaseUnusable: it cannot be reached, or refuses.
        MigrationError: the migrations that the code comes with are not as they were checked in.
    """
    database = await Database.connect(dsn, settings)
    try:
        app = create_app(settings, database, counts or SharedCounts.of(1)[0])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CANCEL_SECONDS)
        await runner.setup()
        connections = cast(web.Server, runner.server)
        protocol = protocol_factory(
            connections,
            access_log=None,
            auto_decompress=False,
            head_timeout=settings.read_timeout,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=_LINGERING_SECONDS,
        )
        server = await asyncio.get_running_loop().create_server(protocol, sock=listener, backlog=_BACKLOG)
        try:
            yield app
        finally:
            log.info("draining", connections=len(connections.connections))
            server.close()
            await on_closed()
            app[DRAINING].set()
            await _drain(app, connections, settings.shutdown_timeout)
            await runner.cleanup()
    finally:
        await database.close()
    log.info("stopped")


async def _serve_until_stopped(
    settings: Settings, dsn: Dsn, listener: socket.socket, on_ready: Callable[[], None]
) -> None:
    stopping = _stop_on_signals()
    async with serving(settings, dsn, listener):
        on_ready()
        await stopping.wait()


def _stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second signal ends the process at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping


async def _drain(app: web.Application, connections: web.Server, seconds: float) -> None:
    """Let clients in steady use leave by themselves; then refuse what is new until what was accepted is answered."""
    await _wait_until(lambda: not connections.connections, _DRAIN_GRACE_SECONDS)
    app[REFUSING].set()
    await _wait_until(lambda: not any(cast(Protocol, one).is_busy for one in connections.connections), seconds)


async def _wait_until(is_over: Callable[[], bool], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not is_over() and loop.time() < deadline:  # noqa: ASYNC110 -- aiohttp tells of no connection's end
        await asyncio.sleep(_DRAIN_POLL_SECONDS)
