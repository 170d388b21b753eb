"""A run that has to wait says for whom, tries again, and gives up in the end."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from service.dsn import Dsn
from service.migrate import execution, runner, waiting
from service.migrate.errors import MigrationError
from service.migrate.progress import Conduct, Progress
from service.migrate.waiting import Watch
from tests.migrate.example import Write, run_sql
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

LOCK = "SELECT pg_advisory_lock(1952543595, 1835624306)"
# Of the two attempts, only the first is awaited.
UNTIL_AWAITED = """
DO $$
BEGIN
    WHILE EXISTS (SELECT FROM pg_locks WHERE relation = 'c'::regclass)
        AND NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'a'::regclass AND NOT granted)
    LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END;
$$;
"""
SETTINGS = "SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement"


@contextmanager
def blocker(dsn: Dsn, statement: str) -> Iterator[psycopg.Connection]:
    """Lend a session that holds a lock, called `reporting`."""
    named = replace(dsn, parameters=(*dsn.parameters, ("application_name", "reporting")))
    with psycopg.connect(named.libpq_url) as connection:
        connection.execute(statement.encode())
        yield connection


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses, and look sooner at who is in the way."""
    monkeypatch.setattr(execution, "_FIRST_PAUSE", 0.04)
    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 0.02)


@pytest.fixture
def table(empty_database: Dsn) -> Dsn:
    """A database with a table."""
    run_sql(empty_database, "CREATE TABLE a (b integer)", "CREATE TABLE c (d integer)")
    return empty_database


@on_each_postgresql
@pytest.mark.usefixtures("quick")
def test_a_migration_that_waits_says_for_whom_and_succeeds_when_that_ends(table: Dsn, write: Write) -> None:
    events: list[Progress] = []
    folder = write("0001.change-a", "-- lock_timeout: 400ms\n\nALTER TABLE a ADD COLUMN e integer;")
    with blocker(table, "LOCK TABLE a") as holder:

        def report(progress: Progress) -> None:
            events.append(progress)
            if progress.event == "retrying":
                holder.rollback()

        assert runner.apply(table, folder, conduct=Conduct(report=report)) == ["0001.change-a"]
        who = re.escape(f"process {holder.info.backend_pid} (reporting, idle in transaction for ") + r"\d s\)"

    assert [(event.event, event.migration_id) for event in events] == [
        ("waiting", "0001.change-a"),
        ("retrying", "0001.change-a"),
        ("applied", "0001.change-a"),
    ]
    assert re.fullmatch(f"waits for {who}", events[0].detail)
    assert re.fullmatch(f"canceling statement due to lock timeout, held by {who}", events[1].detail)
    assert events[0].seconds < 0.4 < events[2].seconds


@pytest.mark.usefixtures("quick")
def test_a_migration_that_never_gets_its_lock_gives_up_and_has_changed_nothing(table: Dsn, write: Write) -> None:
    folder = write("0001.change-a", "-- lock_timeout: 400ms\n\nDROP TABLE c;\nALTER TABLE a ADD COLUMN e integer;")
    with blocker(table, "LOCK TABLE a") as holder:
        with pytest.raises(MigrationError) as failure:
            runner.apply(table, folder, conduct=Conduct(attempts=1))
        pid = holder.info.backend_pid

    assert re.fullmatch(
        r"0001\.change-a, apply: canceling statement due to lock timeout, held by process "
        rf"{pid} \(reporting, idle in transaction for \d s\)\. It was tried once, and changed nothing\.",
        str(failure.value),
    )
    assert run_sql(table, "SELECT to_regclass('c')::text, (SELECT count(*) FROM _yoyo_migration)") == [("c", 0)]


@pytest.mark.usefixtures("quick")
def test_the_pauses_become_longer(table: Dsn, write: Write) -> None:
    events: list[Progress] = []
    folder = write("0001.change-a", "-- lock_timeout: 10ms\n\nALTER TABLE a ADD COLUMN e integer;")

    with (
        blocker(table, "LOCK TABLE a"),
        pytest.raises(MigrationError, match=r"lock timeout.* It was tried 4 times, and changed nothing\.$"),
    ):
        runner.apply(table, folder, conduct=Conduct(attempts=4, report=events.append))

    pauses = [event.seconds for event in events if event.event == "retrying"]
    assert len(pauses) == 3
    for pause, longest in zip(pauses, (0.04, 0.08, 0.16), strict=True):
        assert longest / 2 <= pause <= longest


@pytest.mark.usefixtures("quick")
def test_a_migration_that_gave_way_in_a_deadlock_is_tried_again(table: Dsn, write: Write) -> None:
    # Whoever closes the circle and looks first gives way: this is the migration, which comes last and looks at once.
    run_sql(table, f"ALTER DATABASE {table.database} SET deadlock_timeout = '20ms'")
    folder = write("0001.lock-both", f"LOCK TABLE a;\n{UNTIL_AWAITED}\nLOCK TABLE c;\nCREATE TABLE e ();")
    events: list[Progress] = []
    with blocker(table, "SET LOCAL deadlock_timeout = '1min'") as other:
        other.execute("LOCK TABLE c")

        def lock_the_other_way_round() -> None:
            while run_sql(table, "SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass") == [(0,)]:
                time.sleep(0.01)
            other.execute("LOCK TABLE a")
            other.rollback()

        thread = threading.Thread(target=lock_the_other_way_round)
        thread.start()
        applied = runner.apply(table, folder, conduct=Conduct(report=events.append))
        thread.join()

    assert applied == ["0001.lock-both"]
    assert [event.detail.split(",")[0] for event in events if event.event == "retrying"] == ["deadlock detected"]


def test_a_migration_has_its_own_timeouts_and_the_next_one_has_not(empty_database: Dsn, write: Write) -> None:
    write("0001.own", f"-- lock_timeout: 200ms\n-- statement_timeout: 300ms\n\nCREATE TABLE a AS {SETTINGS};")
    write("0002.usual", f"CREATE TABLE b AS {SETTINGS};")
    index = "-- transactional: false\n-- lock_timeout: 3s\n\nCREATE INDEX CONCURRENTLY a_lock_idx ON a (lock);"
    write("0003.index", index)
    folder = write("0004.set", f"SET lock_timeout = '7s';\nCREATE TABLE c AS {SETTINGS};")
    write("0005.usual", f"CREATE TABLE d AS {SETTINGS};")

    runner.apply(empty_database, folder)

    every = "SELECT * FROM a UNION ALL SELECT * FROM b UNION ALL SELECT * FROM c UNION ALL SELECT * FROM d"
    assert run_sql(empty_database, every) == [("200ms", "300ms"), ("1s", "30s"), ("7s", "30s"), ("1s", "30s")]


def test_a_statement_that_takes_too_long_is_not_tried_again(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.sleep", "-- statement_timeout: 100ms\n\nCREATE TABLE a ();\nSELECT pg_sleep(10);")

    with pytest.raises(
        MigrationError,
        match=r"^0001\.sleep, apply: canceling statement due to statement timeout\. It changed nothing\.$",
    ):
        runner.apply(empty_database, folder)

    assert run_sql(empty_database, "SELECT to_regclass('a')") == [(None,)]


def test_a_note_that_has_to_wait_gives_up_as_well(empty_database: Dsn, write: Write) -> None:
    runner.apply(empty_database, write("0001.create-a", "CREATE TABLE a ();"))
    folder = write("0002.create-b", "-- lock_timeout: 50ms\n\nCREATE TABLE b ();")

    with (
        blocker(empty_database, "LOCK TABLE _yoyo_migration IN SHARE MODE"),
        pytest.raises(MigrationError, match=r"lock timeout.* It was tried once, and changed nothing\.$"),
    ):
        runner.apply(empty_database, folder, conduct=Conduct(attempts=1))

    assert run_sql(empty_database, "SELECT to_regclass('b')") == [(None,)]


def test_a_run_that_waits_for_another_says_who_that_is_at_once(empty_database: Dsn, write: Write) -> None:
    events: list[Progress] = []
    folder = write("0001.create-a", "CREATE TABLE a ();")
    with blocker(empty_database, LOCK) as holder:
        pid = holder.info.backend_pid

        def report(progress: Progress) -> None:
            events.append(progress)
            if progress.event == "waiting":
                holder.close()

        assert runner.apply(empty_database, folder, conduct=Conduct(report=report)) == ["0001.create-a"]

    assert [(event.event, event.migration_id) for event in events] == [("waiting", None), ("applied", "0001.create-a")]
    assert events[0].seconds < 5  # and not when it reports the next time
    assert re.fullmatch(
        rf"another run holds the lock: process {pid} \(reporting, idle in transaction for \d s\)", events[0].detail
    )


def test_a_run_that_has_waited_long_enough_gives_up(empty_database: Dsn, write: Write) -> None:
    folder = write("0001.create-a", "CREATE TABLE a ();")
    with blocker(empty_database, LOCK) as holder:
        with pytest.raises(MigrationError) as failure:
            runner.apply(empty_database, folder, conduct=Conduct(patience=0.15))
        pid = holder.info.backend_pid

    assert re.fullmatch(
        rf"Another run holds the lock on {re.escape(str(empty_database))}: process {pid}"
        r" \(reporting, idle in transaction for \d s\)\. Nothing was done\.",
        str(failure.value),
    )


def test_a_look_at_who_is_in_the_way_that_fails_harms_nothing(empty_database: Dsn) -> None:
    events: list[Progress] = []
    with Watch(replace(empty_database, port=1), 1, "0001.create-a", events.append) as watch:
        time.sleep(0.3)

    assert (watch.blockers, events) == ("", [])
