"""Purging: what has expired is removed, by every process now and then and by `python -m service purge`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import uniform
from typing import Any

import structlog

from service.background import in_background
from service.database.pool import Database
from service.database.queries import Executor, queries

log = structlog.get_logger()

_BATCH_SIZE = 1000  # small, so that its locks are soon let go
_INTERVAL_SECONDS = 600.0


def purges() -> dict[str, Any]:
    """Return the query that purges each table, in the order in which they run."""
    return {
        "idempotency_records": queries.purge_idempotency_records,
        "login_failures": queries.purge_login_failures,
        "revocations": queries.purge_revocations,
        # Before the sessions, each of which takes what is left of its own along, in one statement.
        "spent_refresh_tokens": queries.purge_spent_refresh_tokens,
        "sessions": queries.purge_sessions,
    }


async def purge(executor: Executor) -> dict[str, int]:
    """Remove what has expired, in batches of a transaction each.

    Returns:
        How many rows of each table were removed.
    """
    statements = purges()
    removed = dict.fromkeys(statements, 0)
    for table, purge_batch in statements.items():
        count = _BATCH_SIZE
        while count == _BATCH_SIZE:
            count = await purge_batch(executor, batch_size=_BATCH_SIZE)
            removed[table] += count
    return removed


@asynccontextmanager
async def purging(database: Database) -> AsyncIterator[None]:
    """Purge every ten minutes or so, while the block runs."""
    async with in_background(_purge_again_and_again(database)):
        yield


async def _purge_again_and_again(database: Database) -> None:
    while True:
        # Processes that were started together shall not purge together.
        await asyncio.sleep(_INTERVAL_SECONDS * uniform(0.5, 1.5))  # noqa: S311 -- it guards nothing
        try:
            removed = await purge(database)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next time it may be over
            log.warning("purging failed", error=type(error).__name__, detail=str(error))
        else:
            log.info("purged", **removed)
