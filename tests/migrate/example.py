"""The migrations that the runner is tried on: those of the small product that the checks are tried on too.

It is frozen, so that no migration of the service changes what a test here finds.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from service.dsn import Dsn
from service.migrate.errors import MigrationError
from service.migrate.files import read_migrations, write_checksums

MIGRATIONS = Path(__file__).parents[1] / "sqlcheck" / "example" / "migrations"
IDS = [migration.id for migration in read_migrations(MIGRATIONS)]

Write = Callable[..., Path]

# What the tables that are there will take, so that a rollback meets rows.
_ROWS = {
    "members": "INSERT INTO members (email, password_hash) VALUES ('ann@example.org', 'x') ON CONFLICT DO NOTHING",
    "notes": "INSERT INTO notes (member_id, title, topic) SELECT id, 'Water the plants', 'archive' FROM members",
    "revisions": (
        "INSERT INTO revisions (member_id, note_id, number, body, expires_at)"
        " SELECT member_id, id, 1, 'As it was.', 'infinity' FROM notes ON CONFLICT DO NOTHING"
    ),
    "removals": "INSERT INTO removals (digest) VALUES (sha256('x')) ON CONFLICT DO NOTHING",
}


def add_rows(dsn: Dsn) -> None:
    """Add rows to each of the example's tables that is there."""
    for table, statement in _ROWS.items():
        if run_sql(dsn, f"SELECT to_regclass('{table}')") != [(None,)]:
            run_sql(dsn, statement)


def run_sql(dsn: Dsn, *statements: str) -> list[tuple[object, ...]]:
    """Run statements, each in a transaction of its own, and return the rows of the last."""
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def note_checksums(folder: Path) -> None:
    """Write what `make schema` would, where the folder can be read."""
    with suppress(MigrationError):
        write_checksums(folder)


def remove(folder: Path, id_: str) -> None:
    """Remove a migration, as if this release did not have it."""
    for file in folder.glob(f"{id_}.*"):
        file.unlink()
    note_checksums(folder)
