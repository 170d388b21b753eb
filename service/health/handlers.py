"""The routes that operators and load balancers ask. Those about the process itself do without the database."""

from dataclasses import asdict
from time import perf_counter

import asyncpg
import structlog
from aiohttp import hdrs, web

from service.database.errors import Overloaded, is_unavailable
from service.database.queries import queries
from service.health.preparation import PREPARATION
from service.health.schemas import DatabaseHealth, Liveness, PoolHealth, Readiness
from service.http.app_keys import DATABASE, DRAINING, LISTENING
from service.http.identity import public
from service.http.metrics import METRICS
from service.http.operations import Answer, operation
from service.http.replies import reply_json
from service.migrate.files import Migration
from service.migrate.standing import Applied, State, compare

log = structlog.get_logger()

routes = web.RouteTableDef()

_liveness = Liveness()
_readiness = Readiness()
_database = DatabaseHealth()
_pool = PoolHealth()

MIGRATIONS: web.AppKey[tuple[Migration, ...]] = web.AppKey("migrations", tuple)
"""The migrations that this code comes with."""


@routes.get("/health/live", name="live")
@public
@operation(Answer(200, _liveness), asks_database=False)
async def get_liveness(_request: web.Request) -> web.Response:
    """Say that the process answers."""
    return reply_json({"status": "ok"})


@routes.get("/health/ready", name="ready")
@public
@operation(Answer(200, _readiness), Answer(503, _readiness, meaning="Send requests elsewhere."), asks_database=False)
async def get_readiness(request: web.Request) -> web.Response:
    """Say whether requests should be sent here.

    They should while the database is reachable, its schema is not behind what this release needs, every query can be
    prepared on it, revocations are heard of at once, and the service is not draining. A schema that is ahead is that of
    the next release, which is about to take over; this one serves on it as long as its queries suit it.
    """
    database, migrations, suitability = await check_schema(request.app)
    revocations = "ok" if request.app[LISTENING].is_set() else "stale"
    draining = request.app[DRAINING].is_set()
    is_ready = database == suitability == revocations == "ok" and migrations in {"ok", "ahead"} and not draining
    checks = {
        "database": database,
        "migrations": migrations,
        "queries": suitability,
        "revocations": revocations,
        "draining": draining,
    }
    return reply_json(
        {"status": "ok" if is_ready else "unavailable", "checks": checks}, status=200 if is_ready else 503
    )


@routes.get("/health/db", name="db")
@public
@operation(Answer(200, _database), Answer(503, _database, meaning="It does not answer."), asks_database=False)
async def get_database_health(request: web.Request) -> web.Response:
    """Say whether the database answers, and how fast."""
    started = perf_counter()
    try:
        server = await queries.get_server_version(request.app[DATABASE])
    except Exception as error:
        if not _is_down(error):
            raise
        return reply_json({"status": "unavailable", "latency_ms": None, "server_version": None}, status=503)
    latency = round((perf_counter() - started) * 1000, 2)
    return reply_json({"status": "ok", "latency_ms": latency, "server_version": server["server_version"]})


@routes.get("/health/pool", name="pool")
@public
@operation(Answer(200, _pool), asks_database=False)
async def get_pool_health(request: web.Request) -> web.Response:
    """Count the connections of this process; each worker has its own, and the metrics tell of all."""
    return reply_json(asdict(request.app[DATABASE].status()))


@routes.get("/metrics", name="metrics")
@public
@operation(Answer(200, media_type="text/plain"), asks_database=False)
async def get_metrics(request: web.Request) -> web.Response:
    """Tell Prometheus what has been counted, by all workers together."""
    metrics = request.app[METRICS]
    return web.Response(body=metrics.text(), headers={hdrs.CONTENT_TYPE: metrics.content_type})


async def check_schema(app: web.Application) -> tuple[str, str, str]:
    """Look at the database, the migrations that it has had, and the queries on it.

    This is done when the service starts, so that the log tells at once what is wrong, and for each look at readiness.

    Returns:
        `database`, `migrations` and `queries`, as `ReadinessChecks` has them.
    """
    database, needed = app[DATABASE], app[MIGRATIONS]
    try:
        rows = await queries.list_applied_migrations(database)
        applied = {str(row["migration_id"]): Applied() for row in rows}
        standings = compare(needed, applied)
        if not all(standing.is_applied for standing in standings):
            return "ok", "behind", "unknown"
        unsuitable = await app[PREPARATION].unsuitable(database, frozenset(applied))
    except asyncpg.UndefinedTableError:
        return "ok", "behind", "unknown"
    except asyncpg.InsufficientPrivilegeError as error:
        log.warning("migrations cannot be read", detail=str(error))
        return "ok", "unknown", "unknown"
    except Exception as error:
        if not _is_down(error):
            raise
        return "unavailable", "unknown", "unknown"
    # All that this release has is applied, so any other state is that of a migration that it does not know.
    return (
        "ok",
        "ok" if all(one.state is State.APPLIED for one in standings) else "ahead",
        ", ".join(unsuitable) or "ok",
    )


def _is_down(error: Exception) -> bool:
    return isinstance(error, Overloaded) or is_unavailable(error)
