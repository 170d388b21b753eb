"""The cost of each named query in production, from PostgreSQL's pg_stat_statements.

Queries are told by their tags, as in `SELECT /* get_task */ …`. This runs where the service runs, without what the
checks need.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiosql
import psycopg

from service.database.queries import read_queries
from service.resources import resource_folder

_statements = aiosql.from_path(Path(__file__).with_name("statistics.sql"), "psycopg", mandatory_parameters=True)

# Of a normal distribution, 99 of 100 values are below its mean plus so many times its standard deviation.
_SIGMAS: Final = 2.33
_SPREAD: Final = (
    f"mean+{_SIGMAS}sd is what 99 of 100 calls would stay below if their times were normally distributed. They are not,"
    " and PostgreSQL keeps no percentiles: take it as a measure of the spread."
)
_TEXT_LENGTH: Final = 80
_MOST_OTHERS: Final = 20


class NotCounted(Exception):  # noqa: N818 -- it names a state that is reported
    """A database does not count its statements; the message is one line, and says what to do."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of one statement, whoever ran it.

    Attributes:
        statement: the name of the query; where it is none of ours, the statement, in one line.
        calls: how often it ran.
        plans: how often it was planned; 0 where pg_stat_statements.track_planning is off.
        total_ms: how long it ran altogether, in milliseconds.
        mean_ms: how long a call ran.
        stddev_ms: the standard deviation of `mean_ms`.
        mean_plus_2_33_stddev_ms: below which 99 of 100 calls would be if their times were normally distributed. They
            are not, and no percentiles are kept: it tells one spread from another.
        max_ms: how long the slowest call ran.
        rows: how many rows it gave or changed.
        blocks_hit: how many blocks it found in PostgreSQL's memory.
        blocks_read: how many it had to read.
    """

    statement: str
    calls: int
    plans: int
    total_ms: float
    mean_ms: float
    stddev_ms: float
    mean_plus_2_33_stddev_ms: float
    max_ms: float
    rows: int
    blocks_hit: int
    blocks_read: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The statistics of a database, by its pg_stat_statements.

    Attributes:
        since: when it began to count.
        forgotten: how often it had to forget statements, since there were more than pg_stat_statements.max.
        hidden: how many calls were of statements whose text this user may not see.
        queries: the cost of the named queries, the costliest first.
        never_called: the named queries that nobody has called.
        others: the statements that no file holds, the costliest first.
    """

    since: datetime
    forgotten: int
    hidden: int
    queries: list[Usage]
    never_called: list[str]
    others: list[Usage]


def read_stats(connection: psycopg.Connection[Any]) -> Stats:
    """Read what has been counted of a database.

    Args:
        connection: to the database, as a user who may see what others run (a member of pg_read_all_stats), or as the
            one whom the service runs as.

    Raises:
        NotCounted: it does not count, and what to do.
    """
    with connection.transaction():
        if _statements.look_in_its_schema(connection) is None:
            raise NotCounted(
                "This database does not count its statements: add pg_stat_statements to shared_preload_libraries,"
                " restart PostgreSQL, and have an administrator run CREATE EXTENSION pg_stat_statements in it."
            )
        try:
            rows = list(_statements.list_statements(connection))
            since, forgotten = _statements.get_extent(connection)
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            raise NotCounted(
                "PostgreSQL does not count statements: add pg_stat_statements to shared_preload_libraries,"
                " and restart it."
            ) from error
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
            raise NotCounted(
                "The extension pg_stat_statements is of an older PostgreSQL:"
                " have an administrator run ALTER EXTENSION pg_stat_statements UPDATE."
            ) from error
    names = {query.name for query in read_queries(resource_folder("sql"))}
    named = [_usage(name, *figures) for name, _, *figures in rows if name in names]
    return Stats(
        since=since,
        forgotten=forgotten,
        hidden=sum(calls for name, text, calls, *_ in rows if not name and text is None),
        queries=named,
        never_called=sorted(names - {usage.statement for usage in named}),
        others=[_usage(_one_line(text), *figures) for name, text, *figures in rows if text and name not in names],
    )


def report(stats: Stats) -> str:
    """Write the figures as tables, for people."""
    parts = [f"Since {stats.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC. Times are in milliseconds."]
    if stats.queries:
        parts += [_table("query", stats.queries), _SPREAD]
    if stats.never_called:
        parts.append("Never called: " + ", ".join(stats.never_called) + ".")
    if stats.others:
        parts.append("No file of sql/ holds these:\n" + _table("statement", stats.others[:_MOST_OTHERS]))
        if len(stats.others) > _MOST_OTHERS:
            parts.append(f"and {len(stats.others) - _MOST_OTHERS} that cost less.")
    if stats.hidden:
        parts.append(
            f"{stats.hidden} calls were of other users, whose statements are hidden from this one and missing above:"
            " connect as a member of pg_read_all_stats."
        )
    if stats.forgotten:
        parts.append(
            f"Statements were forgotten {stats.forgotten} times, so some figures are too low:"
            " raise pg_stat_statements.max."
        )
    return "\n\n".join(parts)


def _usage(statement: str, calls: int, plans: int, *figures: Any) -> Usage:  # noqa: ANN401 -- a row's
    total, mean, stddev, slowest, rows, hit, read = figures
    return Usage(statement, calls, plans, total, mean, stddev, mean + _SIGMAS * stddev, slowest, rows, hit, read)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_LENGTH else line[: _TEXT_LENGTH - 1] + "…"


_COLUMNS: Final[dict[str, Callable[[Usage], str]]] = {
    "calls": lambda usage: str(usage.calls),
    "plans": lambda usage: str(usage.plans),
    "total": lambda usage: f"{usage.total_ms:.1f}",
    "mean": lambda usage: f"{usage.mean_ms:.3f}",
    f"mean+{_SIGMAS}sd": lambda usage: f"{usage.mean_plus_2_33_stddev_ms:.3f}",
    "max": lambda usage: f"{usage.max_ms:.3f}",
    "rows": lambda usage: str(usage.rows),
    "blocks hit": lambda usage: str(usage.blocks_hit),
    "read": lambda usage: str(usage.blocks_read),
}


def _table(title: str, usages: Iterable[Usage]) -> str:
    """Write a line for each usage: the figures, aligned to the right, then the statement, which may be long."""
    usages = list(usages)
    columns = {name: show for name, show in _COLUMNS.items() if name != "plans" or any(one.plans for one in usages)}
    lines = [[*columns, title], *([*(show(one) for show in columns.values()), one.statement] for one in usages)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(
        "  ".join([*(cell.rjust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]) for line in lines
    )
