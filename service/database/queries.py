"""The named queries of `sql/`: loaded once, checked, and run through an aiosql adapter of our own.

`await queries.get_task(database, user_id=…, id=…)` gives a record or None where the query is marked `^`, a list of
records where it is not marked, one value where it is marked `$`. The first argument is a `Database`, which lends a
connection for the one statement, or a connection that is held already.
"""

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from aiosql.adapters.asyncpg import AsyncPGAdapter
from aiosql.queries import Queries
from aiosql.query_loader import QueryLoader
from aiosql.types import QueryDatum, SQLOperationType

from service.resources import resource_folder

_OPERATORS = {SQLOperationType.SELECT: "", SQLOperationType.SELECT_ONE: "^", SQLOperationType.SELECT_VALUE: "$"}


class QueryError(Exception):
    """A file of `sql/` breaks a rule of the loader; the message begins with file:line and the query's name."""


class Executor(Protocol):
    """What a query runs on: `service.database.pool.Database`, or a connection."""

    def fetch(self, query: str, *args: object) -> Coroutine[Any, Any, list[asyncpg.Record]]:
        """Return every row."""

    def fetchrow(self, query: str, *args: object) -> Coroutine[Any, Any, asyncpg.Record | None]:
        """Return the first row, None where there is none."""

    def fetchval(self, query: str, *args: object) -> Coroutine[Any, Any, Any]:
        """Return the first column of the first row, None where there is none."""


class Adapter(AsyncPGAdapter):
    """Run queries on asyncpg: a tenth of the stock adapter's cost a call, and no parameter too many or too few."""

    # aiosql makes an async generator of a list query for an asynchronous driver; a "synchronous" one just gets what the
    # methods below return, and that is an awaitable list.
    is_aio_driver = False

    def process_sql(self, query_name: str, op_type: SQLOperationType, sql: str) -> str:
        """Turn `:name` into `$1`, and tag the statement so that whatever shows it shows its name.

        The name comes behind the first word: PostgreSQL 18's pg_stat_statements drops a comment that comes before it.
        """
        numbered: str = super().process_sql(query_name, op_type, sql)  # type: ignore[no-untyped-call]  # aiosql's own
        first_word, rest = numbered.split(maxsplit=1)
        return f"{first_word} /* {query_name} */ {rest}"

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


@dataclass(frozen=True, slots=True)
class Query:
    """A query, as its file has it.

    Attributes:
        name: its name.
        operator: `^` one row or none, `$` one value, nothing a list.
        declared: its parameters as they stand behind the name.
        parameters: the same in the order of their numbers: `:user_id` is `$1` where it comes first.
        sql: what runs.
        about: the comment.
        file, line: where its name stands.
    """

    name: str
    operator: str
    declared: tuple[str, ...]
    parameters: tuple[str, ...]
    sql: str
    about: str
    file: Path
    line: int


def read_queries(folder: Path) -> tuple[Query, ...]:
    """Read every query of a folder, in the order of the files and of the lines.

    Raises:
        QueryError: two queries have one name, or a query is marked with an operator that is not in use here.
        aiosql.SQLParseException: a file cannot be read as named queries.
    """
    adapter, found = _read(folder)
    return tuple(
        Query(
            name=one.query_name,
            operator=_OPERATORS[one.operation_type],
            declared=tuple(one.parameters or ()),
            parameters=tuple(adapter.var_sorted[one.query_name]),
            sql=one.sql,
            about=one.doc_comments,
            file=Path(one.floc[0]),
            line=one.floc[1],
        )
        for one in found
    )


def load_queries(folder: Path) -> Any:  # noqa: ANN401 -- aiosql makes the attributes at run time
    """Load every query of a folder.

    Returns:
        An object with one method a query, called as the module's docstring says.

    Raises:
        QueryError, aiosql.SQLParseException: as `read_queries` does.
    """
    adapter, found = _read(folder)
    return Queries(adapter).load_from_list(found)


def _read(folder: Path) -> tuple[Any, list[QueryDatum]]:
    adapter: Any = Adapter()  # type: ignore[no-untyped-call]  # its methods return awaitables, which the types of aiosql cannot say
    loader = QueryLoader(adapter, record_classes=None)
    found: dict[str, QueryDatum] = {}
    for file in sorted(folder.glob("*.sql")):
        for query in loader.load_query_data_from_file(file, encoding="utf-8"):
            place = f"{file.name}:{query.floc[1]} {query.query_name}"
            if query.query_name in found:
                other, line = found[query.query_name].floc
                raise QueryError(f"{place}: the name is taken by {Path(other).name}:{line}.")
            if query.operation_type not in _OPERATORS:
                raise QueryError(f"{place}: only ^ (one row), $ (one value) and no operator (a list) are in use here.")
            found[query.query_name] = query
    return adapter, list(found.values())


queries = load_queries(resource_folder("sql"))
