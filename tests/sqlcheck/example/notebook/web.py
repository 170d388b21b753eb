"""The routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import asyncpg
from aiohttp import web

from .database import Notes, StoredNotes, queries

URL: Final = web.AppKey("url", str)
POOL: Final = web.AppKey("pool", asyncpg.Pool)
NOTES: Final = web.RequestKey("notes", Notes)
PURGING_SECONDS: Final = web.AppKey("purging_seconds", float)

_BATCH: Final = 1000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

routes = web.RouteTableDef()


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find the member whom a header names."""
    member = await queries.get_member(request.app[POOL], id=UUID(request.headers["Member"]))
    if member is None:
        raise web.HTTPUnauthorized
    request[NOTES] = StoredNotes(request.app[POOL], member["id"])
    return await handler(request)


@routes.get("/notes")
async def list_notes(request: web.Request) -> web.Response:
    notes = await request[NOTES].newest(request.query.get("topic"))
    return web.json_response([note["title"] for note in notes])


@routes.delete("/notes/{id}")
async def delete_note(request: web.Request) -> web.Response:
    return web.Response(status=204 if await request[NOTES].remove(UUID(request.match_info["id"])) else 404)


@routes.get("/topics")
async def list_topics(request: web.Request) -> web.Response:
    topics = await queries.list_topics(request.app[POOL])
    return web.json_response([topic["topic"] for topic in topics])


def create_app(url: str, purging_seconds: float = 60) -> web.Application:
    """Make the application."""
    app = web.Application(middlewares=[authenticate])
    app[URL], app[PURGING_SECONDS] = url, purging_seconds
    app.cleanup_ctx.extend([_connected, _purging])
    app.add_routes(routes)
    return app


async def purge(pool: Any) -> None:
    """Remove what has expired."""
    while await queries.purge_revisions(pool, batch_size=_BATCH) == _BATCH:
        pass


async def _connected(app: web.Application) -> AsyncIterator[None]:
    async with asyncpg.create_pool(app[URL], min_size=1) as pool:
        await queries.get_server_version(pool)
        app[POOL] = pool
        yield


async def _purging(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(_purge_now_and_then(app))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _purge_now_and_then(app: web.Application) -> None:
    while True:
        await asyncio.sleep(app[PURGING_SECONDS])
        await purge(app[POOL])
