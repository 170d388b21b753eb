"""Indexes that are made and dropped CONCURRENTLY: outside of a transaction, and repeatable all the same.

A run that is killed on the way leaves an index that is invalid, or one that is whole but not noted. So what is begun is
noted before, and the next run tells from that, and from the index, where to go on.
"""

import re
from typing import Final, NamedTuple

import psycopg
import sqlparse

from service.migrate.errors import MigrationError
from service.migrate.session import catalog

_CREATE: Final = re.compile(
    r"CREATE\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?P<unless>IF\s+NOT\s+EXISTS\s+)?(?P<name>[a-z_][a-z0-9_]*)"
    r"\s+ON\s+(ONLY\s+)?(?P<table>[^\s(]+)",
    re.IGNORECASE,
)
_DROP: Final = re.compile(
    r"DROP\s+INDEX\s+CONCURRENTLY\s+(?P<if>IF\s+EXISTS\s+)?(?P<name>[a-z_][a-z0-9_]*)\s*;?\s*$", re.IGNORECASE
)


class IndexChange(NamedTuple):
    """The index that one file makes or drops.

    Attributes:
        index_name: its name.
        table_name: the name of its table, as the file writes it; None where the index is not made, but dropped.
    """

    index_name: str
    table_name: str | None


def read_index_change(id_: str, text: str) -> IndexChange:
    """Read which index a file that is not transactional makes or drops.

    Raises:
        MigrationError: it is not one statement, or not one that can be repeated after it was cut off.
    """
    statements = [
        said for said in map(str.strip, sqlparse.split(sqlparse.format(text, strip_comments=True))) if said.strip(";")
    ]
    if len(statements) != 1:
        raise MigrationError(f"{id_} is not transactional and has {len(statements)} statements: have one in each file.")
    if create := _CREATE.match(statements[0]):
        if create["unless"]:
            raise MigrationError(
                f"{id_} says IF NOT EXISTS, which takes the invalid index of a run that failed for a good one: leave it"
                " out, since such an index is dropped before."
            )
        return IndexChange(create["name"].lower(), create["table"])
    drop = _DROP.match(statements[0])
    if drop and drop["if"]:
        return IndexChange(drop["name"].lower(), None)
    raise MigrationError(
        f"{id_} is not transactional, but neither CREATE INDEX CONCURRENTLY name ON … nor DROP INDEX CONCURRENTLY IF"
        " EXISTS name: leave out `transactional: false`."
    )


def resume(connection: psycopg.Connection, id_: str, change: IndexChange, *, was_begun: bool) -> tuple[bool, str]:
    """Clear the way for the statement, unless it has been done.

    Args:
        connection: to the database, outside of a transaction.
        id_: the id of the migration.
        change: the index that it makes or drops.
        was_begun: whether a run has begun it as it is now, and was cut off before it could note the end.

    Returns:
        Whether the statement is still to be run, and what was repaired: a few words, or none.

    Raises:
        MigrationError: there is such an index, and no run has begun it.
    """
    if change.table_name is None:
        return True, ""
    found = catalog.get_index(connection, name=change.index_name, table_name=change.table_name)
    if not found:
        return True, ""
    is_valid, is_of_table, is_being_made, dropping = found
    if is_being_made:
        # By no run: its session would hold the lock on migrating.
        raise MigrationError(
            f"{id_} makes the index {change.index_name}, which somebody makes just now: wait for that."
        )
    if is_of_table and not is_valid:
        connection.execute(dropping)
        return True, f"dropped the invalid index {change.index_name}, which was left there"
    if is_of_table and was_begun:
        return False, f"the index {change.index_name} is there, from a run that could not note it"
    raise MigrationError(
        f"{id_} makes the index {change.index_name}, which is there already, and which no run of this file has begun:"
        f" rename one of them, or {dropping}."
    )
