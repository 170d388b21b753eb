"""What the application lends to every request."""

import asyncio

from aiohttp import web

from service.database.pool import Database

DATABASE = web.AppKey("database", Database)
DRAINING = web.AppKey("draining", asyncio.Event)
"""Set once the service is shutting down."""
READ_TIMEOUT = web.AppKey("read_timeout", float)
"""Seconds in which a body must arrive."""
