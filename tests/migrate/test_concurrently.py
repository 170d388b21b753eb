"""Indexes that are made and dropped CONCURRENTLY: which files are refused, and what a run makes of what others left."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from service.dsn import Dsn
from service.migrate import runner
from service.migrate.concurrently import read_index_change
from service.migrate.errors import MigrationError
from service.migrate.progress import Conduct, Progress
from service.migrate.standing import State
from tests.migrate.example import Write, run_sql
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

WRITES_A = "CREATE TABLE a AS SELECT 1 AS b;"
CREATE = "CREATE INDEX CONCURRENTLY a_b_idx ON a (b);"
DROP = "DROP INDEX CONCURRENTLY IF EXISTS a_b_idx;"
INDEXES = "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'a'::regclass"
NOTED = (
    "SELECT migration_id, is_unfinished FROM _yoyo_migration FULL JOIN _migration_checksum USING (migration_id)"
    " ORDER BY migration_id"
)
BEGUN = "INSERT INTO _migration_checksum (migration_id, checksum, is_unfinished) VALUES ('0002.index-a', '{}', true)"
DONE = [("0001.create-a", False), ("0002.index-a", False)]


def not_transactional(statement: str, *header: str) -> str:
    return "\n".join(("-- transactional: false", *header, "", statement, ""))


def harmless(statement: str) -> str:
    return f"-- Loses: nothing.\n\n{statement}\n"


@pytest.fixture
def folder(write: Write) -> Path:
    """A table, and an index on it."""
    write("0001.create-a", WRITES_A)
    return write("0002.index-a", not_transactional(CREATE), harmless(DROP))


@pytest.fixture
def table(empty_database: Dsn, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dsn:
    """A database that has the table, and not the index."""
    before = tmp_path_factory.mktemp("before")
    for name in ("0001.create-a.sql", "0001.create-a.rollback.sql"):
        (before / name).write_bytes((folder / name).read_bytes())
    lines = (folder / "checksums.txt").read_text().splitlines(keepends=True)
    (before / "checksums.txt").write_text("".join(lines[:2]))
    runner.apply(empty_database, before)
    return empty_database


def apply(dsn: Dsn, folder: Path) -> list[str]:
    """Apply, and return what was repaired."""
    repairs: list[str] = []

    def report(progress: Progress) -> None:
        if progress.event == "repaired":
            repairs.append(f"{progress.migration_id}: {progress.detail}")

    runner.apply(dsn, folder, conduct=Conduct(report=report))
    return repairs


def leave_invalid_index(dsn: Dsn) -> None:
    """Do what a session does that ends while it makes the index."""
    with pytest.raises(psycopg.errors.DivisionByZero):
        run_sql(dsn, "CREATE INDEX CONCURRENTLY a_b_idx ON a ((1 / (b - 1)))")
    assert run_sql(dsn, INDEXES) == [("a_b_idx", False)]


# Files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{CREATE}\n{CREATE}", "0002.x is not transactional and has 2 statements: have one in each file."),
        ("-- Nothing.\n", "0002.x is not transactional and has 0 statements: have one in each file."),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_b_idx ON a (b);",
            (
                "0002.x says IF NOT EXISTS, which takes the invalid index of a run that failed for a good one: leave it"
                " out, since such an index is dropped before."
            ),
        ),
        *[
            (
                text,
                (
                    "0002.x is not transactional, but neither CREATE INDEX CONCURRENTLY name ON … nor DROP INDEX"
                    " CONCURRENTLY IF EXISTS name: leave out `transactional: false`."
                ),
            )
            for text in (
                "VACUUM a;",
                "CREATE INDEX a_b_idx ON a (b);",
                "CREATE INDEX CONCURRENTLY ON a (b);",
                "DROP INDEX CONCURRENTLY a_b_idx;",
                "DROP INDEX CONCURRENTLY IF EXISTS a_b_idx, a_c_idx;",
            )
        ],
    ],
)
def test_a_file_that_could_not_be_repeated_is_refused(text: str, message: str) -> None:
    with pytest.raises(MigrationError, match=f"^{re.escape(message)}$"):
        read_index_change("0002.x", text)


@pytest.mark.parametrize(
    ("text", "work"),
    [
        (CREATE, ("a_b_idx", "a")),
        ("-- Why.\ncreate unique index concurrently A_B_key\n  on only app.a(b) where b > 0", ("a_b_key", "app.a")),
        (DROP, ("a_b_idx", None)),
        ("-- Loses: nothing.\n\ndrop index concurrently if exists A_b_idx", ("a_b_idx", None)),
    ],
)
def test_a_file_says_which_index_it_makes_or_drops(text: str, work: tuple[str, str | None]) -> None:
    assert read_index_change("0002.x", text) == work


def test_a_file_that_is_refused_is_so_before_anything_runs(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", WRITES_A)
    folder = write("0002.index-a", not_transactional("VACUUM a;"))

    with pytest.raises(MigrationError, match=r"^0002\.index-a is not transactional, but neither"):
        runner.apply(empty_database, folder)

    assert run_sql(empty_database, "SELECT to_regclass('a')") == [(None,)]


def test_a_rollback_that_is_refused_is_so_before_anything_is_taken_back(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", WRITES_A)
    write("0002.index-a", not_transactional(CREATE), harmless("DROP INDEX CONCURRENTLY a_b_idx;"))
    folder = write("0003.create-c", "CREATE TABLE c ();", harmless("DROP TABLE c;"))
    runner.apply(empty_database, folder)

    with pytest.raises(MigrationError, match=r"^0002\.index-a is not transactional, but neither"):
        runner.rollback(empty_database, folder, count=2)

    assert run_sql(empty_database, "SELECT to_regclass('c')::text") == [("c",)]


# Making an index


@on_each_postgresql
def test_an_invalid_index_that_was_left_is_dropped_and_made_again(table: Dsn, folder: Path) -> None:
    leave_invalid_index(table)

    repairs = apply(table, folder)

    assert repairs == ["0002.index-a: dropped the invalid index a_b_idx, which was left there"]
    assert run_sql(table, INDEXES) == [("a_b_idx", True)]
    assert run_sql(table, NOTED) == DONE


@on_each_postgresql
def test_an_index_that_cannot_be_made_is_made_when_it_can_be(table: Dsn, write: Write) -> None:
    folder = write("0002.index-a", not_transactional("CREATE UNIQUE INDEX CONCURRENTLY a_b_key ON a (b);"))
    run_sql(table, "INSERT INTO a VALUES (1)")

    with pytest.raises(MigrationError) as failure:
        runner.apply(table, folder)

    assert str(failure.value) == (
        '0002.index-a, apply: could not create unique index "a_b_key". It is not transactional: it may have left an'
        " invalid index a_b_key, which the next run drops."
    )
    assert run_sql(table, NOTED) == DONE[:1]
    run_sql(table, "DELETE FROM a")
    assert apply(table, folder) == ["0002.index-a: dropped the invalid index a_b_key, which was left there"]
    assert run_sql(table, INDEXES) == [("a_b_key", True)]
    assert run_sql(table, NOTED) == DONE


def test_an_index_that_no_run_has_begun_is_not_taken_for_ours(table: Dsn, folder: Path) -> None:
    run_sql(table, "CREATE INDEX a_b_idx ON a (b DESC)")

    with pytest.raises(MigrationError) as failure:
        runner.apply(table, folder)

    assert str(failure.value) == (
        "0002.index-a makes the index a_b_idx, which is there already, and which no run of this file has begun: rename"
        " one of them, or DROP INDEX CONCURRENTLY a_b_idx."
    )
    assert run_sql(table, INDEXES) == [("a_b_idx", True)]
    assert run_sql(table, NOTED) == DONE[:1]


def test_an_invalid_index_of_another_table_is_not_taken_for_ours(table: Dsn, folder: Path) -> None:
    run_sql(table, "CREATE TABLE other AS SELECT 1 AS b FROM generate_series(1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run_sql(table, "CREATE UNIQUE INDEX CONCURRENTLY a_b_idx ON other (b)")

    with pytest.raises(MigrationError, match=r"makes the index a_b_idx, which is there already"):
        apply(table, folder)

    assert run_sql(table, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_b_idx'::regclass") == [(False,)]


def test_an_index_that_somebody_makes_just_now_is_left_to_them(table: Dsn, folder: Path) -> None:
    is_waiting = "SELECT 1 FROM pg_stat_progress_create_index WHERE phase = 'waiting for writers before build'"
    with psycopg.connect(table.libpq_url) as writer, ThreadPoolExecutor(1) as thread:
        writer.execute("INSERT INTO a VALUES (7)")
        making = thread.submit(run_sql, table, "CREATE INDEX CONCURRENTLY a_b_idx ON a (b)")
        began = monotonic()
        while not run_sql(table, is_waiting):
            assert monotonic() - began < 30
        with pytest.raises(MigrationError) as refused:
            apply(table, folder)
        writer.rollback()
        making.result()

    assert str(refused.value) == ("0002.index-a makes the index a_b_idx, which somebody makes just now: wait for that.")
    assert run_sql(table, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_b_idx'::regclass") == [(True,)]


def test_an_index_that_was_begun_and_made_is_noted_and_not_made_again(table: Dsn, folder: Path) -> None:
    checksum = (folder / "checksums.txt").read_text().splitlines()[2].split()[0]
    run_sql(table, BEGUN.format(checksum), CREATE)
    made = run_sql(table, "SELECT 'a_b_idx'::regclass::oid")

    repairs = apply(table, folder)

    assert repairs == ["0002.index-a: the index a_b_idx is there, from a run that could not note it"]
    assert run_sql(table, "SELECT 'a_b_idx'::regclass::oid") == made
    assert run_sql(table, NOTED) == DONE


def test_an_index_that_was_begun_by_another_version_of_the_file_is_not_taken_for_this_one(
    table: Dsn, folder: Path
) -> None:
    run_sql(table, BEGUN.format("of another version"), CREATE)

    with pytest.raises(MigrationError, match="which no run of this file has begun"):
        runner.apply(table, folder)


@pytest.mark.parametrize("text", [not_transactional(CREATE), "CREATE INDEX a_b_idx ON a (b);"])
def test_a_file_that_was_changed_after_it_had_been_begun_is_noted_as_it_is_now(
    table: Dsn, write: Write, text: str
) -> None:
    folder = write("0002.index-a", text)
    run_sql(table, BEGUN.format("of another version"))

    assert apply(table, folder) == []

    assert {standing.state for standing in runner.status(table, folder)} == {State.APPLIED}
    assert runner.apply(table, folder) == []


def test_an_index_whose_note_failed_is_noted_by_the_next_run(table: Dsn, folder: Path) -> None:
    # As if another version of the file had been begun before.
    run_sql(table, BEGUN.format("of another version"))
    run_sql(table, "ALTER TABLE _yoyo_migration ADD CONSTRAINT only_a CHECK (migration_id = '0001.create-a')")
    with pytest.raises(MigrationError, match="violates check constraint"):
        runner.apply(table, folder)
    run_sql(table, "ALTER TABLE _yoyo_migration DROP CONSTRAINT only_a")

    assert apply(table, folder) == ["0002.index-a: the index a_b_idx is there, from a run that could not note it"]
    assert run_sql(table, NOTED) == DONE


def test_an_index_of_that_name_in_another_schema_is_none_of_ours(table: Dsn, write: Write) -> None:
    run_sql(table, "CREATE SCHEMA app", "CREATE TABLE app.a (b integer)", CREATE)
    folder = write("0002.index-a", not_transactional(CREATE.replace("ON a", "ON app.a")))

    assert apply(table, folder) == []

    assert run_sql(table, "SELECT schemaname FROM pg_indexes WHERE indexname = 'a_b_idx' ORDER BY 1") == [
        ("app",),
        ("public",),
    ]


def test_an_index_that_is_made_out_of_order_is_noted_as_such(empty_database: Dsn, write: Write, folder: Path) -> None:
    late = {name: (folder / name).read_text() for name in ("0002.index-a.sql", "0002.index-a.rollback.sql")}
    for name in late:
        (folder / name).unlink()
    runner.apply(empty_database, write("0003.create-c", "CREATE TABLE c ();"))
    write("0002.index-a", *late.values())

    assert runner.apply(empty_database, folder, allow_out_of_order=True) == ["0002.index-a"]

    assert [one.id for one in runner.status(empty_database, folder) if one.out_of_order] == ["0002.index-a"]


@on_each_postgresql
def test_success_is_refused_while_an_index_is_invalid(table: Dsn, folder: Path) -> None:
    leave_invalid_index(table)
    run_sql(table, "ALTER INDEX a_b_idx RENAME TO a_c_idx")

    for _run in range(2):
        with pytest.raises(MigrationError) as failure:
            runner.apply(table, folder)
        assert str(failure.value) == (
            "a_c_idx is invalid: a CREATE INDEX CONCURRENTLY failed, or goes on. Every migration is applied: drop the"
            " index, or wait, and run this again."
        )
        assert run_sql(table, NOTED) == DONE
    run_sql(table, "DROP INDEX a_c_idx")
    assert runner.apply(table, folder) == []


# Dropping an index


def test_an_index_that_is_gone_is_dropped_all_the_same(table: Dsn, write: Write) -> None:
    folder = write("0002.index-a", not_transactional(DROP), harmless(CREATE))

    assert runner.apply(table, folder) == ["0002.index-a"]
    assert runner.rollback(table, folder) == ["0002.index-a"]
    assert run_sql(table, INDEXES) == [("a_b_idx", True)]
    assert run_sql(table, NOTED) == DONE[:1]
    assert runner.apply(table, folder) == ["0002.index-a"]
    assert run_sql(table, INDEXES) == []


@on_each_postgresql
@pytest.mark.parametrize("next_run", ["apply", "rollback"])
def test_a_rollback_that_could_not_drop_its_index_is_repaired_by_whichever_run_is_next(
    table: Dsn, write: Write, next_run: str
) -> None:
    folder = write("0002.index-a", not_transactional(CREATE, "-- lock_timeout: 100ms"), harmless(DROP))
    runner.apply(table, folder)
    with psycopg.connect(table.libpq_url) as writer:
        writer.execute("INSERT INTO a VALUES (1)")
        with pytest.raises(
            MigrationError, match=r"^0002\.index-a, rollback: canceling statement due to lock timeout\."
        ):
            runner.rollback(table, folder)
    assert run_sql(table, INDEXES) == [("a_b_idx", False)]
    assert [one.state for one in runner.status(table, folder)] == [State.APPLIED, State.PENDING]

    if next_run == "apply":
        assert apply(table, folder) == ["0002.index-a: dropped the invalid index a_b_idx, which was left there"]
        assert run_sql(table, INDEXES) == [("a_b_idx", True)]
        assert run_sql(table, NOTED) == DONE
    else:
        assert runner.rollback(table, folder) == ["0002.index-a"]
        assert run_sql(table, INDEXES) == []
        assert run_sql(table, NOTED) == DONE[:1]


@on_each_postgresql
def test_a_rollback_that_was_cut_off_after_it_dropped_its_index_is_undone_by_apply(table: Dsn, folder: Path) -> None:
    runner.apply(table, folder)
    run_sql(table, "UPDATE _migration_checksum SET is_unfinished = true WHERE migration_id = '0002.index-a'", DROP)

    assert runner.apply(table, folder) == ["0002.index-a"]

    assert run_sql(table, INDEXES) == [("a_b_idx", True)]
    assert run_sql(table, NOTED) == DONE
