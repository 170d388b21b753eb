"""The error that migrating raises, and the database's own errors turned into it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from yoyo.exceptions import LockTimeout

from service.migrate.files import MigrationError

__all__ = ["MigrationError", "explained", "one_line", "reason"]


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an error of the database in this block into a MigrationError that says `what` could not be done."""
    try:
        yield
    except (psycopg.Error, LockTimeout) as error:
        said = reason(error)
        raise MigrationError(f"{what}: {said if said.endswith('?') else said + '.'}") from error


def reason(error: BaseException) -> str:
    """Return PostgreSQL's own message, with no full stop after it.

    It is that of the first error, since rolling back on a lost connection raises another.
    """
    while isinstance(error.__context__, psycopg.Error):
        error = error.__context__
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return (primary or one_line(error)).rstrip(".")


def one_line(error: BaseException) -> str:
    """Return an error's message without its line breaks."""
    return " ".join(str(error).split())
