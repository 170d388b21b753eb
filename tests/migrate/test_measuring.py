from pathlib import Path
from typing import NamedTuple

import pytest

from service.dsn import Dsn
from service.migrate.errors import MigrationError
from service.migrate.files import read_migrations
from service.migrate.locks import manifest, read
from service.migrate.measuring import measure
from tests.migrate.example import run_sql
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

CONCURRENTLY = "-- transactional: false\n"


class Case(NamedTuple):
    """A migration, and what its manifest says below the first line."""

    id: str
    up: str
    down: str
    manifest: str


LIMITED = """
DO $$
BEGIN
    ASSERT current_setting('statement_timeout') = '1min';
END;
$$;
"""
CASES = (
    Case(
        "0001.create-tables",
        """
        CREATE TABLE users (id uuid PRIMARY KEY);
        CREATE TABLE tasks (id uuid PRIMARY KEY, user_id uuid, title text, position integer, number serial);
        CREATE INDEX tasks_title_idx ON tasks (title);
        CREATE VIEW titles AS SELECT title FROM tasks;
        CREATE MATERIALIZED VIEW longest AS SELECT title FROM tasks WITH NO DATA;
        CREATE INDEX longest_title_idx ON longest (title);
        CREATE SCHEMA archive;
        CREATE TABLE archive.tasks (id uuid);
        CREATE TABLE "many  words" (id uuid);
        """,
        'DROP TABLE archive.tasks, "many  words", tasks, users CASCADE; DROP SCHEMA archive;',
        """
        apply     nothing
        rollback  ACCESS EXCLUSIVE        "many  words"
        rollback  ACCESS EXCLUSIVE        archive.tasks
        rollback  ACCESS EXCLUSIVE        longest
        rollback  ACCESS EXCLUSIVE        tasks
        rollback  ACCESS EXCLUSIVE        titles
        rollback  ACCESS EXCLUSIVE        users
        """,
    ),
    Case(
        "0002.add-column",
        "ALTER TABLE tasks ADD COLUMN due_at timestamptz;",
        "ALTER TABLE tasks DROP COLUMN due_at;",
        """
        apply     ACCESS EXCLUSIVE        tasks
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0003.add-column-with-a-constant",
        "ALTER TABLE tasks ADD COLUMN version bigint NOT NULL DEFAULT 1;",
        "ALTER TABLE tasks DROP COLUMN version;",
        """
        apply     ACCESS EXCLUSIVE        tasks
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0004.add-column-with-random-values",
        "ALTER TABLE tasks ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();",
        "ALTER TABLE tasks DROP COLUMN token;",
        """
        apply     ACCESS EXCLUSIVE        tasks  rewrites
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0005.change-type",
        "ALTER TABLE tasks ALTER COLUMN position TYPE bigint;",
        "ALTER TABLE tasks ALTER COLUMN position TYPE integer;",
        """
        apply     ACCESS EXCLUSIVE        tasks  rewrites
        rollback  ACCESS EXCLUSIVE        tasks  rewrites
        """,
    ),
    Case(
        "0006.add-foreign-key",
        "ALTER TABLE tasks ADD CONSTRAINT tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id);",
        "ALTER TABLE tasks DROP CONSTRAINT tasks_user_id_fkey;",
        """
        apply     SHARE ROW EXCLUSIVE     tasks  scans
        apply     SHARE ROW EXCLUSIVE     users
        rollback  ACCESS EXCLUSIVE        tasks
        rollback  ACCESS EXCLUSIVE        users
        """,
    ),
    Case(
        "0007.add-check",
        "ALTER TABLE tasks ADD CONSTRAINT tasks_title_check CHECK (title <> '');",
        "ALTER TABLE tasks DROP CONSTRAINT tasks_title_check;",
        """
        apply     ACCESS EXCLUSIVE        tasks  scans
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0008.add-check-not-valid",
        "ALTER TABLE tasks ADD CONSTRAINT tasks_position_check CHECK (position > 0) NOT VALID;",
        "ALTER TABLE tasks DROP CONSTRAINT tasks_position_check;",
        """
        apply     ACCESS EXCLUSIVE        tasks
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0009.validate-check",
        "ALTER TABLE tasks VALIDATE CONSTRAINT tasks_position_check;",
        "-- There is nothing to undo.",
        """
        apply     SHARE UPDATE EXCLUSIVE  tasks  scans
        rollback  nothing
        """,
    ),
    Case(
        "0010.set-not-null",
        "ALTER TABLE tasks ALTER COLUMN title SET NOT NULL;",
        "ALTER TABLE tasks ALTER COLUMN title DROP NOT NULL;",
        """
        apply     ACCESS EXCLUSIVE        tasks  scans
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0011.create-index",
        "CREATE INDEX tasks_position_idx ON tasks (position);",
        "DROP INDEX tasks_position_idx;",
        """
        apply     SHARE                   tasks  scans
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0012.create-index-concurrently",
        CONCURRENTLY + "CREATE INDEX CONCURRENTLY tasks_user_id_idx ON tasks (user_id);",
        "DROP INDEX CONCURRENTLY IF EXISTS tasks_user_id_idx;",
        """
        apply     SHARE UPDATE EXCLUSIVE  tasks  scans
        rollback  SHARE UPDATE EXCLUSIVE  tasks
        """,
    ),
    Case(
        "0013.drop-index-concurrently",
        CONCURRENTLY + "DROP INDEX CONCURRENTLY IF EXISTS tasks_title_idx;",
        "CREATE INDEX CONCURRENTLY tasks_title_idx ON tasks (title);",
        """
        apply     SHARE UPDATE EXCLUSIVE  tasks
        rollback  SHARE UPDATE EXCLUSIVE  tasks  scans
        """,
    ),
    Case(
        "0014.drop-no-index",
        CONCURRENTLY + "DROP INDEX CONCURRENTLY IF EXISTS there_is_none;",
        "DROP INDEX CONCURRENTLY IF EXISTS there_is_none;",
        """
        apply     nothing
        rollback  nothing
        """,
    ),
    Case(
        "0015.drop-index-of-a-view-concurrently",
        CONCURRENTLY + "DROP INDEX CONCURRENTLY IF EXISTS longest_title_idx;",
        "CREATE INDEX CONCURRENTLY longest_title_idx ON longest (title);",
        """
        apply     SHARE UPDATE EXCLUSIVE  longest
        rollback  SHARE UPDATE EXCLUSIVE  longest  scans
        """,
    ),
    Case(
        "0016.rename-index",
        "ALTER INDEX tasks_user_id_idx RENAME TO tasks_owner_idx;",
        "ALTER INDEX tasks_owner_idx RENAME TO tasks_user_id_idx;",
        """
        apply     SHARE UPDATE EXCLUSIVE  tasks
        rollback  SHARE UPDATE EXCLUSIVE  tasks
        """,
    ),
    Case(
        "0017.rebuild-index",
        "REINDEX INDEX tasks_owner_idx;",
        "-- There is nothing to undo.",
        """
        apply     ACCESS EXCLUSIVE        tasks  scans
        rollback  nothing
        """,
    ),
    Case(
        "0018.restart-sequence",
        "ALTER SEQUENCE tasks_number_seq RESTART;",
        "-- There is nothing to undo.",
        """
        apply     SHARE ROW EXCLUSIVE     tasks
        rollback  nothing
        """,
    ),
    Case(
        "0019.comment-table",
        "COMMENT ON TABLE tasks IS 'What is to be done.';",
        "COMMENT ON TABLE tasks IS NULL;",
        """
        apply     SHARE UPDATE EXCLUSIVE  tasks
        rollback  SHARE UPDATE EXCLUSIVE  tasks
        """,
    ),
    Case(
        "0020.grant-select",
        "GRANT SELECT ON tasks, _yoyo_migration TO PUBLIC;",
        "REVOKE SELECT ON tasks, _yoyo_migration FROM PUBLIC;",
        """
        apply     nothing
        rollback  nothing
        """,
    ),
    Case(
        "0021.lock-what-belongs-to-the-runner",
        LIMITED
        + "LOCK TABLE pg_class, information_schema.sql_features, yoyo_lock, _yoyo_migration IN ACCESS EXCLUSIVE MODE;",
        "CREATE TABLE short (id uuid PRIMARY KEY); ALTER TABLE short ADD COLUMN n integer; DROP TABLE short;",
        """
        apply     nothing
        rollback  nothing
        """,
    ),
    Case(
        "0022.fill-column",
        "UPDATE tasks SET due_at = now();",
        "UPDATE tasks SET due_at = NULL; SELECT FROM users FOR UPDATE;",
        """
        apply     ROW EXCLUSIVE           tasks
        rollback  ROW EXCLUSIVE           tasks
        rollback  ROW SHARE               users
        """,
    ),
    Case(
        "0023.index-and-fill",
        "CREATE INDEX tasks_due_at_idx ON tasks (due_at); UPDATE tasks SET due_at = now();",
        "DROP INDEX tasks_due_at_idx;",
        """
        apply     SHARE ROW EXCLUSIVE     tasks  scans
        rollback  ACCESS EXCLUSIVE        tasks
        """,
    ),
    Case(
        "0024.replace-view",
        "CREATE OR REPLACE VIEW titles AS SELECT title, 'new' AS state FROM tasks;",
        "DROP VIEW titles; CREATE VIEW titles AS SELECT title FROM tasks;",
        """
        apply     ACCESS EXCLUSIVE        titles
        rollback  ACCESS EXCLUSIVE        titles
        """,
    ),
    Case(
        "0025.rename-table",
        "SET search_path = archive; ALTER TABLE tasks RENAME TO old_tasks; SET ROLE pg_monitor;",
        "ALTER TABLE archive.old_tasks RENAME TO tasks;",
        """
        apply     ACCESS EXCLUSIVE        archive.tasks
        rollback  ACCESS EXCLUSIVE        archive.old_tasks
        """,
    ),
    Case(
        "0026.create-table-that-refers",
        "CREATE TABLE notes (id uuid PRIMARY KEY, user_id uuid REFERENCES users (id));",
        "DROP TABLE notes;",
        """
        apply     SHARE ROW EXCLUSIVE     users
        rollback  ACCESS EXCLUSIVE        notes
        rollback  ACCESS EXCLUSIVE        users
        """,
    ),
    Case(
        "0027.drop-table-that-refers",
        "DROP TABLE notes;",
        "CREATE TABLE notes (id uuid PRIMARY KEY, user_id uuid REFERENCES users (id));",
        """
        apply     ACCESS EXCLUSIVE        notes
        apply     ACCESS EXCLUSIVE        users
        rollback  SHARE ROW EXCLUSIVE     users
        """,
    ),
)


@on_each_postgresql
def test_what_a_migration_locks_is_what_postgresql_says_it_has_locked(empty_database: Dsn, tmp_path: Path) -> None:
    for case in CASES:
        (tmp_path / f"{case.id}.sql").write_text(f"-- depends:\n{case.up}\n")
        (tmp_path / f"{case.id}.rollback.sql").write_text(case.down)
    migrations = read_migrations(tmp_path, check=False)
    measured = measure(empty_database, tmp_path)
    assert {migration.id: manifest(migration, measured[migration.id]).splitlines()[1:] for migration in migrations} == {
        case.id: [line.strip() for line in case.manifest.strip().splitlines()] for case in CASES
    }
    for migration in migrations:
        migration.locks_path.write_text(manifest(migration, measured[migration.id]))
        assert read(migration) == measured[migration.id]


@pytest.mark.parametrize(
    ("up", "down", "why"),
    [
        ("DROP TABLE missing;", "", 'apply: table "missing" does not exist.'),
        ("CREATE TABLE t (id uuid);", "DROP TABLE missing;", 'rollback: table "missing" does not exist.'),
        ("CREATE TABLE t (id uuid);", "-- Nothing is undone.", 'apply: relation "t" already exists.'),
        (CONCURRENTLY + "CREATE INDEX CONCURRENTLY i ON t (id);", "", 'apply: relation "t" does not exist.'),
    ],
)
def test_a_migration_that_fails_is_named(empty_database: Dsn, tmp_path: Path, up: str, down: str, why: str) -> None:
    (tmp_path / "0001.change.sql").write_text(f"-- depends:\n{up}")
    (tmp_path / "0001.change.rollback.sql").write_text(down)
    with pytest.raises(MigrationError) as caught:
        measure(empty_database, tmp_path)
    assert str(caught.value) == f"Cannot measure 0001.change, {why}"


def test_a_migration_without_a_rollback_is_measured_one_way(empty_database: Dsn, tmp_path: Path) -> None:
    (tmp_path / "0001.change.sql").write_text("-- depends:\nCREATE TABLE t (id uuid);")
    assert measure(empty_database, tmp_path) == {"0001.change": ()}


def test_a_database_that_is_in_use_is_left_alone(empty_database: Dsn, tmp_path: Path) -> None:
    run_sql(empty_database, "CREATE TABLE a ()", "CREATE TABLE b ()")
    with pytest.raises(MigrationError) as caught:
        measure(empty_database, tmp_path)
    assert str(caught.value) == f"{empty_database} has 2 tables: what migrations lock is measured on an empty database."
