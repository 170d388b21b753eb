from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest

from service.resources import resource_folder
from service.sqlcheck.checks.grants import check, is_secret
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.proofs.privileges import needed, reasons
from service.sqlcheck.reading.schema import DatabaseSchema, read_schema
from service.sqlcheck.reading.statements import Statement, read_statements
from service.sqlcheck.trial.execution import explain, rolled_back
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

STATEMENTS = read_statements(resource_folder("sql"))
BY_NAME = {statement.name: statement for statement in STATEMENTS}
ROLES = resource_folder("migrations") / "0011.create-roles.sql"

Write = Callable[[str], Statement]
FaultsAfter = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a statement to a file, and read it."""

    def write(sql: str) -> Statement:
        (tmp_path / "planted.sql").write_text(f"-- name: planted()\n{sql};\n")
        (statement,) = read_statements(tmp_path)
        return statement

    return write


@pytest.fixture(scope="module")
def schema(scratch: Connection) -> DatabaseSchema:
    return read_schema(scratch)


@pytest.fixture
def faults_after(scratch: Connection) -> FaultsAfter:
    """Change the database, and check it with some statements, or with those of the service."""

    def faults_after(*changes: str, statements: Sequence[Statement] = STATEMENTS) -> list[str]:
        with rolled_back(scratch):
            for change in changes:
                scratch.execute(change.encode())
            return [str(diagnostic) for diagnostic in check(statements, read_schema(scratch), scratch)]

    return faults_after


def line_of(text: str) -> int:
    return ROLES.read_text()[: ROLES.read_text().index(text)].count("\n") + 1


@on_each_postgresql
def test_what_the_service_has_been_granted_is_what_its_statements_need(faults_after: FaultsAfter) -> None:
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
        ("SELECT title FROM tasks", "SELECT ON tasks"),
        ("SELECT count(*) FROM public.tasks", "SELECT ON tasks"),
        ("SELECT 1 WHERE EXISTS (SELECT FROM users)", "SELECT ON users"),
        ("SELECT pid FROM pg_stat_activity", ""),
        ("WITH tasks AS (SELECT id FROM users) SELECT id FROM tasks", "SELECT ON users"),
        ("WITH a AS (WITH tasks AS (SELECT 1) SELECT 1 FROM tasks) SELECT 1 FROM a, tasks", "SELECT ON tasks"),
        ("WITH tasks AS (SELECT 1 FROM tasks) SELECT 1 FROM tasks", "SELECT ON tasks"),
        ("WITH RECURSIVE tasks AS (SELECT 1 UNION SELECT 2 FROM tasks) SELECT 1 FROM tasks", ""),
        ("WITH tasks AS (SELECT 1) SELECT 1 FROM public.tasks", "SELECT ON tasks"),
        ("SELECT 1 FROM tasks TABLESAMPLE system (1)", "SELECT ON tasks"),
        ("INSERT INTO task_statuses (status) VALUES ('x')", "INSERT (status) ON task_statuses"),
        (
            "INSERT INTO task_statuses VALUES ('x', true, 9)",
            "INSERT (is_done) ON task_statuses, INSERT (position) ON task_statuses, INSERT (status) ON task_statuses",
        ),
        ("INSERT INTO task_statuses DEFAULT VALUES", "INSERT (any column) ON task_statuses"),
        (
            "INSERT INTO task_statuses (status) SELECT title FROM tasks",
            "INSERT (status) ON task_statuses, SELECT ON tasks",
        ),
        (
            "INSERT INTO task_statuses (status) VALUES ('x') RETURNING 1",
            "INSERT (status) ON task_statuses",
        ),
        (
            "INSERT INTO task_statuses (status) VALUES ('x') RETURNING *",
            "INSERT (status) ON task_statuses, SELECT ON task_statuses",
        ),
        (
            "INSERT INTO task_statuses (status) VALUES ('x') ON CONFLICT DO NOTHING",
            "INSERT (status) ON task_statuses",
        ),
        (
            "INSERT INTO task_statuses (status) VALUES ('x') ON CONFLICT (status) DO NOTHING",
            "INSERT (status) ON task_statuses, SELECT ON task_statuses",
        ),
        (
            "INSERT INTO users (id) SELECT NULL ON CONFLICT ON CONSTRAINT users_pkey DO UPDATE SET id = NULL",
            "INSERT (id) ON users, SELECT ON users, UPDATE (id) ON users",
        ),
        ("UPDATE task_statuses SET position = 1", "UPDATE (position) ON task_statuses"),
        (
            "UPDATE task_statuses SET (position, is_done) = (SELECT 1, true)",
            "UPDATE (is_done) ON task_statuses, UPDATE (position) ON task_statuses",
        ),
        (
            "UPDATE task_statuses SET position = position + 1",
            "SELECT ON task_statuses, UPDATE (position) ON task_statuses",
        ),
        (
            "UPDATE task_statuses AS s SET position = 1 WHERE s.is_done",
            "SELECT ON task_statuses, UPDATE (position) ON task_statuses",
        ),
        (
            "UPDATE task_statuses SET position = 1 FROM revocations WHERE revocations.id IS NULL",
            "SELECT ON revocations, UPDATE (position) ON task_statuses",
        ),
        (
            "UPDATE task_statuses SET position = 1 RETURNING task_statuses",
            "SELECT ON task_statuses, UPDATE (position) ON task_statuses",
        ),
        ("DELETE FROM login_failures", "DELETE ON login_failures"),
        ("DELETE FROM login_failures WHERE ctid IS NULL", "DELETE ON login_failures, SELECT ON login_failures"),
        (
            "DELETE FROM login_failures USING revocations WHERE revocations.id IS NULL",
            "DELETE ON login_failures, SELECT ON revocations",
        ),
        (
            "WITH gone AS (DELETE FROM login_failures) SELECT 1",
            "DELETE ON login_failures",
        ),
        ("SELECT 1 FROM users FOR KEY SHARE", "SELECT ON users, UPDATE (any column) ON users"),
        (
            "SELECT 1 FROM users AS u, tasks LIMIT 1 FOR UPDATE OF u",
            "SELECT ON tasks, SELECT ON users, UPDATE (any column) ON users",
        ),
        (
            "SELECT 1 FROM users JOIN (SELECT 1 FROM tasks) AS t ON true LIMIT 1 FOR SHARE",
            "SELECT ON tasks, UPDATE (any column) ON tasks, SELECT ON users, UPDATE (any column) ON users",
        ),
        ("WITH t AS (SELECT 1 FROM tasks) SELECT 1 FROM t FOR UPDATE", "SELECT ON tasks"),
        (
            "SELECT 1 FROM generate_series(1, 2), users TABLESAMPLE system (1) LIMIT 1 FOR NO KEY UPDATE",
            "SELECT ON users, UPDATE (any column) ON users",
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
    each = privileges.replace("(any column) ON task_statuses", "(is_done) ON task_statuses")
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


def test_what_a_trigger_does_is_needed_by_who_fires_it(schema: DatabaseSchema) -> None:
    found = reasons(BY_NAME["delete_session"], schema)

    assert {str(privilege): reason.trigger for privilege, reason in found.items()} == {
        "DELETE ON sessions": "",
        "SELECT ON sessions": "",
        "INSERT (id) ON revocations": "sessions_revoke of sessions",
        "INSERT (expires_at) ON revocations": "sessions_revoke of sessions",
        "SELECT ON revocations": "sessions_revoke of sessions",
    }


@on_each_postgresql
def test_what_a_foreign_key_does_is_needed_by_nobody(scratch: Connection) -> None:
    with rolled_back(scratch):
        scratch.execute(b"REVOKE ALL ON tasks, sessions, spent_refresh_tokens, idempotency_records FROM task_app")
        scratch.execute(b"SET LOCAL ROLE task_app")
        plan = explain(scratch, BY_NAME["delete_user"], analyse=True)
        scratch.execute(b"RESET ROLE")

        assert plan["Actual Rows"] == 1
        orphans = scratch.execute(b"SELECT FROM tasks WHERE user_id NOT IN (SELECT id FROM users)")
        assert orphans.rowcount == 0


@on_each_postgresql
def test_the_triggers_of_a_cascade_need_what_they_do_up_to_postgresql_17(
    scratch: Connection, schema: DatabaseSchema
) -> None:
    with rolled_back(scratch):
        scratch.execute(b"REVOKE INSERT (id, expires_at) ON revocations FROM task_app")
        scratch.execute(b"SET LOCAL ROLE task_app")
        if scratch.info.server_version >= 180000:
            explain(scratch, BY_NAME["delete_user"], analyse=True)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="revocations"):
                explain(scratch, BY_NAME["delete_user"], analyse=True)

    assert sorted(map(str, needed(BY_NAME["delete_user"], schema))) == [
        "DELETE ON users",
        "INSERT (expires_at) ON revocations",
        "INSERT (id) ON revocations",
        "SELECT ON revocations",
        "SELECT ON users",
    ]


FUNCTION = "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql {} AS $$ BEGIN {} RETURN NEW; END; $$"
TRIGGER = "CREATE TRIGGER planted {} ON task_statuses FOR EACH ROW EXECUTE FUNCTION planted()"
MOVE = "UPDATE task_statuses SET position = 1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("PERFORM 1 FROM users;", "SELECT ON users"),
        ("NEW.position := (SELECT count(*) FROM users);", "SELECT ON users"),
        ("NEW.position = (SELECT count(*) FROM users);", "SELECT ON users"),
        ("IF EXISTS (SELECT FROM users) THEN NULL; END IF;", "SELECT ON users"),
        (
            "DELETE FROM users;",
            "DELETE ON users, INSERT (expires_at) ON revocations, INSERT (id) ON revocations, SELECT ON revocations",
        ),
        ("UPDATE task_statuses SET is_done = true;", "UPDATE (is_done) ON task_statuses"),
        ("UPDATE task_statuses SET position = 2;", "UPDATE (position) ON task_statuses"),
    ],
)
def test_the_body_of_a_trigger_is_read(scratch: Connection, write: Write, body: str, expected: str) -> None:
    with rolled_back(scratch):
        scratch.execute(FUNCTION.format("", body).encode())
        scratch.execute(TRIGGER.format("BEFORE UPDATE").encode())
        found = {str(one) for one in needed(write(MOVE), read_schema(scratch))}

    assert found == {*expected.split(", "), "UPDATE (position) ON task_statuses"}


@pytest.mark.parametrize(
    ("options", "event", "fires"),
    [
        ("", "BEFORE UPDATE", True),
        ("", "AFTER UPDATE OF position", True),
        ("", "AFTER UPDATE OF is_done", False),
        ("", "BEFORE INSERT OR DELETE", False),
        ("SECURITY DEFINER", "BEFORE UPDATE", False),
    ],
)
def test_only_a_trigger_that_is_fired_and_does_not_run_as_its_owner_counts(
    scratch: Connection, write: Write, options: str, event: str, *, fires: bool
) -> None:
    with rolled_back(scratch):
        scratch.execute(FUNCTION.format(options, "PERFORM 1 FROM users;").encode())
        scratch.execute(TRIGGER.format(event).encode())
        found = {str(one) for one in needed(write(MOVE), read_schema(scratch))}

    assert ("SELECT ON users" in found) == fires


def test_a_foreign_key_fires_what_is_after_its_change_and_not_what_is_before(scratch: Connection, write: Write) -> None:
    with rolled_back(scratch):
        scratch.execute(b"ALTER TABLE tasks DROP CONSTRAINT tasks_status_fkey")
        scratch.execute(b"ALTER TABLE tasks ADD FOREIGN KEY (status) REFERENCES task_statuses ON UPDATE CASCADE")
        scratch.execute(FUNCTION.format("", "PERFORM 1 FROM users;").encode())
        scratch.execute(
            b"CREATE TRIGGER planted AFTER UPDATE OF status ON tasks FOR EACH ROW EXECUTE FUNCTION planted()"
        )
        schema = read_schema(scratch)

    moved = needed(write(MOVE), schema)
    renamed = needed(write("UPDATE task_statuses SET status = 'x'"), schema)

    assert sorted(map(str, moved)) == ["UPDATE (position) ON task_statuses"]
    # A BEFORE trigger of tasks reads task_statuses, as the owner of tasks.
    assert sorted(map(str, renamed)) == ["SELECT ON users", "UPDATE (status) ON task_statuses"]


def test_a_function_of_our_own_needs_what_is_in_it(scratch: Connection, write: Write) -> None:
    with rolled_back(scratch):
        body = "BEGIN RETURN (SELECT count(*) FROM users); END;"
        scratch.execute(f"CREATE FUNCTION planted() RETURNS bigint LANGUAGE plpgsql AS $${body}$$".encode())

        assert [str(one) for one in needed(write("SELECT planted()"), read_schema(scratch))] == ["SELECT ON users"]


@pytest.mark.parametrize(
    ("sql", "change", "why"),
    [
        (
            "MERGE INTO tasks USING users ON false WHEN MATCHED THEN DELETE",
            "",
            "a MERGE needs to be granted: write INSERT, UPDATE or DELETE",
        ),
        (
            "SELECT planted()",
            "CREATE FUNCTION planted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users'",
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

    assert faults_after(change, statements=[*STATEMENTS, statement]) == [
        f"{statement.file}:1 planted: Cannot tell what {why}."
    ]


def test_what_cannot_be_read_is_told_to_who_asks(schema: DatabaseSchema, write: Write) -> None:
    statement = write("MERGE INTO tasks USING users ON false WHEN MATCHED THEN DELETE")

    with pytest.raises(CheckError, match="Cannot tell what a MERGE needs"):
        needed(statement, schema)


@pytest.mark.parametrize(
    ("grant", "name", "words", "need"),
    [
        ("SELECT ON task_statuses", "get_task_status", "FROM task_statuses", "SELECT ON task_statuses"),
        ("UPDATE (description) ON tasks", "update_task", "description = CASE", "UPDATE (description) ON tasks"),
        (
            "INSERT (id) ON revocations",
            "update_client_revoked",
            "clients\nSET",
            "INSERT (id) ON revocations, for its trigger clients_revoke of clients",
        ),
        (
            "UPDATE (expires_at) ON revocations",
            "purge_revocations",
            "FROM revocations\n        WHERE",
            "UPDATE (any column) ON revocations, to lock rows",
        ),
    ],
)
def test_a_grant_that_is_missing_is_a_fault_of_the_first_statement_that_needs_it(
    faults_after: FaultsAfter, grant: str, name: str, words: str, need: str
) -> None:
    statement = BY_NAME[name]
    line = statement.sql_lines[statement.sql[: statement.sql.index(words)].count("\n")]

    (diagnostic,) = faults_after(f"REVOKE {grant} FROM task_app")

    assert diagnostic == (
        f"{statement.file}:{line} {name}: Needs {need}, which task_app has not been granted: add a migration with GRANT"
        f" {grant} TO task_app."
    )


@pytest.mark.parametrize(
    ("change", "told", "remedy"),
    [
        (
            "GRANT UPDATE (id) ON tasks TO task_app",
            "task_app has UPDATE (id) ON tasks, which no statement needs",
            "REVOKE UPDATE (id) ON tasks FROM task_app",
        ),
        (
            "GRANT UPDATE (id) ON revocations TO task_app",
            "task_app has UPDATE (id) ON revocations, which no statement needs",
            "REVOKE UPDATE (id) ON revocations FROM task_app",
        ),
        (
            "GRANT SELECT (id) ON tasks TO task_app",
            "task_app has SELECT (id) ON tasks, which no statement needs",
            "REVOKE SELECT (id) ON tasks FROM task_app",
        ),
        (
            "GRANT INSERT ON users TO task_app",
            "task_app has INSERT ON users, of which the statements need some columns only",
            "REVOKE INSERT ON users FROM task_app and GRANT INSERT (email, password_hash) ON users TO task_app",
        ),
        (
            "GRANT TRUNCATE ON tasks TO task_app",
            "task_app has TRUNCATE ON tasks, which no statement needs",
            "REVOKE TRUNCATE ON tasks FROM task_app",
        ),
        (
            "CREATE VIEW everything AS SELECT * FROM users; GRANT SELECT ON everything TO task_app",
            "task_app has SELECT ON everything, which no statement needs",
            "REVOKE SELECT ON everything FROM task_app",
        ),
        (
            "GRANT INSERT ON tasks TO task_readonly",
            "task_readonly has INSERT ON tasks, and may only read",
            "REVOKE INSERT ON tasks FROM task_readonly",
        ),
        (
            "GRANT SELECT (password_hash) ON users TO task_readonly",
            "task_readonly may read users.password_hash, which is secret",
            "REVOKE SELECT (password_hash) ON users FROM task_readonly",
        ),
        (
            "GRANT SELECT ON users TO task_readonly",
            "task_readonly may read all of users, where password_hash is secret",
            (
                "GRANT SELECT (id, email, created_at, updated_at) ON users TO task_readonly,"
                " after REVOKE SELECT ON users FROM task_readonly"
            ),
        ),
        (
            "GRANT SELECT (title) ON tasks TO PUBLIC",
            "Everybody has SELECT (title) ON tasks",
            "REVOKE SELECT (title) ON tasks FROM PUBLIC",
        ),
    ],
)
def test_a_grant_that_is_too_much_is_a_fault(faults_after: FaultsAfter, change: str, told: str, remedy: str) -> None:
    assert faults_after(*change.split("; ")) == [f"migrations/{ROLES.name}:1: {told}: add a migration with {remedy}."]


def test_a_grant_that_may_be_passed_on_is_a_fault(faults_after: FaultsAfter) -> None:
    (diagnostic,) = faults_after("GRANT DELETE ON tasks TO task_app WITH GRANT OPTION")

    assert diagnostic == (
        f"migrations/{ROLES.name}:{line_of('GRANT SELECT, DELETE ON tasks')}: task_app may grant DELETE ON tasks to"
        " others: add a migration with REVOKE GRANT OPTION FOR DELETE ON tasks FROM task_app."
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER ROLE task_app SUPERUSER", "task_app is a superuser"),
        ("ALTER ROLE task_app CREATEROLE", "task_app may create roles"),
        ("ALTER ROLE task_app CREATEDB", "task_app may create databases"),
        ("ALTER ROLE task_app REPLICATION", "task_app may replicate"),
        ("ALTER ROLE task_app BYPASSRLS", "task_app bypasses row security"),
        ("GRANT CREATE ON SCHEMA public TO task_app", "task_app may create in schema public"),
        ("GRANT pg_read_all_data TO task_readonly", "task_readonly is a member of pg_read_all_data"),
        ("CREATE VIEW mine AS SELECT 1; ALTER VIEW mine OWNER TO task_app", "task_app owns view mine"),
    ],
)
def test_a_power_that_is_not_granted_by_name_is_a_fault(faults_after: FaultsAfter, change: str, told: str) -> None:
    found = [diagnostic for diagnostic in faults_after(*change.split("; ")) if told in diagnostic]

    assert found == [
        f"migrations/{ROLES.name}:1: {told}, and may do nothing but what is granted by name: take that away from it."
    ]


def test_a_grant_that_is_too_much_is_shown_where_it_was_written(faults_after: FaultsAfter) -> None:
    fewer = [one for one in STATEMENTS if one.name not in {"delete_task", "list_applied_migrations", "create_user"}]

    assert [diagnostic.partition(", which")[0] for diagnostic in faults_after(statements=fewer)] == [
        f"migrations/{ROLES.name}:{line_of(text)}: task_app has {privilege}"
        for text, privilege in (
            ("GRANT SELECT ON _yoyo_migration TO task_app", "SELECT ON _yoyo_migration"),
            ("GRANT SELECT, DELETE ON tasks", "DELETE ON tasks"),
            ("GRANT SELECT, INSERT (email", "INSERT (email) ON users"),
            ("GRANT SELECT, INSERT (email", "INSERT (password_hash) ON users"),
        )
    ]


def test_a_grant_without_which_nothing_fails_is_a_fault(faults_after: FaultsAfter) -> None:
    # Its trigger acts when a client is revoked, which a new secret is not.
    found = faults_after(statements=[BY_NAME["update_client_secret"]])

    assert [diagnostic for diagnostic in found if "Without" in diagnostic] == [
        f"migrations/{ROLES.name}:{line_of('GRANT SELECT, INSERT (id, expires_at)')}: Without {privilege} no statement"
        " fails, though update_client_secret would seem to need it: write an example with which one of them does, or"
        f" add a migration with REVOKE {privilege} FROM task_app."
        for privilege in (
            "INSERT (expires_at) ON revocations",
            "INSERT (id) ON revocations",
            "SELECT ON revocations",
        )
    ]


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
                "Fails as task_app: permission denied for function pg_ls_waldir, which is more than what its tables and"
                " their triggers need: do without it."
            ),
        ),
    ],
)
def test_a_statement_that_task_app_cannot_run_is_a_fault(
    write: Write, faults_after: FaultsAfter, sql: str, message: str
) -> None:
    statement = write(sql)

    assert faults_after(statements=[*STATEMENTS, statement]) == [f"{statement.file}:1 planted: {message}"]


def test_a_statement_that_has_no_examples_is_left_to_other_checks(tmp_path: Path, faults_after: FaultsAfter) -> None:
    (tmp_path / "planted.sql").write_text("-- name: planted(id)\nSELECT id FROM tasks WHERE id = :id;\n")

    assert faults_after(statements=[*STATEMENTS, *read_statements(tmp_path)]) == []


def test_an_extension_may_show_everybody_what_is_its(faults_after: FaultsAfter) -> None:
    assert faults_after("CREATE EXTENSION pg_stat_statements") == []


def test_bytes_and_what_is_named_so_are_secret(schema: DatabaseSchema) -> None:
    secret = {
        f"{table.name}.{column.name}"
        for table in schema.tables.values()
        for column in table.columns.values()
        if table.is_ours and is_secret(column)
    }

    assert secret == {
        "clients.previous_secret_hash",
        "clients.secret_hash",
        "idempotency_records.body",
        "idempotency_records.fingerprint",
        "idempotency_records.key",
        "login_failures.subject",
        "sessions.successor_salt",
        "sessions.token_hash",
        "spent_refresh_tokens.token_hash",
        "users.password_hash",
    }


def test_who_may_only_read_can_read_no_secret(scratch: Connection, schema: DatabaseSchema) -> None:
    with rolled_back(scratch):
        scratch.execute(b"SET LOCAL ROLE task_readonly")
        for table in filter(lambda table: table.is_ours, schema.tables.values()):
            for column in filter(is_secret, table.columns.values()):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), rolled_back(scratch):
                    scratch.execute(f"SELECT {column.name} FROM {table.name}".encode())
