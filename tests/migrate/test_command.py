"""`python -m service migrate`: what each command says, to people and to programs, and its exit code."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.dsn import Dsn
from service.migrate import runner
from service.migrate.files import CHECKSUMS, read_migrations, write_checksums
from tests.migrate.example import IDS, MIGRATIONS
from tests.processes import bare_environ
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_ADD = """\
-- depends: {before}
-- lock_timeout: 500ms
-- Purpose: let a note have a date.
-- Locks: ACCESS EXCLUSIVE on notes, for an instant.
-- Order: before the code that reads it.

ALTER TABLE notes ADD COLUMN due_at timestamptz;
"""
_REMOVE = """\
-- Loses: every date.

ALTER TABLE notes DROP COLUMN due_at;
"""
_INDEX = """\
-- depends: {before}
-- transactional: false
-- Purpose: find what is due.
-- Locks: SHARE UPDATE EXCLUSIVE on notes, while it reads the table.
-- Order: before the code that reads it.

CREATE INDEX CONCURRENTLY notes_member_id_due_at_idx ON notes (member_id, due_at);
"""

Invoke = Callable[..., Result]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: str) -> Path:
    """A copy of the migrations, which is what commands see as theirs, in the folder in which they run."""
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "schema.sql").write_text(snapshot)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("service.cli.migrate.resource_folder", lambda name: tmp_path / name)
    return tmp_path


@pytest.fixture
def migrate(checkout: Path) -> Invoke:
    """Run `migrate` in this process, on a database."""

    def migrate(dsn: Dsn | None, *args: str) -> Result:
        variables = {"DATA_DIR": str(checkout / "data")} | ({"DATABASE_URL": dsn.libpq_url} if dsn else {})
        with patch.dict(os.environ, bare_environ() | variables, clear=True):
            return CliRunner().invoke(main, ["migrate", *args])

    return migrate


def add(checkout: Path, words: str, text: str, down: str = _REMOVE, *, step: int = 1) -> str:
    """Add a migration, so many numbers after those that are there, and return its id."""
    folder = checkout / "migrations"
    last = read_migrations(folder, check=False)[-1]
    id_ = f"{last.number + step:04}.{words}"
    (folder / f"{id_}.sql").write_text(text.format(before=last.id))
    (folder / f"{id_}.rollback.sql").write_text(down)
    write_checksums(folder)
    return id_


def edit(checkout: Path, id_: str) -> None:
    """Change a migration, and its checksum with it."""
    folder = checkout / "migrations"
    path = folder / f"{id_}.sql"
    path.write_text(path.read_text() + "-- More.\n")
    write_checksums(folder)


def test_the_help_tells_the_exit_codes(migrate: Invoke) -> None:
    said = " ".join(migrate(None, "--help").stdout.split())
    assert "0 nothing is wrong, 1 refused or failed, 2 wrong usage or settings, 3 migrations are pending" in said


def test_what_does_not_exist_is_wrong_usage(migrate: Invoke) -> None:
    for args in (["nonsense"], ["apply", "--fast"], ["rollback", "--count", "0"], ["apply", "--wait", "-1"], ["new"]):
        assert migrate(None, *args).exit_code == 2


# plan


def test_a_plan_is_the_sql_that_would_run_with_what_it_locks(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    assert migrate(dsn, "plan").stdout == "-- Nothing is pending.\n"
    added = add(checkout, "add-due-at", _ADD)
    indexed = add(checkout, "index-due-at", _INDEX)
    (checkout / "migrations" / f"{added}.locks.txt").write_text(
        "apply     ACCESS EXCLUSIVE        notes  rewrites\nrollback  ACCESS EXCLUSIVE        notes\n"
    )
    planned = migrate(dsn, "plan")

    assert planned.exit_code == 0
    assert planned.stdout == (
        f"-- {added}: let a note have a date.\n"
        "-- order: before the code that reads it.\n"
        "-- in a transaction\n"
        "-- timeouts: 500ms for a lock, 30s for a statement\n"
        "-- locks: ACCESS EXCLUSIVE on notes, rewrites\n"
        f"\n{_ADD.format(before=IDS[-1])}\n"
        f"-- {indexed}: find what is due.\n"
        "-- order: before the code that reads it.\n"
        "-- not in a transaction\n"
        "-- timeouts: 10min for a lock, 1h for a statement\n"
        "-- locks: not measured; `make schema` does so\n"
        f"\n{_INDEX.format(before=added)}\n"
    )
    told = json.loads(migrate(dsn, "plan", "--json").stdout)
    assert told["problems"] == []
    assert [step["id"] for step in told["steps"]] == [added, indexed]
    assert told["steps"][0]["locks"] == [
        {"direction": "apply", "mode": "ACCESS EXCLUSIVE", "table": "notes", "work": "rewrites"}
    ]
    assert (told["steps"][1]["is_transactional"], told["steps"][1]["locks"]) == (False, None)


def test_a_plan_says_what_apply_would_refuse(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    edit(checkout, IDS[0])
    planned = migrate(dsn, "plan", "--json")

    assert planned.exit_code == 1
    (problem,) = json.loads(planned.stdout)["problems"]
    assert problem.startswith(f"{IDS[0]} was edited after it was applied.")
    assert planned.stderr == f"{problem}\n"


def test_plan_and_status_need_no_lock_and_no_more_than_to_read_what_was_applied(
    migrate: Invoke, checkout: Path, dsn: Dsn
) -> None:
    reader = replace(dsn, user=f"reader_{dsn.database}", password="only-to-read")
    with psycopg.connect(dsn.libpq_url, autocommit=True) as administrator:
        administrator.execute(f"CREATE ROLE {reader.user} LOGIN PASSWORD 'only-to-read'".encode())
        try:
            administrator.execute(f"GRANT SELECT ON _yoyo_migration, _migration_checksum TO {reader.user}".encode())
            administrator.execute("SELECT pg_advisory_lock(1952543595, 1835624306)")
            edit(checkout, IDS[0])
            for command in ("status", "plan"):
                asked = migrate(reader, command)
                assert asked.exit_code == 1
                assert asked.stderr.startswith(f"{IDS[0]} was edited after it was applied.")
        finally:
            administrator.execute(f"DROP OWNED BY {reader.user}".encode())
            administrator.execute(f"DROP ROLE {reader.user}".encode())


def test_whatever_is_refused_is_told_to_programs_too(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    (checkout / "migrations" / CHECKSUMS).unlink()
    for command in ("plan", "apply", "status", "rollback", "verify"):
        refused = migrate(dsn, command, "--json")
        assert refused.exit_code == 1
        assert json.loads(refused.stdout)["error"] == refused.stderr.strip()
        assert refused.stderr.startswith("There is no checksums.txt in ")
    shutil.rmtree(checkout / "migrations")
    for args in (["snapshot"], ["new", "add-due-at"]):
        refused = migrate(None, *args, "--json")
        assert json.loads(refused.stdout) == {"error": "There is no folder migrations."}


# apply


def test_apply_tells_programs_what_it_did_and_how_long_it_took(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    added = add(checkout, "add-due-at", _ADD)
    applied = migrate(dsn, "apply", "--json")

    assert applied.exit_code == 0
    told = json.loads(applied.stdout)
    assert [done["id"] for done in told["applied"]] == [added]
    assert 0 < told["applied"][0]["seconds"] < 60
    assert told["error"] is None
    assert json.loads(migrate(dsn, "apply", "--json").stdout) == {"applied": [], "error": None}


def test_apply_tells_programs_of_its_failure_too(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    added = add(checkout, "add-due-at", _ADD)
    failing = add(checkout, "fail", "-- depends: {before}\nSELECT 1 / 0;\n")
    failed = migrate(dsn, "apply", "--json")

    assert failed.exit_code == 1
    told = json.loads(failed.stdout)
    assert [done["id"] for done in told["applied"]] == [added]
    assert told["error"] == f"{failing}, apply: division by zero. It changed nothing."
    assert failed.stderr == f"{told['error']}\n"


def test_what_a_migration_selects_is_no_part_of_what_programs_read(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    add(checkout, "look", "-- depends: {before}\nSELECT 'looked at' AS said;\n")
    applied = migrate(dsn, "apply", "--json")

    assert json.loads(applied.stdout)["error"] is None
    assert "looked at" in applied.stderr


def test_apply_out_of_order_is_refused_unless_it_is_allowed_and_the_status_tells(
    migrate: Invoke, checkout: Path, dsn: Dsn
) -> None:
    added = add(checkout, "add-due-at", _ADD, step=2)
    assert migrate(dsn, "apply").exit_code == 0
    late = add(checkout, "look", "-- depends:\nSELECT 1;\n", step=-1)
    refused = migrate(dsn, "apply")
    planned = migrate(dsn, "plan", "--allow-out-of-order")
    allowed = migrate(dsn, "apply", "--allow-out-of-order")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"{late} comes before {added[:4]}, which has been applied.")
    assert (planned.exit_code, allowed.exit_code) == (0, 0)
    assert migrate(dsn, "status").stdout.splitlines()[-2:] == [
        f"{late}  applied, out of order",
        f"{added}  applied",
    ]


def test_apply_that_has_to_wait_says_for_whom(migrate: Invoke, dsn: Dsn) -> None:
    holder = replace(dsn, parameters=(("application_name", "another deploy"),))
    with psycopg.connect(holder.libpq_url) as connection:
        connection.execute("SELECT pg_advisory_lock(1952543595, 1835624306)")
        waited = migrate(dsn, "apply", "--wait", "0.2")

        assert waited.exit_code == 1
        told, refused = waited.stderr.splitlines()
        who = f"process {connection.info.backend_pid} (another deploy, idle in transaction for 0 s)"
        assert told == f"all  waiting: another run holds the lock: {who}"
        assert refused == f"Another run holds the lock on {dsn}: {who}. Nothing was done."


# status


def test_the_status_is_3_where_that_is_asked_and_something_is_pending(
    migrate: Invoke, checkout: Path, dsn: Dsn
) -> None:
    assert migrate(dsn, "status", "--exit-code").exit_code == 0
    added = add(checkout, "add-due-at", _ADD)

    assert migrate(dsn, "status").exit_code == 0
    pending = migrate(dsn, "status", "--exit-code")
    assert (pending.exit_code, pending.stdout.splitlines()[-1]) == (3, f"{added}  pending")
    told = json.loads(migrate(dsn, "status", "--json").stdout)
    assert (
        {key: told[-1][key] for key in ("id", "state", "applied_at", "out_of_order", "problem")}
        == told[-1]
        == {
            "id": added,
            "state": "pending",
            "applied_at": None,
            "out_of_order": False,
            "problem": None,
        }
    )
    assert told[0]["state"] == "applied"
    assert told[0]["applied_at"]


def test_the_status_of_a_wrong_history_is_1(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    edit(checkout, IDS[0])
    wrong = migrate(dsn, "status", "--exit-code")

    assert wrong.exit_code == 1
    assert wrong.stdout.splitlines()[0] == f"{IDS[0]}  edited"
    assert wrong.stderr.startswith(f"{IDS[0]} was edited after it was applied.")


# rollback


def test_a_rollback_that_loses_data_says_what_and_wants_a_yes(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    added = add(checkout, "add-due-at", _ADD)
    assert migrate(dsn, "apply").exit_code == 0
    refused = migrate(dsn, "rollback", "--json")
    done = migrate(dsn, "rollback", "--yes", "--json")

    assert refused.exit_code == 1
    assert refused.stderr == f"{added} loses every date. Nothing was rolled back: to lose that, say --yes.\n"
    assert json.loads(refused.stdout) == {"rolled_back": [], "error": refused.stderr.strip()}
    assert [one["id"] for one in json.loads(done.stdout)["rolled_back"]] == [added]


# verify


def test_verify_says_that_the_schema_is_as_it_should_be(migrate: Invoke, dsn: Dsn) -> None:
    verified = migrate(dsn, "verify")

    assert (verified.exit_code, verified.stdout) == (0, f"The schema of {dsn} is that of docs/schema.sql.\n")
    assert json.loads(migrate(dsn, "verify", "--json").stdout) == {
        "is_as_it_should_be": True,
        "problems": [],
        "difference": "",
    }


def test_verify_shows_what_differs_and_what_is_pending(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    added = add(checkout, "add-due-at", _ADD)
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        connection.execute("DROP INDEX revisions_expires_at_idx")
    verified = migrate(dsn, "verify")

    assert verified.exit_code == 1
    assert verified.stdout.startswith(f"--- docs/schema.sql\n+++ {dsn}\n@@ ")
    assert "\n-CREATE INDEX revisions_expires_at_idx ON public.revisions" in verified.stdout
    assert verified.stderr == f"{added} is pending.\nThe schema differs.\n"
    told = json.loads(migrate(dsn, "verify", "--json").stdout)
    assert told == {
        "is_as_it_should_be": False,
        "problems": [f"{added} is pending."],
        "difference": verified.stdout,
    }


def test_verify_tells_of_an_index_that_is_invalid(migrate: Invoke, dsn: Dsn) -> None:
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'revisions_expires_at_idx'::regclass"
        )
    verified = migrate(dsn, "verify")

    assert verified.exit_code == 1
    assert "The index revisions_expires_at_idx is invalid.\n" in verified.stderr


def test_verify_without_the_schema_to_compare_with_says_so(migrate: Invoke, checkout: Path, dsn: Dsn) -> None:
    (checkout / "docs" / "schema.sql").unlink()
    verified = migrate(dsn, "verify")

    assert verified.exit_code == 1
    assert verified.stderr.startswith("docs/schema.sql cannot be read: ")
    assert verified.stderr.count("\n") == 1


def test_verify_without_a_pg_dump_of_that_version_says_what_to_do(migrate: Invoke, dsn: Dsn) -> None:
    verified = migrate(dsn, "verify", "--pg-dump", "/bin/true")

    assert (verified.exit_code, verified.stderr) == (1, "/bin/true is no pg_dump of PostgreSQL 18.\n")


# snapshot


def test_a_snapshot_writes_what_is_made_of_the_migrations_and_tells_when_it_has_drifted(
    migrate: Invoke, checkout: Path
) -> None:
    added = add(checkout, "add-due-at", _ADD)
    folder = checkout / "migrations"
    (folder / CHECKSUMS).unlink()
    locks = [f"migrations/{id_}.locks.txt" for id_ in [*IDS, added]]
    names = ["docs/schema.sql", "migrations/checksums.txt", *locks]
    drifted = migrate(None, "snapshot", "--check", "--json")
    written = migrate(None, "snapshot")
    again = migrate(None, "snapshot")
    checked = migrate(None, "snapshot", "--check")

    assert drifted.exit_code == 1
    lines = json.loads(drifted.stdout)["drifted"]
    assert [line.partition(":")[0].partition(" ")[0] for line in lines] == names
    assert (written.exit_code, written.stdout.splitlines()) == (0, [f"Wrote {name}." for name in names])
    assert [(said.exit_code, said.stdout) for said in (again, checked)] == [(0, "All is current.\n")] * 2
    assert "due_at" in (checkout / "docs" / "schema.sql").read_text()
    assert "apply     ACCESS EXCLUSIVE        notes" in (folder / f"{added}.locks.txt").read_text()
    assert len(read_migrations(folder)) == len(IDS) + 1


# new


def test_a_new_migration_has_the_next_number_and_the_header_to_fill_in(
    migrate: Invoke, checkout: Path, empty_database: Dsn
) -> None:
    begun = migrate(None, "new", "add-note-due-at")
    concurrent = json.loads(migrate(None, "new", "index-note-due-at", "--concurrently", "--json").stdout)
    added, indexed = (f"{int(IDS[-1][:4]) + step:04}.{verb}-note-due-at" for step, verb in ((1, "add"), (2, "index")))

    assert begun.exit_code == 0
    assert begun.stdout.splitlines()[:2] == [
        f"Wrote migrations/{added}.sql.",
        f"Wrote migrations/{added}.rollback.sql.",
    ]
    assert (checkout / "migrations" / f"{added}.sql").read_text() == (
        f"-- depends: {IDS[-1]}\n"
        "-- Purpose:\n"
        "-- Locks: none on existing tables.\n"
        "-- Order: before the code that reads it.\n\n"
    )
    assert (checkout / "migrations" / f"{added}.rollback.sql").read_text() == "-- Loses: nothing.\n\n"
    assert concurrent == [f"migrations/{indexed}.sql", f"migrations/{indexed}.rollback.sql"]
    assert "\n-- transactional: false\n" in (checkout / concurrent[0]).read_text()
    (checkout / concurrent[0]).unlink()
    (checkout / concurrent[1]).unlink()
    write_checksums(checkout / "migrations")
    assert runner.apply(empty_database, checkout / "migrations")[-1] == added


def test_after_9999_there_is_no_number_left(migrate: Invoke, checkout: Path) -> None:
    add(checkout, "add-due-at", _ADD, step=9999 - int(IDS[-1][:4]))
    refused = migrate(None, "new", "add-more")

    assert (refused.exit_code, refused.stderr) == (1, "There is no number left after 9999.\n")


@pytest.mark.parametrize("words", ["add", "Add-Due", "add due", "add_due", "-add", "../add-due"])
def test_a_name_that_is_none_is_refused(migrate: Invoke, checkout: Path, words: str) -> None:
    before = sorted(checkout.rglob("*"))
    refused = migrate(None, "new", "--", words)

    assert refused.exit_code == 1
    assert refused.stderr == (
        f"{words} does not name a migration: lower-case words with hyphens between, a verb first.\n"
    )
    assert sorted(checkout.rglob("*")) == before
