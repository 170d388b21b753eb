"""The named queries of `sql/`: loaded once, when the first is asked for, and run through an aiosql adapter of our own.

`await queries.get_task(database, user_id=…, id=…)` gives a record or None where the query is marked `^`, a list of
records where it is not marked, one value where it is marked `$`. The first argument is a `Database`, which lends a
connection for the one statement, or a connection that is held already.
"""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from aiosql.adapters.asyncpg import AsyncPGAdapter
from aiosql.queries import Queries
from aiosql.types import SQLOperationType

from service.database.query_files import OPERATORS, Query, QueryError, read_files
from service.resources import resource_folder


class Executor(Protocol):
    """An executor of queries: `service.database.pool.Database`, or a connection."""

    def fetch(self, query: str, *args: object) -> Coroutine[Any, Any, list[asyncpg.Record]]:
        """Return every row."""

    def fetchrow(self, query: str, *args: object) -> Coroutine[Any, Any, asyncpg.Record | None]:
        """Return the first row, None where there is none."""

    def fetchval(self, query: str, *args: object) -> Coroutine[Any, Any, Any]:
        """Return the first column of the first row, None where there is none."""


class Adapter(AsyncPGAdapter):
    """The adapter of aiosql to asyncpg (ADR 0001): it returns lists, and refuses a parameter too many or too few."""

    # aiosql makes an async generator of a list query for an asynchronous driver; a "synchronous" one just gets what the
    # methods below return, and that is an awaitable list.
    is_aio_driver = False

    def process_sql(self, query_name: str, op_type: SQLOperationType, sql: str) -> str:
        """Turn `:name` into `$1`, and tag the statement with its name, so that logs and statistics show it.

        The name comes behind the first word: PostgreSQL 18's pg_stat_statements drops a comment that comes before it.
        """
        numbered: str = super().process_sql(query_name, op_type, sql)  # type: ignore[no-untyped-call]  # aiosql's own
        first_word, *rest = numbered.split(maxsplit=1)
        return " ".join((first_word, f"/* {query_name} */", *rest))

    def select(
        self, conn: Executor, query_name: str, sql: str, parameters: dict[str, object], _record_class: None = None
    ) -> Coroutine[Any, Any, list[asyncpg.Record]]:
        """Run a list query."""
        return conn.fetch(sql, *self._arguments(query_name, parameters))

    def select_one(
        self, conn: Executor, query_name: str, sql: str, parameters: dict[str, object], _record_class: None = None
    ) -> Coroutine[Any, Any, asyncpg.Record | None]:
        """Run a `^` query."""
        return conn.fetchrow(sql, *self._arguments(query_name, parameters))

    def select_value(
        self, conn: Executor, query_name: str, sql: str, parameters: dict[str, object]
    ) -> Coroutine[Any, Any, Any]:
        """Run a `$` query."""
        return conn.fetchval(sql, *self._arguments(query_name, parameters))

    def _arguments(self, query_name: str, parameters: dict[str, object]) -> list[object]:
        names = self.var_sorted[query_name]
        if len(parameters) != len(names):
            raise TypeError(f"{query_name}() takes {', '.join(names)}; it was given {', '.join(parameters)}.")
        return [parameters[name] for name in names]


def read_queries(folder: Path) -> tuple[Query, ...]:
    """Read every query of a folder, in the order of the files and of the lines.

    Raises:
        QueryError: a file cannot be read as named queries; it has every mistake.
    """
    adapter: Any = Adapter()  # type: ignore[no-untyped-call]  # its methods return awaitables, which the types of aiosql cannot say
    found, mistakes = read_files(folder, adapter)
    read = tuple(
        Query(
            name=one.query_name,
            operator=OPERATORS[one.operation_type],
            declared=tuple(one.parameters or ()),
            parameters=tuple(adapter.var_sorted[one.query_name]),
            sql=one.sql,
            about=one.doc_comments,
            file=Path(one.floc[0]),
            line=one.floc[1],
        )
        for one in found
    )
    if mistakes:
        raise QueryError(mistakes, read)
    return read


def load_queries(folder: Path) -> Any:  # noqa: ANN401 -- aiosql makes the attributes at run time
    """Load every query of a folder.

    Returns:
        An object with one method a query, called as the module's docstring says.

    Raises:
        QueryError: as `read_queries` does.
    """
    adapter: Any = Adapter()  # type: ignore[no-untyped-call]  # as above
    found, mistakes = read_files(folder, adapter)
    if mistakes:
        raise QueryError(mistakes)
    return Queries(adapter).load_from_list(found)


class _LoadedOnDemand:
    """The queries of a folder, which are loaded when the first of them is asked for.

    So a command that runs none does without them, and one that does can say in a line what is wrong with a file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- as aiosql makes it
        # Asked only for what is not there yet: from then on a query is an attribute like any other.
        if name.startswith("__"):
            raise AttributeError(name)
        loaded = load_queries(self._folder)
        self.__dict__.update({query: getattr(loaded, query) for query in loaded.available_queries})
        self.__dict__["available_queries"] = loaded.available_queries
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"There is no query {name} in {self._folder}.") from None


queries: Any = _LoadedOnDemand(resource_folder("sql"))
"""The queries of the service."""


def load() -> None:
    """Load the queries of the service now, for what will run some.

    Raises:
        QueryError: a file of them cannot be loaded.
    """
    queries.available_queries  # noqa: B018 -- to ask for it loads them
