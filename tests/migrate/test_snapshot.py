from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from service.dsn import Dsn
from service.migrate import runner
from service.migrate.runner import MigrationError
from service.migrate.snapshot import dump
from service.resources import resource_folder
from tests.sharing import on_one_postgresql

MIGRATIONS = resource_folder("migrations")
SNAPSHOT = MIGRATIONS.parent / "docs" / "schema.sql"


def server_major(dsn: Dsn) -> int:
    with psycopg.connect(dsn.libpq_url) as conn:
        return conn.info.server_version // 10000


def test_docs_schema_is_what_the_migrations_make(empty_database: Dsn, pg_dump: Path) -> None:
    if server_major(empty_database) != 18:
        pytest.skip("docs/schema.sql is written by PostgreSQL 18; another major's pg_dump may word it differently")
    runner.apply(empty_database, MIGRATIONS)

    assert dump(empty_database, pg_dump) == SNAPSHOT.read_text(), "run `make schema`"


def test_a_dump_is_the_same_text_each_time(empty_database: Dsn, pg_dump: Path) -> None:
    runner.apply(empty_database, MIGRATIONS)

    assert dump(empty_database, pg_dump) == dump(empty_database, pg_dump)


def test_a_dump_holds_the_schema_and_nothing_of_the_run(empty_database: Dsn, pg_dump: Path) -> None:
    runner.apply(empty_database, MIGRATIONS)

    text = dump(empty_database, pg_dump)

    assert text.startswith("-- Generated from migrations/ by `make schema`: do not edit.\n\nCREATE ")
    assert "CREATE TABLE public.tasks (" in text
    assert text.endswith(";\n")
    for noise in ("yoyo", "\nSET ", "set_config", "restrict", "Dumped", "Owner", "\n\n\n", "-- Name:"):
        assert noise not in text


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
