from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from service.dsn import Dsn
from service.migrate import runner
from service.migrate.runner import MigrationError
from service.migrate.snapshot import difference, dump
from tests.migrate.example import MIGRATIONS, run_sql
from tests.sharing import on_one_postgresql


def test_a_dump_is_the_same_text_each_time(empty_database: Dsn, pg_dump: Path, snapshot: str) -> None:
    runner.apply(empty_database, MIGRATIONS)

    assert dump(empty_database, pg_dump) == dump(empty_database, pg_dump) == snapshot


def test_a_dump_holds_the_schema_and_nothing_of_the_run(snapshot: str) -> None:
    assert snapshot.startswith("-- Generated from migrations/ by `make schema`: do not edit.\n\nCREATE ")
    assert "CREATE TABLE public.notes (" in snapshot
    assert snapshot.endswith(";\n")
    for noise in ("yoyo", "\nSET ", "set_config", "restrict", "Dumped", "Owner", "\n\n\n", "-- Name:"):
        assert noise not in snapshot


def test_a_dump_keeps_the_lines_of_a_function_that_look_like_settings(empty_database: Dsn, pg_dump: Path) -> None:
    body = "BEGIN\nUPDATE a\nSET b = 1;\nSET LOCAL lock_timeout = 1;\n--\n-- Name: it\n--\nEND"
    with psycopg.connect(empty_database.libpq_url) as conn:
        conn.execute(f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $${body}$$".encode())

    assert body in dump(empty_database, pg_dump)


def test_a_database_without_objects_has_an_empty_dump(empty_database: Dsn, pg_dump: Path) -> None:
    assert dump(empty_database, pg_dump) == "-- Generated from migrations/ by `make schema`: do not edit.\n"


@on_one_postgresql
def test_the_password_reaches_pg_dump_through_its_environment(empty_database: Dsn, tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text('#!/bin/sh\necho "arguments: $*" >&2\necho "password: $PGPASSWORD" >&2\nexit 1\n')
    program.chmod(0o755)

    with pytest.raises(MigrationError) as failure:
        dump(replace(empty_database, password="correct-horse"), program)

    arguments, password = str(failure.value).split(" password: ")
    assert "correct-horse" not in arguments
    assert password == "correct-horse"


@on_one_postgresql
def test_a_missing_pg_dump_is_a_clear_error(empty_database: Dsn, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"^Cannot run .*/pg_dump: No such file or directory\.$"):
        dump(empty_database, tmp_path / "pg_dump")


@on_one_postgresql
def test_a_pg_dump_that_fails_is_one_line_without_the_password(empty_database: Dsn, pg_dump: Path) -> None:
    with pytest.raises(MigrationError, match=r"^Cannot dump .*does not exist") as failure:
        dump(replace(empty_database, database="nowhere", password=empty_database.password), pg_dump)

    assert "\n" not in str(failure.value)
    if empty_database.password:
        assert empty_database.password not in str(failure.value)


def test_a_database_that_was_migrated_does_not_differ(dsn: Dsn, snapshot: str) -> None:
    assert difference(dsn, snapshot, "docs/schema.sql") == ""


@on_one_postgresql
def test_a_difference_reads_as_a_diff_of_what_is_missing_and_what_is_too_many(dsn: Dsn, snapshot: str) -> None:
    run_sql(
        dsn,
        "ALTER TABLE notes ADD COLUMN by_hand integer",
        "DROP INDEX revisions_expires_at_idx",
        "GRANT UPDATE ON members TO notes_app",
    )
    lines = difference(dsn, snapshot, "docs/schema.sql").splitlines()

    assert lines[:2] == ["--- docs/schema.sql", f"+++ {dsn}"]
    assert [line for line in lines[2:] if line.startswith(("-", "+"))] == [
        "+    by_hand integer,",
        "-CREATE INDEX revisions_expires_at_idx ON public.revisions USING btree (expires_at);",
        "-",
        "-GRANT SELECT,DELETE ON TABLE public.members TO notes_app;",
        "+GRANT SELECT,DELETE,UPDATE ON TABLE public.members TO notes_app;",
    ]


@on_one_postgresql
def test_what_administrators_keep_beside_it_is_no_difference(dsn: Dsn, snapshot: str) -> None:
    owner = f"owner_{dsn.database}"
    run_sql(
        dsn,
        f"CREATE ROLE {owner}",
        "CREATE EXTENSION pg_stat_statements",
        "CREATE SCHEMA theirs CREATE TABLE anything (a integer)",
        f"GRANT CREATE ON SCHEMA public TO {owner}",
        f"ALTER TABLE notes OWNER TO {owner}",
    )
    try:
        assert difference(dsn, snapshot, "docs/schema.sql") == ""
    finally:
        run_sql(dsn, f"DROP OWNED BY {owner} CASCADE", f"DROP ROLE {owner}")


@on_one_postgresql
@pytest.mark.parametrize("schema", ["ours", 'o"ur s'])
def test_a_schema_of_another_name_is_compared_as_if_it_were_public(
    empty_database: Dsn, snapshot: str, schema: str
) -> None:
    quoted = '"' + schema.replace('"', '""') + '"'
    run_sql(
        empty_database,
        f"CREATE SCHEMA {quoted}",
        f"ALTER DATABASE {empty_database.database} SET search_path = {quoted}",
    )
    runner.apply(empty_database, MIGRATIONS)

    assert difference(empty_database, snapshot, "docs/schema.sql") == ""


@on_one_postgresql
def test_another_search_path_of_whoever_migrated_is_no_difference(empty_database: Dsn, snapshot: str) -> None:
    options = (("options", "-c search_path=public"),)
    runner.apply(replace(empty_database, parameters=(*empty_database.parameters, *options)), MIGRATIONS)

    assert difference(empty_database, snapshot, "docs/schema.sql") == ""


@on_one_postgresql
def test_a_pg_dump_of_another_version_is_refused(dsn: Dsn, tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    program.chmod(0o755)

    with pytest.raises(MigrationError, match=r"^/.*/pg_dump is no pg_dump of PostgreSQL 18\.$"):
        difference(dsn, "", "docs/schema.sql", program)
