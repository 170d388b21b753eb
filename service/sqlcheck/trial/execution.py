"""Running a statement with its examples: the plan that PostgreSQL makes of it, and the rows that it finds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from marshmallow import ValidationError
from psycopg.sql import SQL, Composed, Identifier, Literal

from service.migrate.errors import reason
from service.schemas.labels import ContractError, Source
from service.sqlcheck.reading.sources import sources
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.trial.scratch import Connection

PlanNode: TypeAlias = dict[str, Any]
"""A node of a plan, as EXPLAIN (FORMAT JSON) writes it; the nodes below it are its `Plans`."""

_NAME = Identifier("checked")
_SETTINGS = {
    # The service's statements are prepared, and in the end planned for no arguments in particular.
    "plan_cache_mode": "force_generic_plan",
    # Without an index that it needs, a statement may take longer than anybody waits.
    "statement_timeout": "30s",
}


class ExampleError(Exception):
    """A parameter has no example; the message says of which, and what to do."""


@contextmanager
def rolled_back(connection: Connection) -> Iterator[None]:
    """Undo at the end of the block whatever was done in it; blocks may be nested."""
    with connection.transaction(force_rollback=True):
        yield


def explain(connection: Connection, statement: Statement, *, analyse: bool = False) -> PlanNode:
    """Return the generic plan of a statement, as EXPLAIN (FORMAT JSON) tells it.

    Args:
        connection: in a transaction that is rolled back, if the statement is to run.
        statement: the statement.
        analyse: whether to run it with its examples, and so learn how many rows went where.

    Raises:
        ExampleError: it is to run, and a parameter has no example.
        psycopg.Error: it cannot be planned, or fails.
    """
    # A generic plan is the same for all arguments.
    arguments = _examples(statement) if analyse else [None] * len(statement.parameters)
    options = SQL("ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON" if analyse else "COSTS OFF, FORMAT JSON")
    with _prepared(connection, statement):
        [([explained],)] = connection.execute(SQL("EXPLAIN ({}) {}").format(options, _call(arguments))).fetchall()
    plan: PlanNode = explained["Plan"]
    return plan


def run(connection: Connection, statement: Statement) -> tuple[int, object]:
    """Run a statement with its examples.

    Args:
        connection: in a transaction that is rolled back.
        statement: the statement.

    Returns:
        How many rows it returned or changed, and the first value of the first that it returned.

    Raises:
        ExampleError: a parameter has no example.
        psycopg.Error: it cannot be planned, or fails.
    """
    arguments = _examples(statement)
    with _prepared(connection, statement):
        cursor = connection.execute(_call(arguments))
        row = cursor.fetchone() if cursor.description else None
    return cursor.rowcount, row[0] if row else None


@contextmanager
def _prepared(connection: Connection, statement: Statement) -> Iterator[None]:
    # `SQL` wants to see a literal, so that nothing of a caller's gets in; this is the text of a file.
    connection.execute(SQL("PREPARE {} AS {}").format(_NAME, SQL(statement.sql)))
    try:
        # After an error nothing can be done but to roll back, which does not undo PREPARE.
        with connection.transaction():
            for setting, value in _SETTINGS.items():
                connection.execute(SQL("SET LOCAL {} = {}").format(Identifier(setting), Literal(value)))
            yield
    finally:
        connection.execute(SQL("DEALLOCATE {}").format(_NAME))


def _call(arguments: Sequence[object]) -> Composed:
    if not arguments:
        return SQL("EXECUTE {}").format(_NAME)
    return SQL("EXECUTE {}({})").format(_NAME, SQL(", ").join(map(Literal, arguments)))


def _examples(statement: Statement) -> list[object]:
    found = sources(statement)
    examples = []
    for parameter in statement.parameters:
        if parameter not in found:
            raise ExampleError(f"nothing feeds :{parameter}; name its schema under `Takes:`")
        try:
            examples.append(example := found[parameter].example)
            Literal(example).as_bytes()  # half of a surrogate pair cannot be sent, nor a list with one
        except Exception as error:  # the field is the project's, and may raise anything
            raise ExampleError(f":{parameter} has no example; {_remedy(found[parameter], error)}") from error
    return examples


def _remedy(source: Source, error: Exception) -> str:
    if isinstance(error, ContractError):
        return str(error)
    if isinstance(error, ValidationError | ValueError):
        return f"give {source.name} one that it accepts"
    return f"{source.name} fails with the one that it has: {type(error).__name__}: {reason(error)}"
