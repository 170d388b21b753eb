"""A check that the queries suit the schema: each is prepared, and its types are held against its comment's promises."""

import asyncio
from functools import cache
from typing import Final

import asyncpg
import structlog
from aiohttp import web

from service.database.errors import is_unavailable
from service.database.pool import Connection, Database
from service.database.queries import queries, read_queries
from service.database.query_files import Query
from service.resources import resource_folder
from service.schemas.promises import mismatches
from service.schemas.registry import Registry

log = structlog.get_logger()


class Preparation:
    """A check of every query, made once for each state of the schema; a state that suits them all is remembered."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._suited: frozenset[str] | None = None
        self._lock = asyncio.Lock()

    async def unsuitable(self, database: Database, applied: frozenset[str]) -> list[str]:
        """Return the names of the queries that cannot do what they promise; the log says why.

        Args:
            database: the pool.
            applied: the ids of the migrations that it has had. While they are the same, the answer "none" stands.

        Raises:
            Exception: whatever `Database` raises where it cannot be asked.
        """
        async with self._lock:
            if applied == self._suited:
                return []
            found = {}
            async with database.connection() as connection:
                for query in _queries():
                    if reasons := await _reasons(connection, query, self._registry):
                        found[query.name] = reasons
                # asyncpg leaves a statement that it only prepares unfinished, and its locks held, until the next one.
                await queries.get_server_version(connection)
            for name, reasons in found.items():
                log.error("query does not suit the schema", query=name, reasons=reasons)
            self._suited = None if found else applied
            return sorted(found)


async def _reasons(connection: Connection, query: Query, registry: Registry) -> list[str]:
    try:
        # A statement without a name is forgotten with the next one, and a pooler has no name to mix up.
        prepared = await connection.prepare(query.sql, name="")
    except asyncpg.PostgresError as error:
        if is_unavailable(error):
            raise
        return [str(error)]
    types = tuple(type_.name for type_ in prepared.get_parameters())
    columns = tuple((column.name, column.type.name) for column in prepared.get_attributes())
    return _mismatches(query, types, columns, registry)


@cache
def _mismatches(
    query: Query, types: tuple[str, ...], columns: tuple[tuple[str, str], ...], registry: Registry
) -> list[str]:
    parameters = list(zip(query.parameters, types, strict=True))
    return mismatches(query.about, query.operator, parameters, columns, registry)


@cache
def _queries() -> tuple[Query, ...]:
    return read_queries(resource_folder("sql"))


PREPARATION: Final = web.AppKey("preparation", Preparation)
