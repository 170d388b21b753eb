"""Every migration of the service, whichever there are: the way up, the way back, and what is told of it.

`make sql` proves the rest. No migration, table or column is named here, so that the next one changes nothing.
"""

import shutil
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from service.dsn import Dsn
from service.migrate import runner
from service.migrate.files import read_migrations, write_checksums
from service.migrate.locks import manifest, mismatches
from service.migrate.measuring import measure
from service.migrate.snapshot import dump
from service.resources import resource_folder
from service.sqlcheck.project import read_project
from service.sqlcheck.trial.scratch import add_rows

MIGRATIONS = resource_folder("migrations")
TOP = MIGRATIONS.parent
MIGRATION_IDS = [migration.id for migration in read_migrations(MIGRATIONS)]


def test_docs_schema_is_what_the_migrations_make(template: Dsn, pg_dump: Path) -> None:
    assert dump(template, pg_dump) == (TOP / "docs" / "schema.sql").read_text(), "run `make schema`"


def test_the_manifests_are_what_is_measured_and_what_the_headers_say(empty_database: Dsn) -> None:
    measured = measure(empty_database, MIGRATIONS)
    migrations = read_migrations(MIGRATIONS)

    assert {migration.id: migration.locks_path.read_text() for migration in migrations} == {
        migration.id: manifest(migration, measured[migration.id]) for migration in migrations
    }
    assert {migration.id: list(mismatches(migration, measured[migration.id])) for migration in migrations} == {
        migration.id: [] for migration in migrations
    }


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Folders of the first migration, of the first two, and so on to all of them."""
    made = []
    for number, last in enumerate(MIGRATION_IDS, 1):
        made.append(tmp_path / last)
        made[-1].mkdir()
        for id_ in MIGRATION_IDS[:number]:
            for file in MIGRATIONS.glob(f"{id_}.*"):
                shutil.copy(file, made[-1])
        write_checksums(made[-1])
    return made


def test_each_migration_goes_up_down_and_up_with_rows_to_the_same_schema(
    empty_database: Dsn, pg_dump: Path, folders: list[Path]
) -> None:
    schemas = [dump(empty_database, pg_dump)]
    for folder in folders:
        assert runner.apply(empty_database, folder) == [folder.name]
        schemas.append(dump(empty_database, pg_dump))
    with psycopg.connect(empty_database.libpq_url) as connection:
        add_rows(read_project(TOP), connection)

    for folder, (before, after) in reversed(list(zip(folders, pairwise(schemas), strict=True))):
        assert runner.rollback(empty_database, folder, lose_data=True) == [folder.name]
        assert dump(empty_database, pg_dump) == before
        assert runner.apply(empty_database, folder) == [folder.name]
        assert dump(empty_database, pg_dump) == after
        # And on to the one before it, with the rows that are left.
        assert runner.rollback(empty_database, folder, lose_data=True) == [folder.name]
