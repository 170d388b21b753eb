"""The commands."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import click
from aiohttp import web

from .database import queries
from .web import create_app, purge

_url = click.argument("url")


@click.group()
def main() -> None:
    """Keep notes."""


@main.command()
@_url
def serve(url: str) -> None:
    """Answer requests."""
    web.run_app(create_app(url))


@main.command(name="purge")
@_url
def purge_now(url: str) -> None:
    """Remove what has expired."""
    _run(url, purge)


@main.group()
def members() -> None:
    """See to members."""


@members.command()
@_url
@click.argument("email")
def remove(url: str, email: str) -> None:
    """Remove a member."""

    async def _remove(pool: Any) -> None:
        member = await queries.get_credentials(pool, email=email)
        await queries.delete_member(pool, id=member["id"])

    _run(url, _remove)


def _run(url: str, do: Callable[[Any], Awaitable[None]]) -> None:
    async def _connected() -> None:
        async with asyncpg.create_pool(url, min_size=1) as pool:
            await do(pool)

    asyncio.run(_connected())
