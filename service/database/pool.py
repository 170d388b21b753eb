"""The pool of connections that requests share: every wait in it is bounded, and no session state is kept in it."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Self, TypeAlias

import asyncpg
import structlog

from service.database.errors import DatabaseUnusable, Overloaded, is_unavailable
from service.database.queries import queries
from service.dsn import Dsn
from service.settings import Settings

log = structlog.get_logger()

# A connection that lay idle for longer is tried by a query before it is lent, since it may have died unnoticed. One in
# steady use is spared that round trip; and where the kernel knows that a connection is closed, nothing need be sent.
_TRUSTED_IDLE_SECONDS = 30.0
_CLOSE_SECONDS = 4.0
_RELEASE_SECONDS = 1.0
PLANNING = {
    "enable_bitmapscan": "off",  # it reads every row that matches; an index in the order of the list reads one page
    "jit": "off",  # a statement here takes less time to run than to compile
}
"""The planner's settings for every statement, here and where plans are checked (ADR 0018)."""

_TAG = re.compile(r"/\* (\w+) \*/")


class _Connection(asyncpg.Connection):
    """A connection that remembers its age, and that needs no reset since nothing here outlives a transaction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- asyncpg's own, passed through
        super().__init__(*args, **kwargs)
        self.opened_at = self.used_at = monotonic()

    def get_reset_query(self) -> str:
        """Return nothing to reset by: the stock query would be one more round trip for each request (ADR 0003)."""
        return ""

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- asyncpg's signature
        """Remember when the connection went back to the pool, which calls this."""
        self.used_at = monotonic()
        await super().reset(timeout=timeout)


# What the pool lends is a proxy of a `_Connection`, which asyncpg's types cannot say.
Connection: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The number of connections, in the terms of `/health/pool`.

    Attributes:
        size: those that are kept, POOL_SIZE.
        checked_in: those that are idle.
        checked_out: those in use.
        overflow: those beyond `size`.
        total: all of them.
    """

    size: int
    checked_in: int
    checked_out: int
    overflow: int
    total: int


class Database:
    """The pool: an executor for single statements, and a lender of connections for transactions.

    Every method may raise what `service.database.errors` explains: `Overloaded` when no connection came free in
    POOL_TIMEOUT, and asyncpg's exceptions.
    """

    def __init__(self, dsn: Dsn, pool: asyncpg.Pool, settings: Settings) -> None:
        self.dsn = dsn
        self._pool = pool
        self._size = settings.pool_size
        self._timeout = settings.pool_timeout
        self._recycle = settings.pool_recycle

    @classmethod
    async def connect(cls, dsn: Dsn, settings: Settings) -> Self:
        """Open the pool and its POOL_SIZE connections.

        Raises:
            DatabaseUnusable: it cannot be reached, or refuses.
        """
        server_settings = {"application_name": "task-service"}
        if not dsn.is_pooled:
            # PgBouncer in transaction mode takes no other start-up parameter; command_timeout below still holds there.
            milliseconds = str(round(settings.statement_timeout * 1000))
            server_settings |= {
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": milliseconds,
                # Statements that follow a lock rely on it: they see what was committed until they had it.
                "default_transaction_isolation": "read committed",
                "timezone": "UTC",
                **PLANNING,
            }
        pool = asyncpg.create_pool(
            dsn.asyncpg_url,
            connection_class=_Connection,
            min_size=settings.pool_size,
            max_size=settings.pool_size + settings.pool_max_overflow,
            timeout=settings.db_connect_timeout,
            # The server's own timeout speaks first; this one is for a server that no longer speaks.
            command_timeout=settings.statement_timeout + 1,
            statement_cache_size=0 if dsn.is_pooled else 256,
            server_settings=server_settings,
            init=_log_statements if settings.debug else None,
        )
        with _usable(dsn):
            await pool
        return cls(dsn, pool, settings)

    @classmethod
    @asynccontextmanager
    async def of_one(cls, dsn: Dsn, settings: Settings) -> AsyncIterator[Self]:
        """Lend a pool of one connection, for a command that asks little and ends.

        Raises:
            DatabaseUnusable: it cannot be reached, or what the block asked of it failed.
        """
        # No log of statements: what a command prints is what it was asked for.
        database = await cls.connect(dsn, replace(settings, pool_size=1, pool_max_overflow=0, debug=False))
        try:
            with _usable(dsn):
                yield database
        finally:
            await database.close()

    async def close(self) -> None:
        """Close every connection, gracefully for some seconds and then at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._pool.close()
        self._pool.terminate()

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Return every row of one statement."""
        async with self.connection() as connection:
            records: list[asyncpg.Record] = await connection.fetch(query, *args)
            return records

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        """Return the first row of one statement, None where there is none."""
        async with self.connection() as connection:
            record: asyncpg.Record | None = await connection.fetchrow(query, *args)
            return record

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401 -- whatever the column holds
        """Return the first value of one statement, None where there is no row."""
        async with self.connection() as connection:
            return await connection.fetchval(query, *args)

    def connection(self) -> "_Loan":
        """Lend a connection, for the length of an `async with` block."""
        return _Loan(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection with a transaction around what is done with it."""
        async with self.connection() as connection, connection.transaction():
            try:
                yield connection
            except TimeoutError:
                # A server that says nothing any more would keep a ROLLBACK waiting for as long again.
                connection.terminate()
                raise

    async def acquire(self) -> Connection:
        """Take a connection that is neither too old nor dead, within POOL_TIMEOUT, to be given back by `release`."""
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    connection = await self._pool.acquire()
                    if await self._is_good(connection):
                        return connection
        except TimeoutError:
            if self._pool.get_size() - self._pool.get_idle_size() < self._pool.get_max_size():
                raise  # Not for want of a connection: the database does not answer.
            raise Overloaded from None

    async def release(self, connection: Connection, error: BaseException | None) -> None:
        """Give a connection back, with the error that its use ended in, or None."""
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            # After a failover these connections lead to what is now a replica.
            await self._pool.expire_connections()
        # After an error asyncpg may have a statement to cancel, and a frozen server would keep it waiting.
        await self._pool.release(connection, timeout=_RELEASE_SECONDS if error else None)

    def status(self) -> PoolStatus:
        """Count the connections."""
        total, idle = self._pool.get_size(), self._pool.get_idle_size()
        return PoolStatus(
            size=self._size,
            checked_in=idle,
            checked_out=total - idle,
            overflow=max(0, total - self._size),
            total=total,
        )

    async def _is_good(self, connection: Connection) -> bool:
        """Tell whether a connection can be used; one that cannot has left the pool."""
        now = monotonic()
        if now - connection.opened_at > self._recycle:
            await connection.close()
            return False
        if now - connection.used_at > _TRUSTED_IDLE_SECONDS:
            try:
                await queries.get_server_version(connection)
            except BaseException as error:
                connection.terminate()
                if is_unavailable(error):
                    return False
                raise
        return True


class _Loan:
    """A connection lent for the length of a block: a class and no generator, since every statement comes this way."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection = None

    async def __aenter__(self) -> Connection:
        self._connection = await self._database.acquire()
        return self._connection

    async def __aexit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        await self._database.release(self._connection, error)


@contextmanager
def _usable(dsn: Dsn) -> Iterator[None]:
    """Turn an error of the database in this block into a `DatabaseUnusable` of one line."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DatabaseUnusable(f"The database at {dsn} cannot be used: {reason}") from None


async def _log_statements(connection: asyncpg.Connection) -> None:
    """Log each statement by its name and time, never by its arguments."""

    def log_statement(record: asyncpg.connection.LoggedQuery) -> None:
        tag = _TAG.search(record.query)
        log.info("statement", name=tag[1] if tag else "session", ms=round(record.elapsed * 1000, 2))

    connection.add_query_logger(log_statement)
