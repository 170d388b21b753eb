"""The application: the only place where the parts are put together."""

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from service.accounts.authentication import authenticate
from service.accounts.handlers import routes as account_routes
from service.accounts.jwks import routes as key_routes
from service.accounts.oauth import routes as oauth_routes
from service.accounts.passwords import PASSWORDS, Passwords
from service.accounts.revocations import REVOCATIONS, Revocations
from service.accounts.sessions import SESSIONS, Sessions
from service.accounts.throttle import THROTTLE, Throttle
from service.accounts.tokens import TOKENS, Tokens
from service.database.listener import Listener
from service.database.pool import Database
from service.health.handlers import MIGRATIONS, check_schema
from service.health.handlers import routes as health_routes
from service.health.preparation import PREPARATION, Preparation
from service.http.app_keys import (
    CATALOGUE,
    CORS_ORIGINS,
    DATABASE,
    DRAINING,
    LISTENING,
    OPENAPI,
    READ_TIMEOUT,
    REFUSING,
    REQUIRE_IF_MATCH,
    TRUSTED_PROXIES,
)
from service.http.describing.openapi import document
from service.http.describing.pages import routes as page_routes
from service.http.metrics import METRICS, Metrics, SharedCounts
from service.http.middlewares import edge
from service.migrate.files import read_migrations
from service.purging import purging
from service.registry import REGISTRY
from service.resources import resource_folder
from service.settings import Settings
from service.tasks.handlers import routes as task_routes

_ROUTES = (account_routes, oauth_routes, key_routes, health_routes, page_routes, task_routes)


def create_app(settings: Settings, database: Database, counts: SharedCounts) -> web.Application:
    """Return the application; it closes neither the database nor anything else that it was given.

    Args:
        settings: the service's settings.
        database: the pool.
        counts: the memory that this process counts in.

    Raises:
        MigrationError: the migrations that the code comes with are not as they were checked in.
    """
    app = web.Application(middlewares=[edge, authenticate], client_max_size=settings.max_body_bytes)
    app[CATALOGUE] = None if settings.is_production else resource_folder("docs") / "queries.html"
    app[CORS_ORIGINS] = settings.cors_origins
    app[DATABASE] = database
    app[DRAINING] = asyncio.Event()
    app[MIGRATIONS] = read_migrations(resource_folder("migrations"))
    app[OPENAPI] = orjson.dumps(openapi())
    app[PASSWORDS] = Passwords(settings.password_pepper, settings.bcrypt_cost)
    app[PREPARATION] = Preparation(REGISTRY)
    app[READ_TIMEOUT] = settings.read_timeout
    app[REFUSING] = asyncio.Event()
    app[REQUIRE_IF_MATCH] = settings.require_if_match
    app[REVOCATIONS] = Revocations()
    app[TOKENS] = Tokens(
        settings.jwt_secret,
        settings.jwt_keys,
        settings.jwt_issuer,
        settings.jwt_audience,
        ttl=settings.access_token_ttl,
    )
    app[SESSIONS] = Sessions(app[TOKENS], app[REVOCATIONS], settings.refresh_token_ttl)
    app[THROTTLE] = Throttle(
        settings.password_pepper, settings.login_failures_per_account, settings.login_failures_per_address
    )
    app[TRUSTED_PROXIES] = settings.trusted_proxies
    listener = Listener(database.dsn, settings, app[REVOCATIONS])
    app[LISTENING] = listener.hears
    for routes in _ROUTES:
        app.add_routes(routes)
    app[METRICS] = Metrics(counts, app.router, database, settings.pool_size + settings.pool_max_overflow)
    app.on_startup.append(_check_schema)
    app.on_cleanup.append(_close_passwords)
    app.cleanup_ctx.append(_note_metrics)
    app.cleanup_ctx.append(_purge)
    app.cleanup_ctx.append(lambda _app: listener.listening())
    return app


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of every route."""
    return document(route for routes in _ROUTES for route in routes if isinstance(route, web.RouteDef))


async def _check_schema(app: web.Application) -> None:
    await check_schema(app)


async def _close_passwords(app: web.Application) -> None:
    app[PASSWORDS].close()


def _note_metrics(app: web.Application) -> AbstractAsyncContextManager[None]:
    return app[METRICS].noting()


def _purge(app: web.Application) -> AbstractAsyncContextManager[None]:
    return purging(app[DATABASE])
