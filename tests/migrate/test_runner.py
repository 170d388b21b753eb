import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from service.dsn import Dsn
from service.migrate import runner
from service.migrate.progress import Conduct
from service.migrate.runner import MigrationError
from service.migrate.snapshot import dump
from service.migrate.standing import State
from tests.migrate.example import IDS, MIGRATIONS, Write, note_checksums, remove, run_sql
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql


def states(dsn: Dsn, folder: Path = MIGRATIONS) -> dict[str, bool]:
    return {migration.id: migration.is_applied for migration in runner.status(dsn, folder)}


def log(dsn: Dsn) -> list[tuple[object, ...]]:
    return run_sql(dsn, "SELECT operation, migration_id FROM _yoyo_log ORDER BY created_at_utc")


def start_runner(dsn: Dsn, folder: Path) -> subprocess.Popen[str]:
    """Apply in a process of its own, which prints the ids that it applied."""
    program = (
        "import os; from pathlib import Path; from service.dsn import Dsn; from service.migrate import runner;"
        "print(runner.apply(Dsn.parse(os.environ['URL']), Path(os.environ['FOLDER'])))"
    )
    environment = os.environ | {"URL": dsn.libpq_url, "FOLDER": str(folder)}
    return subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)


# Applying


@on_each_postgresql
def test_an_empty_database_gets_every_migration_in_order(empty_database: Dsn) -> None:
    done: list[str | None] = []

    applied = runner.apply(
        empty_database, MIGRATIONS, conduct=Conduct(report=lambda progress: done.append(progress.migration_id))
    )

    assert applied == done == IDS
    assert log(empty_database) == [("apply", id_) for id_ in IDS]


def test_a_second_run_does_nothing(empty_database: Dsn) -> None:
    runner.apply(empty_database, MIGRATIONS)

    assert runner.apply(empty_database, MIGRATIONS) == []


def test_only_what_is_pending_is_applied(empty_database: Dsn, write: Write) -> None:
    runner.apply(empty_database, write("0001.create-a", "CREATE TABLE a ();"))

    assert runner.apply(empty_database, write("0002.create-b", "CREATE TABLE b ();")) == ["0002.create-b"]


@on_each_postgresql
def test_three_runners_at_once_apply_each_migration_once(empty_database: Dsn) -> None:
    with ThreadPoolExecutor(3) as threads:
        runs = list(threads.map(lambda _: runner.apply(empty_database, MIGRATIONS), range(3)))

    assert sorted(runs) == [[], [], IDS]
    assert log(empty_database) == [("apply", id_) for id_ in IDS]


@on_each_postgresql
def test_three_processes_at_once_apply_each_migration_once(empty_database: Dsn) -> None:
    processes = [start_runner(empty_database, MIGRATIONS) for _ in range(3)]

    printed = [process.communicate()[0].strip() for process in processes]

    assert sorted(printed) == sorted([str(IDS), "[]", "[]"])


@on_each_postgresql
def test_waiting_runners_do_not_hold_up_an_index_built_concurrently(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a (b integer);")
    folder = write("0002.index-a", "-- transactional: false\nCREATE INDEX CONCURRENTLY a_b_idx ON a (b);")

    with ThreadPoolExecutor(3) as threads:
        runs = list(threads.map(lambda _: runner.apply(empty_database, folder), range(3)))

    assert sorted(runs) == [[], [], ["0001.create-a", "0002.index-a"]]


def test_a_user_without_a_name_can_migrate(empty_database: Dsn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(os, "getuid", lambda: 54321)

    assert runner.apply(empty_database, MIGRATIONS) == IDS
    assert run_sql(empty_database, "SELECT DISTINCT username FROM _yoyo_log") == [("54321",)]


def test_a_database_whose_name_must_be_quoted_can_be_migrated(empty_database: Dsn) -> None:
    awkward = replace(empty_database, database=f"{empty_database.database} %/ö")
    run_sql(empty_database, f'CREATE DATABASE "{awkward.database}"')
    try:
        assert runner.apply(awkward, MIGRATIONS) == IDS
    finally:
        run_sql(empty_database, f'DROP DATABASE "{awkward.database}" WITH (FORCE)')


def test_a_migration_that_moves_the_search_path_is_noted_all_the_same(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.create-side", "CREATE SCHEMA side;\nSET search_path = side;\nCREATE TABLE a ();")

    assert runner.apply(empty_database, folder) == ["0001.create-side"]
    assert states(empty_database, folder) == {"0001.create-side": True}


# Failing


def test_a_failing_migration_leaves_the_schema_as_it_was(empty_database: Dsn, pg_dump: Path, write: Write) -> None:
    runner.apply(empty_database, write("0001.create-a", "CREATE TABLE a (b integer);"))
    before = dump(empty_database, pg_dump)
    write("0002.break", "-- depends: 0001.create-a\nCREATE TABLE c ();\nALTER TABLE a ADD COLUMN b integer;")
    folder = write("0003.create-d", "-- depends: 0002.break\nCREATE TABLE d ();")

    with pytest.raises(MigrationError) as failure:
        runner.apply(empty_database, folder)

    assert str(failure.value) == ('0002.break, apply: column "b" of relation "a" already exists. It changed nothing.')
    assert dump(empty_database, pg_dump) == before
    assert states(empty_database, folder) == {"0001.create-a": True, "0002.break": False, "0003.create-d": False}


def test_migrations_before_a_failing_one_stay_applied(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a ();")
    folder = write("0002.break", "SELEKT;")

    with pytest.raises(MigrationError, match=r'0002.break, apply: syntax error at or near "SELEKT"'):
        runner.apply(empty_database, folder)

    assert states(empty_database, folder) == {"0001.create-a": True, "0002.break": False}


def test_a_migration_that_fails_at_its_commit_changes_nothing(empty_database: Dsn, write: Write) -> None:
    folder = write(
        "0001.create-a",
        "CREATE TABLE a (b integer CONSTRAINT a_pkey PRIMARY KEY,"
        " c integer CONSTRAINT a_c_fkey REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO a VALUES (1, 2);",
    )

    with pytest.raises(MigrationError, match="a_c_fkey"):
        runner.apply(empty_database, folder)

    assert states(empty_database, folder) == {"0001.create-a": False}
    assert run_sql(empty_database, "SELECT to_regclass('a')") == [(None,)]


def test_a_migration_that_cannot_be_noted_is_not_kept(empty_database: Dsn, write: Write) -> None:
    runner.apply(empty_database, write("0001.create-a", "CREATE TABLE a ();"))
    run_sql(empty_database, "ALTER TABLE _yoyo_migration ADD CHECK (migration_id = '0001.create-a')")
    folder = write("0002.create-b", "CREATE TABLE b ();")

    with pytest.raises(MigrationError, match="violates check constraint"):
        runner.apply(empty_database, folder)

    assert run_sql(empty_database, "SELECT to_regclass('b')") == [(None,)]
    assert log(empty_database) == [("apply", "0001.create-a")]


@on_each_postgresql
def test_a_lost_connection_is_told_by_its_cause(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.end", "CREATE TABLE a ();\nSELECT pg_terminate_backend(pg_backend_pid());")

    with pytest.raises(MigrationError, match=r"terminating connection due to administrator command.* `status` tells"):
        runner.apply(empty_database, folder)

    assert states(empty_database, folder) == {"0001.end": False}
    assert run_sql(empty_database, "SELECT to_regclass('a')") == [(None,)]


@on_each_postgresql
def test_a_failing_migration_without_a_transaction_says_that_something_may_be_left(
    empty_database: Dsn, write: Write
) -> None:
    write("0001.create-a", "CREATE TABLE a AS SELECT 1 AS b FROM generate_series(1, 2);")
    folder = write("0002.index-a", "-- transactional: false\nCREATE UNIQUE INDEX CONCURRENTLY a_b_key ON a (b);")

    with pytest.raises(
        MigrationError,
        match=r'could not create unique index "a_b_key".*: it may have left an invalid index a_b_key, which the next',
    ):
        runner.apply(empty_database, folder)


def test_a_migration_that_ended_its_own_transaction_says_that_it_was_kept(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.create-a", "CREATE TABLE a ();\nCOMMIT;\nCREATE TABLE b ();")

    with pytest.raises(MigrationError, match=r"It ended its own transaction, and what came before that was kept"):
        runner.apply(empty_database, folder)

    assert run_sql(empty_database, "SELECT to_regclass('a') IS NOT NULL") == [(True,)]


def test_a_database_that_is_read_only_is_refused_in_a_line(empty_database: Dsn) -> None:
    options = (("options", "-c default_transaction_read_only=on"),)
    standby = replace(empty_database, parameters=(*empty_database.parameters, *options))

    with pytest.raises(MigrationError) as refused:
        runner.apply(standby, MIGRATIONS)

    assert str(refused.value) == f"Cannot migrate {standby}: it is read-only, as a standby is. Name the primary."


def test_a_bad_dependency_is_refused_before_anything_runs(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a ();")
    folder = write("0002.create-b", "-- depends: 0001.create-z\nCREATE TABLE b ();")

    with pytest.raises(MigrationError, match=r"^0002.create-b depends on 0001.create-z, which is not before it\.$"):
        runner.apply(empty_database, folder)

    assert run_sql(empty_database, "SELECT to_regclass('a')") == [(None,)]


def test_a_dependency_in_another_folder_is_refused(empty_database: Dsn, write: Write) -> None:
    runner.status(empty_database, MIGRATIONS)
    folder = write("0009.create-b", f"-- depends: {IDS[0]}\nCREATE TABLE b ();")

    with pytest.raises(MigrationError, match="which is not before it"):
        runner.apply(empty_database, folder)


@pytest.mark.parametrize("name", ["post-apply.sql", "0001.create.py", "1.create.sql", "0001.Create_A.sql"])
def test_a_file_that_is_not_named_like_a_migration_is_refused(empty_database: Dsn, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("CREATE TABLE a ();")

    with pytest.raises(MigrationError, match=f"^{name} is not named like a migration"):
        runner.apply(empty_database, tmp_path)


@pytest.mark.parametrize("content", [b"-- \xff\n", b"-- transactional: maybe\nSELECT 1;\n"])
def test_a_file_that_cannot_be_read_is_refused(empty_database: Dsn, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0001.create-a.sql").write_bytes(content)

    with pytest.raises(MigrationError, match=r"^0001.create-a cannot be read: .*(maybe|0xff)"):
        runner.apply(empty_database, tmp_path)


def test_a_missing_folder_is_an_error_and_not_an_empty_one(empty_database: Dsn, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="There is no folder"):
        runner.apply(empty_database, tmp_path / "none")


def test_a_folder_named_like_a_pattern_is_read(empty_database: Dsn, tmp_path: Path) -> None:
    folder = tmp_path / "[a]*"
    folder.mkdir()
    (folder / "0001.create-a.sql").write_text("CREATE TABLE a ();")
    note_checksums(folder)

    assert runner.apply(empty_database, folder) == ["0001.create-a"]


# Rolling back


def test_a_count_beyond_what_is_applied_rolls_everything_back(empty_database: Dsn, pg_dump: Path) -> None:
    before = dump(empty_database, pg_dump)
    runner.apply(empty_database, MIGRATIONS)
    done: list[str | None] = []

    undone = runner.rollback(
        empty_database,
        MIGRATIONS,
        count=len(IDS) + 5,
        lose_data=True,
        conduct=Conduct(report=lambda progress: done.append(progress.migration_id)),
    )

    assert undone == done == IDS[::-1]
    assert dump(empty_database, pg_dump) == before
    assert not any(states(empty_database).values())
    assert runner.rollback(empty_database, MIGRATIONS) == []


def test_a_count_of_nothing_rolls_nothing_back(empty_database: Dsn) -> None:
    runner.apply(empty_database, MIGRATIONS)

    assert runner.rollback(empty_database, MIGRATIONS, count=0) == []
    assert runner.rollback(empty_database, MIGRATIONS, count=-1) == []


def test_a_failing_rollback_changes_nothing(empty_database: Dsn, pg_dump: Path, write: Write) -> None:
    folder = write("0001.create-a", "CREATE TABLE a ();", "-- Loses: nothing.\nDROP TABLE a;\nDROP TABLE b;")
    runner.apply(empty_database, folder)
    before = dump(empty_database, pg_dump)

    with pytest.raises(MigrationError, match=r'^0001.create-a, rollback: table "b" does not exist. It changed nothing'):
        runner.rollback(empty_database, folder)

    assert dump(empty_database, pg_dump) == before
    assert states(empty_database, folder) == {"0001.create-a": True}


def test_a_migration_without_a_rollback_stops_it_before_anything_is_undone(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a ();", None)
    folder = write("0002.create-b", "CREATE TABLE b ();", "DROP TABLE b;")
    runner.apply(empty_database, folder)

    with pytest.raises(MigrationError, match=r"0001.create-a has no rollback"):
        runner.rollback(empty_database, folder, count=2)

    assert states(empty_database, folder) == {"0001.create-a": True, "0002.create-b": True}


def test_a_database_that_is_ahead_is_not_rolled_back_past_what_is_unknown(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a ();")
    folder = write("0002.create-b", "CREATE TABLE b ();")
    runner.apply(empty_database, folder)
    remove(folder, "0002.create-b")

    with pytest.raises(MigrationError, match=r"0002.create-b is applied but has no file here"):
        runner.rollback(empty_database, folder)


# History


def test_an_edited_migration_is_refused_and_nothing_is_done(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a ();")
    runner.apply(empty_database, write("0002.create-b", "CREATE TABLE b ();"))
    write("0001.create-a", "CREATE TABLE a (b integer);")
    folder = write("0003.create-c", "CREATE TABLE c ();")

    for run in (runner.apply, runner.rollback):
        with pytest.raises(MigrationError) as refused:
            run(empty_database, folder)
        assert str(refused.value) == (
            "0001.create-a was edited after it was applied. Undo the edit, and write what it wants as the next"
            " migration. Nothing was done."
        )
    assert list(states(empty_database, folder).values()) == [True, True, False]


def test_a_migration_whose_file_was_deleted_or_renamed_is_refused(empty_database: Dsn, write: Write) -> None:
    for number in range(1, 5):
        folder = write(f"{number:04}.create-{number}", f"CREATE TABLE t{number} ();")
    runner.apply(empty_database, folder)
    remove(folder, "0001.create-1")
    remove(folder, "0003.create-3")
    write("0005.create-3", "CREATE TABLE t3 ();")

    with pytest.raises(MigrationError) as refused:
        runner.apply(empty_database, folder)

    assert str(refused.value) == (
        "0001.create-1 was applied and has no file here. Put it back, or use the release that has it."
        " 0003.create-3 was renamed to 0005.create-3 after it was applied. Give it its name back. Nothing was done."
    )


def test_a_migration_out_of_order_is_refused_unless_that_is_allowed_and_then_noted(
    empty_database: Dsn, write: Write
) -> None:
    write("0001.create-a", "CREATE TABLE a ();")
    runner.apply(empty_database, write("0003.create-c", "CREATE TABLE c ();"))
    folder = write("0002.create-b", "CREATE TABLE b ();")

    with pytest.raises(MigrationError) as refused:
        runner.apply(empty_database, folder)
    applied = runner.apply(empty_database, folder, allow_out_of_order=True)

    assert str(refused.value) == (
        "0002.create-b comes before 0003, which has been applied. Give it the next number that is free. Nothing was"
        " done."
    )
    assert applied == ["0002.create-b"]
    assert [one.out_of_order for one in runner.status(empty_database, folder)] == [False, True, False]
    assert {one.state for one in runner.status(empty_database, folder)} == {State.APPLIED}


def test_what_was_applied_before_contents_were_noted_is_noted_with_the_next_one(
    empty_database: Dsn, write: Write
) -> None:
    runner.apply(empty_database, write("0001.create-a", "CREATE TABLE a ();"))
    run_sql(empty_database, "DROP TABLE _migration_checksum")
    folder = write("0002.create-b", "CREATE TABLE b ();")
    before = states(empty_database, folder)

    runner.apply(empty_database, folder)
    write("0001.create-a", "CREATE TABLE a (b integer);")

    assert before == {"0001.create-a": True, "0002.create-b": False}
    assert runner.status(empty_database, folder)[0].state is State.EDITED


def test_a_role_that_may_not_read_the_contents_is_told_the_rest(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.create-a", "CREATE TABLE a ();")
    runner.apply(empty_database, folder)
    write("0001.create-a", "CREATE TABLE a (b integer);")
    reader = replace(empty_database, user=f"reader_{empty_database.database}", password="only-to-read")
    run_sql(
        empty_database,
        f"CREATE ROLE {reader.user} LOGIN PASSWORD '{reader.password}'",
        f"GRANT SELECT ON _yoyo_migration TO {reader.user}",
    )
    try:
        assert [one.state for one in runner.status(reader, folder)] == [State.APPLIED]
    finally:
        run_sql(empty_database, f"DROP OWNED BY {reader.user}", f"DROP ROLE {reader.user}")


# Losing


def test_a_rollback_that_would_lose_data_says_what_and_is_refused(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a ();", "-- Loses: every a.\nDROP TABLE a;")
    write("0002.create-b", "CREATE TABLE b ();", "-- Loses: nothing.\nDROP TABLE b;")
    folder = write("0003.create-c", "CREATE TABLE c ();", "DROP TABLE c;")
    runner.apply(empty_database, folder)

    with pytest.raises(MigrationError) as refused:
        runner.rollback(empty_database, folder, count=3)

    assert str(refused.value) == (
        "0003.create-c loses what it does not say. 0001.create-a loses every a. Nothing was rolled back: to lose that,"
        " say --yes."
    )
    assert all(states(empty_database, folder).values())
    assert runner.rollback(empty_database, folder, lose_data=True) == ["0003.create-c"]
    assert runner.rollback(empty_database, folder) == ["0002.create-b"]


# Status


def test_the_status_of_an_empty_database_is_all_pending_and_leaves_it_empty(empty_database: Dsn) -> None:
    assert states(empty_database) == dict.fromkeys(IDS, False)
    assert run_sql(empty_database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_the_status_tells_applied_pending_and_ahead(empty_database: Dsn, write: Write) -> None:
    write("0001.create-a", "CREATE TABLE a ();")
    folder = write("0003.create-c", "CREATE TABLE c ();")
    runner.apply(empty_database, folder)
    remove(folder, "0003.create-c")
    write("0002.create-b", "CREATE TABLE b ();")

    rows = runner.status(empty_database, folder)

    assert [(row.id, row.state) for row in rows] == [
        ("0001.create-a", State.APPLIED),
        ("0002.create-b", State.OUT_OF_ORDER),
        ("0003.create-c", State.AHEAD),
    ]
    [(now,)] = run_sql(empty_database, "SELECT now()")
    assert [row.applied_at is not None and abs((now - row.applied_at).total_seconds()) < 60 for row in rows] == [  # type: ignore[operator]  # now() is a time
        True,
        False,
        True,
    ]


def test_a_role_that_may_only_read_can_ask_for_the_status(empty_database: Dsn) -> None:
    reader = replace(empty_database, user=f"reader_{empty_database.database}", password="only-to-read")
    run_sql(empty_database, f"CREATE ROLE {reader.user} LOGIN PASSWORD '{reader.password}' IN ROLE pg_read_all_data")
    try:
        assert states(reader) == dict.fromkeys(IDS, False)
        runner.apply(empty_database, MIGRATIONS)
        assert states(reader) == dict.fromkeys(IDS, True)
    finally:
        run_sql(empty_database, f"DROP ROLE {reader.user}")


def test_a_role_that_may_not_use_the_schema_is_told_so(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.create-a", "CREATE TABLE a ();")
    runner.apply(empty_database, folder)
    reader = replace(empty_database, user=f"reader_{empty_database.database}", password="only-to-read")
    run_sql(
        empty_database,
        f"CREATE ROLE {reader.user} LOGIN PASSWORD '{reader.password}'",
        "REVOKE USAGE ON SCHEMA public FROM public",
    )
    try:
        with pytest.raises(MigrationError, match=r"^Its user may use no schema of the search_path: grant USAGE"):
            runner.status(reader, folder)
    finally:
        run_sql(empty_database, f"DROP ROLE {reader.user}")


def test_a_role_that_may_only_read_is_told_that_it_cannot_migrate(empty_database: Dsn) -> None:
    reader = replace(empty_database, user=f"reader_{empty_database.database}", password="only-to-read")
    run_sql(empty_database, f"CREATE ROLE {reader.user} LOGIN PASSWORD '{reader.password}'")
    try:
        with pytest.raises(MigrationError, match="its user may not create tables in the schema"):
            runner.apply(reader, MIGRATIONS)
    finally:
        run_sql(empty_database, f"DROP ROLE {reader.user}")


def test_the_status_waits_for_no_lock(empty_database: Dsn) -> None:
    with psycopg.connect(empty_database.libpq_url) as conn:
        conn.execute("SELECT pg_advisory_lock(1952543595, 1835624306)")

        assert states(empty_database) == dict.fromkeys(IDS, False)


# Locks


@on_each_postgresql
def test_a_lock_that_is_held_too_long_is_an_error_that_names_its_holder(empty_database: Dsn) -> None:
    holder = replace(empty_database, parameters=(("application_name", "another deploy"),))
    with psycopg.connect(holder.libpq_url) as conn:
        conn.execute("SELECT pg_advisory_lock(1952543595, 1835624306)")

        with pytest.raises(MigrationError) as failure:
            runner.apply(empty_database, MIGRATIONS, conduct=Conduct(patience=0.2))

        pid = conn.info.backend_pid
    assert str(failure.value) == (
        f"Another run holds the lock on {empty_database}: process {pid} (another deploy, idle in transaction for 0 s)."
        " Nothing was done."
    )
    assert runner.apply(empty_database, MIGRATIONS) == IDS


def test_a_lock_that_is_let_go_in_time_is_taken(empty_database: Dsn) -> None:
    with psycopg.connect(empty_database.libpq_url) as conn:
        conn.execute("SELECT pg_advisory_lock(1952543595, 1835624306)")
        threading.Timer(0.3, conn.close).start()

        assert runner.apply(empty_database, MIGRATIONS, conduct=Conduct(patience=10)) == IDS


@on_each_postgresql
def test_a_server_that_ends_idle_sessions_does_not_end_the_lock(empty_database: Dsn, write: Write) -> None:
    for setting in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
        run_sql(empty_database, f"ALTER DATABASE {empty_database.database} SET {setting} = '100ms'")
    holders = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    held: list[list[tuple[object, ...]]] = []

    runner.apply(
        empty_database,
        write("0001.wait", "SELECT pg_sleep(0.4);"),
        conduct=Conduct(report=lambda _progress: held.append(run_sql(empty_database, holders))),
    )

    assert held == [[(1,)]]


@on_each_postgresql
def test_the_row_that_a_killed_run_left_in_yoyos_lock_is_cleared(empty_database: Dsn) -> None:
    run_sql(
        empty_database,
        "CREATE TABLE yoyo_lock (locked integer DEFAULT 1 PRIMARY KEY, ctime timestamp, pid integer NOT NULL)",
        "INSERT INTO yoyo_lock VALUES (1, now(), 12345)",
    )

    assert runner.apply(empty_database, MIGRATIONS) == IDS
    assert run_sql(empty_database, "SELECT count(*) FROM yoyo_lock") == [(0,)]


@on_each_postgresql
def test_after_a_run_was_killed_the_next_one_does_its_work(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.create-a", "CREATE TABLE a ();\nSELECT pg_advisory_xact_lock(1);")
    with psycopg.connect(empty_database.libpq_url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(1)")
        killed = start_runner(empty_database, folder)
        waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while not run_sql(empty_database, waiting):
            time.sleep(0.05)
        killed.kill()
        killed.communicate()

    assert runner.apply(empty_database, folder) == ["0001.create-a"]


# Connecting


def test_an_unreachable_database_is_one_line(empty_database: Dsn) -> None:
    nobody = replace(empty_database, host="127.0.0.1", port=1)

    for run in (runner.status, runner.apply, runner.rollback):
        with pytest.raises(MigrationError, match=r"^Cannot connect to 127.0.0.1:1/") as failure:
            run(nobody, MIGRATIONS)
        assert "\n" not in str(failure.value)


def test_a_refused_password_is_not_in_the_message(empty_database: Dsn) -> None:
    stranger = replace(empty_database, user="stranger", password="correct-horse")

    with pytest.raises(MigrationError) as failure:
        runner.apply(stranger, MIGRATIONS)

    assert "correct-horse" not in f"{failure.value} {failure.value!r} {failure.value.__cause__}"
    assert "\n" not in str(failure.value)
