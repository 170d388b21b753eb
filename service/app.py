"""The application: the only place where the parts are put together."""

import asyncio

from aiohttp import web

from service.accounts.authentication import authenticate
from service.accounts.handlers import routes as account_routes
from service.accounts.passwords import PASSWORDS, Passwords
from service.accounts.tokens import TOKENS, Tokens
from service.database.pool import Database
from service.health.handlers import MIGRATIONS
from service.health.handlers import routes as health_routes
from service.http.keys import CORS_ORIGINS, DATABASE, DRAINING, READ_TIMEOUT, REQUIRE_IF_MATCH
from service.http.middlewares import edge
from service.http.pages import routes as page_routes
from service.resources import resource_folder
from service.settings import Settings
from service.tasks.handlers import routes as task_routes


def create_app(settings: Settings, database: Database) -> web.Application:
    """Return the application; it closes neither the database nor anything else that it was given."""
    app = web.Application(middlewares=[edge, authenticate], client_max_size=settings.max_body_bytes)
    app[CORS_ORIGINS] = settings.cors_origins
    app[DATABASE] = database
    app[DRAINING] = asyncio.Event()
    app[MIGRATIONS] = frozenset(
        file.stem for file in resource_folder("migrations").glob("*.sql") if not file.stem.endswith(".rollback")
    )
    app[PASSWORDS] = Passwords(settings.password_pepper, settings.bcrypt_cost)
    app[READ_TIMEOUT] = settings.read_timeout
    app[REQUIRE_IF_MATCH] = settings.require_if_match
    app[TOKENS] = Tokens(settings.jwt_secret, settings.jwt_issuer, settings.jwt_audience, ttl=settings.access_token_ttl)
    for routes in (account_routes, health_routes, page_routes, task_routes):
        app.add_routes(routes)
    app.on_cleanup.append(_close_passwords)
    return app


async def _close_passwords(app: web.Application) -> None:
    app[PASSWORDS].close()
