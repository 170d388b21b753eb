"""The two files of a new migration, to be filled in."""

import re
from pathlib import Path

from service.migrate.errors import MigrationError
from service.migrate.files import read_migrations

_WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_LAST_NUMBER = 9999
_UP = """\
-- depends: {depends}
{directive}-- Purpose:
-- Locks: none on existing tables.
-- Order: before the code that reads it.

"""
_DOWN = """\
-- Loses: nothing.

"""


def draft(folder: Path, words: str, *, transactional: bool = True) -> list[Path]:
    """Write the files of the next migration, with the header that each must have, and return where they are.

    Args:
        folder: where the migrations are.
        words: what it does, a verb first: `add-task-due-at`.
        transactional: False for an index that is made or dropped CONCURRENTLY.

    Raises:
        MigrationError: the words are not such, the folder cannot be read, or there is no number left.
    """
    if not _WORDS.fullmatch(words):
        raise MigrationError(f"{words} does not name a migration: lower-case words with hyphens between, a verb first.")
    migrations = read_migrations(folder, check=False)
    number = max((migration.number for migration in migrations), default=0) + 1
    if number > _LAST_NUMBER:
        raise MigrationError(f"There is no number left after {_LAST_NUMBER}.")
    up = folder / f"{number:04}.{words}.sql"
    down = up.with_suffix(".rollback.sql")
    directive = "" if transactional else "-- transactional: false\n"
    try:
        for path, text in (
            (up, _UP.format(depends=migrations[-1].id if migrations else "", directive=directive)),
            (down, _DOWN),
        ):
            with path.open("x", encoding="utf-8") as file:
                file.write(text.replace(": \n", ":\n"))
    except OSError as error:
        raise MigrationError(f"Cannot write {path}: {error.strerror}.") from error
    return [up, down]
