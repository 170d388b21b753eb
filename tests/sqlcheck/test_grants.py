"""The grants that a statement needs, and what is said of one that is missing or too much."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from service.sqlcheck.checks.grants import check, is_secret
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import Project
from service.sqlcheck.proofs.privileges import needed, reasons
from service.sqlcheck.reading.schema import Column, DatabaseSchema, read_schema
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import explain, rolled_back
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_each_postgresql, on_one_postgresql
from tests.sqlcheck.conftest import EXAMPLE, Plant

pytestmark = on_one_postgresql

ROLES = EXAMPLE / "migrations" / "0006.create-roles.sql"

Write = Callable[[str], Statement]
FaultsAfter = Callable[..., list[str]]


@pytest.fixture
def write(plant: Plant) -> Write:
    """Write a statement to a file, and read it."""

    def write(sql: str) -> Statement:
        (statement,) = plant(f"-- name: planted()\n{sql};\n")
        return statement

    return write


@pytest.fixture(scope="module")
def schema(subject: Subject) -> DatabaseSchema:
    return subject.schema


@pytest.fixture
def faults_after(subject: Subject) -> FaultsAfter:
    """Change the database, and check it: the example with a statement more, or what a test gives in its place."""

    def faults_after(*changes: str, also: Statement | None = None, **given: Any) -> list[str]:
        statements = [*subject.statements, *filter(None, [also])]
        with rolled_back(subject.connection):
            for change in changes:
                subject.connection.execute(change.encode())
            changed = replace(subject, schema=schema_of(subject), **{"statements": statements, **given})
            return [str(diagnostic) for diagnostic in check(changed)]

    return faults_after


def schema_of(subject: Subject) -> DatabaseSchema:
    """Read the schema as it is by now."""
    return read_schema(subject.project, subject.connection)


def named(subject: Subject, name: str) -> Statement:
    """Return a statement of the example."""
    (found,) = (statement for statement in subject.statements if statement.name == name)
    return found


def line_of(text: str) -> int:
    return ROLES.read_text()[: ROLES.read_text().index(text)].count("\n") + 1


@on_each_postgresql
def test_what_the_example_has_granted_is_what_its_statements_need(faults_after: FaultsAfter) -> None:
    assert faults_after() == []


def test_the_check_leaves_the_database_as_it_was(scratch: Connection, faults_after: FaultsAfter) -> None:
    def state() -> list[object]:
        query = b"SELECT relname, relacl, reltuples FROM pg_class ORDER BY relname"
        return scratch.execute(query).fetchall()

    before = state()
    faults_after()

    assert state() == before


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", ""),
        ("SELECT title FROM notes", "SELECT ON notes"),
        ("SELECT count(*) FROM public.notes", "SELECT ON notes"),
        ("SELECT 1 WHERE EXISTS (SELECT FROM members)", "SELECT ON members"),
        ("SELECT pid FROM pg_stat_activity", ""),
        ("WITH notes AS (SELECT id FROM members) SELECT id FROM notes", "SELECT ON members"),
        ("WITH a AS (WITH notes AS (SELECT 1) SELECT 1 FROM notes) SELECT 1 FROM a, notes", "SELECT ON notes"),
        ("WITH notes AS (SELECT 1 FROM notes) SELECT 1 FROM notes", "SELECT ON notes"),
        ("WITH RECURSIVE notes AS (SELECT 1 UNION SELECT 2 FROM notes) SELECT 1 FROM notes", ""),
        ("WITH notes AS (SELECT 1) SELECT 1 FROM public.notes", "SELECT ON notes"),
        ("SELECT 1 FROM notes TABLESAMPLE system (1)", "SELECT ON notes"),
        ("INSERT INTO topics (topic) VALUES ('x')", "INSERT (topic) ON topics"),
        (
            "INSERT INTO topics VALUES ('x', true, 9)",
            "INSERT (is_closed) ON topics, INSERT (position) ON topics, INSERT (topic) ON topics",
        ),
        ("INSERT INTO topics DEFAULT VALUES", "INSERT (any column) ON topics"),
        (
            "INSERT INTO topics (topic) SELECT title FROM notes",
            "SELECT ON notes, INSERT (topic) ON topics",
        ),
        (
            "INSERT INTO topics (topic) VALUES ('x') RETURNING 1",
            "INSERT (topic) ON topics",
        ),
        (
            "INSERT INTO topics (topic) VALUES ('x') RETURNING *",
            "INSERT (topic) ON topics, SELECT ON topics",
        ),
        (
            "INSERT INTO topics (topic) VALUES ('x') ON CONFLICT DO NOTHING",
            "INSERT (topic) ON topics",
        ),
        (
            "INSERT INTO topics (topic) VALUES ('x') ON CONFLICT (topic) DO NOTHING",
            "INSERT (topic) ON topics, SELECT ON topics",
        ),
        (
            "INSERT INTO members (id) SELECT NULL ON CONFLICT ON CONSTRAINT members_pkey DO UPDATE SET id = NULL",
            "INSERT (id) ON members, SELECT ON members, UPDATE (id) ON members",
        ),
        ("UPDATE topics SET position = 1", "UPDATE (position) ON topics"),
        (
            "UPDATE topics SET (position, is_closed) = (SELECT 1, true)",
            "UPDATE (is_closed) ON topics, UPDATE (position) ON topics",
        ),
        (
            "UPDATE topics SET position = position + 1",
            "SELECT ON topics, UPDATE (position) ON topics",
        ),
        (
            "UPDATE topics AS s SET position = 1 WHERE s.is_closed",
            "SELECT ON topics, UPDATE (position) ON topics",
        ),
        (
            "UPDATE topics SET position = 1 FROM removals WHERE removals.digest IS NULL",
            "SELECT ON removals, UPDATE (position) ON topics",
        ),
        (
            "UPDATE topics SET position = 1 RETURNING topics",
            "SELECT ON topics, UPDATE (position) ON topics",
        ),
        ("DELETE FROM revisions", "DELETE ON revisions"),
        ("DELETE FROM revisions WHERE ctid IS NULL", "DELETE ON revisions, SELECT ON revisions"),
        (
            "DELETE FROM revisions USING removals WHERE removals.digest IS NULL",
            "SELECT ON removals, DELETE ON revisions",
        ),
        (
            "WITH gone AS (DELETE FROM revisions) SELECT 1",
            "DELETE ON revisions",
        ),
        ("SELECT 1 FROM members FOR KEY SHARE", "SELECT ON members, UPDATE (any column) ON members"),
        (
            "SELECT 1 FROM members AS u, notes LIMIT 1 FOR UPDATE OF u",
            "SELECT ON members, UPDATE (any column) ON members, SELECT ON notes",
        ),
        (
            "SELECT 1 FROM members JOIN (SELECT 1 FROM notes) AS t ON true LIMIT 1 FOR SHARE",
            "SELECT ON members, UPDATE (any column) ON members, SELECT ON notes, UPDATE (any column) ON notes",
        ),
        ("WITH t AS (SELECT 1 FROM notes) SELECT 1 FROM t FOR UPDATE", "SELECT ON notes"),
        (
            "SELECT 1 FROM generate_series(1, 2), members TABLESAMPLE system (1) LIMIT 1 FOR NO KEY UPDATE",
            "SELECT ON members, UPDATE (any column) ON members",
        ),
    ],
)
def test_what_a_statement_needs_is_read_out_of_it(
    write: Write, schema: DatabaseSchema, scratch: Connection, sql: str, expected: str
) -> None:
    statement = write(sql)
    privileges = sorted(needed(statement, schema))

    assert ", ".join(map(str, privileges)) == expected
    assert_suffices_and_is_all_needed(scratch, statement, expected)


def assert_suffices_and_is_all_needed(scratch: Connection, statement: Statement, privileges: str) -> None:
    """Ask PostgreSQL: with these the statement runs, as far as privileges go, and without any of them it does not."""
    each = privileges.replace("(any column) ON topics", "(is_closed) ON topics")
    each = each.replace("(any column)", "(id)")
    grants = each.split(", ") if each else []
    with rolled_back(scratch):
        for setup in ("CREATE ROLE nobody_yet", "SET LOCAL lock_timeout = '1s'"):
            scratch.execute(setup.encode())
        for grant in grants:
            scratch.execute(f"GRANT {grant} TO nobody_yet".encode())
        assert not is_denied(scratch, statement)
        for grant in grants:
            with rolled_back(scratch):
                scratch.execute(f"REVOKE {grant} FROM nobody_yet".encode())
                assert is_denied(scratch, statement), grant


def is_denied(scratch: Connection, statement: Statement) -> bool:
    try:
        with rolled_back(scratch):
            scratch.execute(b"SET LOCAL ROLE nobody_yet")
            explain(scratch, statement, analyse=True)
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.errors.IntegrityError:
        pass  # it was allowed to try
    return False


def test_what_a_trigger_does_is_needed_by_who_fires_it(subject: Subject) -> None:
    found = reasons(named(subject, "delete_note"), subject.schema)

    assert {str(privilege): reason.trigger for privilege, reason in found.items()} == {
        "DELETE ON notes": "",
        "SELECT ON notes": "",
        "INSERT (digest) ON removals": "notes_note_removal of notes",
        "SELECT ON removals": "notes_note_removal of notes",
    }


@on_each_postgresql
def test_what_a_foreign_key_does_is_needed_by_nobody(subject: Subject) -> None:
    scratch = subject.connection
    with rolled_back(scratch):
        scratch.execute(b"REVOKE ALL ON notes, revisions FROM notes_app")
        scratch.execute(b"SET LOCAL ROLE notes_app")
        plan = explain(scratch, named(subject, "delete_member"), analyse=True)
        scratch.execute(b"RESET ROLE")

        assert plan["Actual Rows"] == 1
        orphans = scratch.execute(b"SELECT FROM notes WHERE member_id NOT IN (SELECT id FROM members)")
        assert orphans.rowcount == 0


@on_each_postgresql
def test_the_triggers_of_a_cascade_need_what_they_do_up_to_postgresql_17(subject: Subject) -> None:
    scratch, delete_member = subject.connection, named(subject, "delete_member")
    with rolled_back(scratch):
        scratch.execute(b"REVOKE INSERT (digest) ON removals FROM notes_app")
        scratch.execute(b"SET LOCAL ROLE notes_app")
        if scratch.info.server_version >= 180000:
            explain(scratch, delete_member, analyse=True)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="removals"):
                explain(scratch, delete_member, analyse=True)

    assert sorted(map(str, needed(delete_member, subject.schema))) == [
        "DELETE ON members",
        "INSERT (digest) ON removals",
        "SELECT ON members",
        "SELECT ON removals",
    ]


FUNCTION = "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql {} AS $$ BEGIN {} RETURN NEW; END; $$"
TRIGGER = "CREATE TRIGGER planted {} ON topics FOR EACH ROW EXECUTE FUNCTION planted()"
MOVE = "UPDATE topics SET position = 1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("PERFORM 1 FROM members;", "SELECT ON members"),
        ("NEW.position := (SELECT count(*) FROM members);", "SELECT ON members"),
        ("NEW.position = (SELECT count(*) FROM members);", "SELECT ON members"),
        ("IF EXISTS (SELECT FROM members) THEN NULL; END IF;", "SELECT ON members"),
        (
            "DECLARE a int[]; BEGIN a[1:2] := ARRAY[1, 2]; a[(SELECT count(*) FROM members)] = 3; END;",
            "SELECT ON members",
        ),
        (
            "DECLARE a jsonb; BEGIN a['b=c'] := (SELECT to_jsonb(count(*)) FROM members); END;",
            "SELECT ON members",
        ),
        ('DECLARE "a:=b" bigint; BEGIN "a:=b" := (SELECT count(*) FROM members); END;', "SELECT ON members"),
        (
            "DELETE FROM members;",
            "DELETE ON members, INSERT (digest) ON removals, SELECT ON removals",
        ),
        ("UPDATE topics SET is_closed = true;", "UPDATE (is_closed) ON topics"),
        ("UPDATE topics SET position = 2;", "UPDATE (position) ON topics"),
    ],
)
def test_the_body_of_a_trigger_is_read(subject: Subject, write: Write, body: str, expected: str) -> None:
    with rolled_back(subject.connection):
        subject.connection.execute(FUNCTION.format("", body).encode())
        subject.connection.execute(TRIGGER.format("BEFORE UPDATE").encode())
        found = {str(one) for one in needed(write(MOVE), schema_of(subject))}

    assert found == {*expected.split(", "), "UPDATE (position) ON topics"}


@pytest.mark.parametrize(
    ("options", "event", "fires"),
    [
        ("", "BEFORE UPDATE", True),
        ("", "AFTER UPDATE OF position", True),
        ("", "AFTER UPDATE OF is_closed", False),
        ("", "BEFORE INSERT OR DELETE", False),
        ("SECURITY DEFINER", "BEFORE UPDATE", False),
    ],
)
def test_only_a_trigger_that_is_fired_and_does_not_run_as_its_owner_counts(
    subject: Subject, write: Write, options: str, event: str, *, fires: bool
) -> None:
    with rolled_back(subject.connection):
        subject.connection.execute(FUNCTION.format(options, "PERFORM 1 FROM members;").encode())
        subject.connection.execute(TRIGGER.format(event).encode())
        found = {str(one) for one in needed(write(MOVE), schema_of(subject))}

    assert ("SELECT ON members" in found) == fires


def test_a_foreign_key_fires_what_is_after_its_change_and_not_what_is_before(subject: Subject, write: Write) -> None:
    with rolled_back(subject.connection):
        subject.connection.execute(b"ALTER TABLE notes DROP CONSTRAINT notes_topic_fkey")
        subject.connection.execute(b"ALTER TABLE notes ADD FOREIGN KEY (topic) REFERENCES topics ON UPDATE CASCADE")
        subject.connection.execute(FUNCTION.format("", "PERFORM 1 FROM members;").encode())
        subject.connection.execute(
            b"CREATE TRIGGER planted AFTER UPDATE OF topic ON notes FOR EACH ROW EXECUTE FUNCTION planted()"
        )
        schema = schema_of(subject)

    moved = needed(write(MOVE), schema)
    renamed = needed(write("UPDATE topics SET topic = 'x'"), schema)

    assert sorted(map(str, moved)) == ["UPDATE (position) ON topics"]
    # A BEFORE trigger of notes reads topics, as the owner of notes.
    assert sorted(map(str, renamed)) == ["SELECT ON members", "UPDATE (topic) ON topics"]


def test_a_function_of_our_own_needs_what_is_in_it(subject: Subject, write: Write) -> None:
    with rolled_back(subject.connection):
        body = "BEGIN RETURN (SELECT count(*) FROM members); END;"
        subject.connection.execute(f"CREATE FUNCTION planted() RETURNS bigint LANGUAGE plpgsql AS $${body}$$".encode())

        assert [str(one) for one in needed(write("SELECT planted()"), schema_of(subject))] == ["SELECT ON members"]


@pytest.mark.parametrize(
    ("sql", "change", "why"),
    [
        (
            "MERGE INTO notes USING members ON false WHEN MATCHED THEN DELETE",
            "",
            "a MERGE needs to be granted: write INSERT, UPDATE or DELETE",
        ),
        (
            "SELECT planted()",
            "CREATE FUNCTION planted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM members'",
            "planted() needs to be granted: write it in PL/pgSQL",
        ),
        (
            "SELECT planted()",
            "CREATE FUNCTION planted() RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE 'SELECT 1'; END;$$",
            "planted() needs to be granted, since it puts a statement together when it runs: write the statement out",
        ),
    ],
)
def test_what_cannot_be_read_is_a_fault(
    write: Write, faults_after: FaultsAfter, sql: str, change: str, why: str
) -> None:
    statement = write(sql)

    assert faults_after(change, also=statement) == [f"{statement.file}:1 planted: Cannot tell what {why}."]


def test_what_cannot_be_read_is_told_to_who_asks(schema: DatabaseSchema, write: Write) -> None:
    statement = write("MERGE INTO notes USING members ON false WHEN MATCHED THEN DELETE")

    with pytest.raises(CheckError, match="Cannot tell what a MERGE needs"):
        needed(statement, schema)


@pytest.mark.parametrize(
    ("grant", "place", "need"),
    [
        ("SELECT ON members", "create_member: members (email", "SELECT ON members"),
        ("UPDATE (body) ON notes", "update_note: body = CASE", "UPDATE (body) ON notes"),
        (
            "INSERT (digest) ON removals",
            "delete_member: members\nWHERE",
            "INSERT (digest) ON removals, for its trigger notes_note_removal of notes",
        ),
        (
            "UPDATE (expires_at) ON revisions",
            "purge_revisions: FROM revisions\n        WHERE",
            "UPDATE (any column) ON revisions, to lock rows",
        ),
    ],
)
def test_a_grant_that_is_missing_is_a_fault_of_the_first_statement_that_needs_it(
    subject: Subject, faults_after: FaultsAfter, grant: str, place: str, need: str
) -> None:
    name, _, words = place.partition(": ")
    statement = named(subject, name)
    line = statement.sql_lines[statement.sql[: statement.sql.index(words)].count("\n")]

    (diagnostic,) = faults_after(f"REVOKE {grant} FROM notes_app")

    assert diagnostic == (
        f"{statement.file}:{line} {name}: Needs {need}, which notes_app has not been granted: have a migration say"
        f" GRANT {grant} TO notes_app."
    )


@pytest.mark.parametrize(
    ("change", "told", "remedy"),
    [
        (
            "GRANT UPDATE (id) ON notes TO notes_app",
            "notes_app has UPDATE (id) ON notes, which no statement needs",
            "REVOKE UPDATE (id) ON notes FROM notes_app",
        ),
        (
            "GRANT UPDATE (number) ON revisions TO notes_app",
            "notes_app has UPDATE (number) ON revisions, which no statement needs",
            "REVOKE UPDATE (number) ON revisions FROM notes_app",
        ),
        (
            "GRANT SELECT (id) ON notes TO notes_app",
            "notes_app has SELECT (id) ON notes, which no statement needs",
            "REVOKE SELECT (id) ON notes FROM notes_app",
        ),
        (
            "GRANT INSERT ON members TO notes_app",
            "notes_app has INSERT ON members, of which the statements need some columns only",
            "REVOKE INSERT ON members FROM notes_app and GRANT INSERT (email, password_hash) ON members TO notes_app",
        ),
        (
            "GRANT TRUNCATE ON notes TO notes_app",
            "notes_app has TRUNCATE ON notes, which no statement needs",
            "REVOKE TRUNCATE ON notes FROM notes_app",
        ),
        (
            "CREATE VIEW everything AS SELECT * FROM members; GRANT SELECT ON everything TO notes_app",
            "notes_app has SELECT ON everything, which no statement needs",
            "REVOKE SELECT ON everything FROM notes_app",
        ),
        (
            "GRANT INSERT ON notes TO notes_readonly",
            "notes_readonly has INSERT ON notes, and may only read",
            "REVOKE INSERT ON notes FROM notes_readonly",
        ),
        (
            "GRANT SELECT (password_hash) ON members TO notes_readonly",
            "notes_readonly may read members.password_hash, which is secret",
            "REVOKE SELECT (password_hash) ON members FROM notes_readonly",
        ),
        (
            "GRANT SELECT ON members TO notes_readonly",
            "notes_readonly may read all of members, where password_hash is secret",
            (
                "GRANT SELECT (id, email, created_at, updated_at) ON members TO notes_readonly,"
                " after REVOKE SELECT ON members FROM notes_readonly"
            ),
        ),
        (
            "GRANT SELECT (title) ON notes TO PUBLIC",
            "Everybody has SELECT (title) ON notes",
            "REVOKE SELECT (title) ON notes FROM PUBLIC",
        ),
    ],
)
def test_a_grant_that_is_too_much_is_a_fault(faults_after: FaultsAfter, change: str, told: str, remedy: str) -> None:
    # That everybody has something no migration says.
    place = "migrations:1" if "PUBLIC" in change else f"migrations/{ROLES.name}:1"

    assert faults_after(*change.split("; ")) == [f"{place}: {told}: have a migration say {remedy}."]


def test_a_grant_that_may_be_passed_on_is_a_fault(faults_after: FaultsAfter) -> None:
    (diagnostic,) = faults_after("GRANT DELETE ON notes TO notes_app WITH GRANT OPTION")

    assert diagnostic == (
        f"migrations/{ROLES.name}:{line_of('GRANT SELECT, DELETE ON notes')}: notes_app may grant DELETE ON notes to"
        " others: have a migration say REVOKE GRANT OPTION FOR DELETE ON notes FROM notes_app."
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER ROLE notes_app SUPERUSER", "notes_app is a superuser"),
        ("ALTER ROLE notes_app CREATEROLE", "notes_app may create roles"),
        ("ALTER ROLE notes_app CREATEDB", "notes_app may create databases"),
        ("ALTER ROLE notes_app REPLICATION", "notes_app may replicate"),
        ("ALTER ROLE notes_app BYPASSRLS", "notes_app bypasses row security"),
        ("GRANT CREATE ON SCHEMA public TO notes_app", "notes_app may create in schema public"),
        ("GRANT pg_read_all_data TO notes_readonly", "notes_readonly is a member of pg_read_all_data"),
        ("CREATE VIEW mine AS SELECT 1; ALTER VIEW mine OWNER TO notes_app", "notes_app owns view mine"),
    ],
)
def test_a_power_that_is_not_granted_by_name_is_a_fault(faults_after: FaultsAfter, change: str, told: str) -> None:
    found = [diagnostic for diagnostic in faults_after(*change.split("; ")) if told in diagnostic]

    assert found == [
        f"migrations/{ROLES.name}:1: {told}, and may do nothing but what is granted by name: take that away from it."
    ]


def test_a_grant_that_is_too_much_is_shown_where_it_was_written(subject: Subject, faults_after: FaultsAfter) -> None:
    unused = {"create_member", "delete_revisions", "purge_revisions"}
    fewer = [one for one in subject.statements if one.name not in unused]

    assert [diagnostic.partition(", which")[0] for diagnostic in faults_after(statements=fewer)] == [
        f"migrations/{ROLES.name}:{line_of(text)}: notes_app has {privilege}"
        for text, privilege in (
            ("GRANT SELECT, INSERT (email", "INSERT (email) ON members"),
            ("GRANT SELECT, INSERT (email", "INSERT (password_hash) ON members"),
            ("GRANT SELECT, INSERT (member_id, note_id", "DELETE ON revisions"),
            ("GRANT SELECT, INSERT (member_id, note_id", "UPDATE (expires_at) ON revisions"),
        )
    ]


def test_the_line_of_a_grant_is_the_last_that_gives_it(
    subject: Subject, faults_after: FaultsAfter, copy: Project
) -> None:
    (copy.migrations / "9999.grant-again.sql").write_text(
        f"-- {'ä' * 80}\nGRANT SELECT, DELETE\nON revisions\nTO notes_app;\n"
        "DO $$\nBEGIN\n    GRANT UPDATE (expires_at) ON revisions TO notes_app;\nEND;\n$$;\n"
        "REVOKE ALL ON revisions FROM notes_app;\n",
        encoding="utf-8",
    )
    fewer = [one for one in subject.statements if one.name not in {"delete_revisions", "purge_revisions"}]

    found = faults_after(statements=fewer, project=copy)

    assert [diagnostic.partition(": ")[0] for diagnostic in found] == [
        "migrations/9999.grant-again.sql:3",
        "migrations/9999.grant-again.sql:7",
    ]


@pytest.mark.parametrize("privileges", ["ALL", "ALL PRIVILEGES (expires_at)"])
def test_a_grant_of_all_is_a_grant_of_each(
    subject: Subject, faults_after: FaultsAfter, copy: Project, privileges: str
) -> None:
    (copy.migrations / "9999.grant-all.sql").write_text(f"GRANT {privileges} ON revisions TO notes_app;\n")
    fewer = [one for one in subject.statements if one.name not in {"delete_revisions", "purge_revisions"}]

    found = faults_after(statements=fewer, project=copy)

    assert "UPDATE (expires_at) ON revisions" in found[-1]
    assert found[-1].startswith("migrations/9999.grant-all.sql:1: ") == ("expires_at" in privileges)


def test_a_grant_without_which_nothing_fails_is_a_fault(subject: Subject, faults_after: FaultsAfter) -> None:
    # Its trigger reads topics when the topic is another one, which that of the example is not.
    found = faults_after(statements=[named(subject, "update_note")])

    (diagnostic,) = (diagnostic for diagnostic in found if "Without" in diagnostic)
    assert diagnostic == (
        f"migrations/{ROLES.name}:{line_of('GRANT SELECT ON topics')}: Without SELECT ON topics no statement fails,"
        " though update_note would seem to need it: write an example with which one of them does, or have a migration"
        " say REVOKE SELECT ON topics FROM notes_app."
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT 1 / 0 AS nothing",
            "Fails with its examples: division by zero. Mend the examples of what its Takes names.",
        ),
        (
            "SELECT pg_ls_waldir() AS file",
            (
                "Fails as notes_app: permission denied for function pg_ls_waldir, which is more than what its tables"
                " and their triggers need: do without it."
            ),
        ),
    ],
)
def test_a_statement_that_the_role_cannot_run_is_a_fault(
    write: Write, faults_after: FaultsAfter, sql: str, message: str
) -> None:
    statement = write(sql)

    assert faults_after(also=statement) == [f"{statement.file}:1 planted: {message}"]


def test_a_statement_that_has_no_examples_is_left_to_other_checks(plant: Plant, faults_after: FaultsAfter) -> None:
    (statement,) = plant("-- name: planted(id)\nSELECT id FROM notes WHERE id = :id;\n")

    assert faults_after(also=statement) == []


def test_an_extension_may_show_everybody_what_is_its(faults_after: FaultsAfter) -> None:
    assert faults_after("CREATE EXTENSION pg_stat_statements") == []


@pytest.mark.parametrize(
    ("name", "type_", "secret"),
    [
        ("password", "text", True),
        ("password_hash", "text", True),
        ("api_key", "character varying(40)", True),
        ("salt", "text", True),
        ("session_token", "uuid", True),
        ("secret", "text", True),
        ("picture", "bytea", True),
        ("token_expires_at", "timestamp with time zone", False),
        ("monkey", "text", False),
        ("title", "character varying(200)", False),
    ],
)
def test_bytes_and_what_is_named_so_are_secret(name: str, type_: str, *, secret: bool) -> None:
    assert is_secret(Column(name, type_, not_null=True, default_value=None, comment=None)) == secret


def test_who_may_only_read_can_read_no_secret(subject: Subject) -> None:
    scratch = subject.connection
    secrets = [
        (table.name, column.name)
        for table in subject.schema.tables.values()
        for column in table.columns.values()
        if table.is_ours and is_secret(column)
    ]

    assert secrets == [("members", "password_hash"), ("removals", "digest")]
    with rolled_back(scratch):
        scratch.execute(b"SET LOCAL ROLE notes_readonly")
        for table, column in secrets:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), rolled_back(scratch):
                scratch.execute(f"SELECT {column} FROM {table}".encode())
