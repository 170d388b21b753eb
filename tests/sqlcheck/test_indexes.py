"""What each index is needed for; what is said of one that nothing needs, and of a foreign key that needs one."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.resources import resource_folder
from service.sqlcheck.checks import indexes
from service.sqlcheck.checks.indexes import Proof
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.reading.schema import DatabaseSchema, read_schema
from service.sqlcheck.reading.statements import Label, Statement, read_statements
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

STATEMENTS = read_statements(resource_folder("sql"))

Check = Callable[..., str]


@pytest.fixture
def changed(scratch: Connection) -> Iterator[Connection]:
    """The database, for a test that changes its schema."""
    with rolled_back(scratch):
        yield scratch


@pytest.fixture
def check(changed: Connection, tmp_path: Path) -> Check:
    """Check the database as it is by now, against a migration 9.new.sql, and return what is said of one thing."""

    def _check(
        name: str,
        migration: str = "",
        *,
        statements: Sequence[Statement] = (),
        proofs: Sequence[Proof] = indexes.PROOFS,
    ) -> str:
        folder = tmp_path / "migrations"
        folder.mkdir(exist_ok=True)
        (folder / "9.new.sql").write_text(migration, encoding="utf-8")
        found = indexes.check(statements, read_schema(changed), changed, folder, proofs)
        return "\n".join(str(diagnostic) for diagnostic in found if re.search(rf"\b{name}\b", diagnostic.message))

    return _check


def only(*names: str) -> list[Statement]:
    """Return some statements of the service."""
    return [statement for statement in STATEMENTS if statement.name in names]


def of(file: str) -> list[Statement]:
    """Return the statements of one file of the service."""
    return [statement for statement in STATEMENTS if statement.file == f"sql/{file}.sql"]


@on_each_postgresql
def test_every_index_of_the_service_is_needed_and_by_what(scratch: Connection) -> None:
    schema = read_schema(scratch)
    uses = indexes.uses(STATEMENTS, schema, scratch)
    assert uses.keys() == {name for table in schema.tables.values() if table.is_ours for name in table.indexes}
    assert [name for name, needed_by in uses.items() if not needed_by] == []
    assert uses["tasks_user_id_created_at_id_idx"] == [
        "list_tasks: plan",
        "list_tasks_matching: plan",
        "list_tasks_matching_oldest_first: plan",
        "list_tasks_oldest_first: plan",
    ]
    assert uses["idempotency_records_user_id_idx"] == ["idempotency_records_user_id_fkey: support"]
    assert uses["task_statuses_position_key"] == ["list_task_statuses: contracts"]
    assert {"get_task: plan", "get_task: contracts"} <= set(uses["tasks_pkey"])
    assert {"tasks_status_fkey: reference", "get_task_status: contracts"} <= set(uses["task_statuses_pkey"])
    assert {"get_user_credentials: plan", "create_user: contracts"} <= set(uses["users_email_key"])
    assert "create_client: preparation" in uses["clients_name_key"]
    # Triggers write there.
    assert {"update_client_revoked: execution", "delete_user: execution"} <= set(uses["revocations_pkey"])


def test_to_drop_each_index_leaves_everything_as_it_was(scratch: Connection) -> None:
    def state() -> object:
        return read_schema(scratch), scratch.execute("SELECT count(*), max(version) FROM tasks").fetchall()

    before = state()
    indexes.uses(STATEMENTS, read_schema(scratch), scratch)
    assert state() == before


@pytest.mark.parametrize("columns", ["user_id, title", "user_id, id", "completed_at"])
def test_an_index_that_nothing_needs_is_a_fault(changed: Connection, check: Check, columns: str) -> None:
    changed.execute(f"CREATE INDEX tasks_new_idx ON tasks ({columns})")
    assert check("tasks_new_idx", "--\n\nCREATE INDEX tasks_new_idx ON tasks ();", statements=of("tasks")) == (
        "migrations/9.new.sql:3: No statement needs tasks_new_idx, and no foreign key: drop it, or name it under"
        " `Raises:` where it can fail."
    )


@pytest.mark.parametrize(
    ("migration", "place"),
    [
        ("CREATE UNIQUE INDEX CONCURRENTLY x ON users (email);\n\nCREATE INDEX x ON users (email);", "9.new.sql:3"),
        ("CREATE TABLE users (\n    CONSTRAINT x UNIQUE (email)\n);\nDROP INDEX x;", "9.new.sql:2"),
        ("ALTER TABLE users ADD CONSTRAINT x UNIQUE (id);\nCOMMENT ON CONSTRAINT x ON users IS '';", "9.new.sql:1"),
        ("ALTER TABLE users DROP CONSTRAINT x;\nCREATE INDEX xy ON users (id);", ":1"),
    ],
)
def test_a_fault_is_where_the_index_was_made_last(
    changed: Connection, check: Check, tmp_path: Path, migration: str, place: str
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "9.new.rollback.sql").write_text("CREATE INDEX x ON users (created_at);")
    changed.execute("CREATE INDEX x ON users (created_at)")
    assert check("x", migration).startswith(f"migrations/{place}: No statement needs x,")


def test_a_statement_that_is_at_fault_anyway_needs_no_index_for_that(changed: Connection, check: Check) -> None:
    changed.execute("CREATE INDEX tasks_new_idx ON tasks (user_id, title)")
    (get_task,) = only("get_task")
    wrong = {"Plan": replace(get_task.labels["Plan"], text="sort, quickly")}
    statements = [*of("tasks"), replace(get_task, name="get_same_task", labels=wrong)]
    assert "No statement needs tasks_new_idx" in check("tasks_new_idx", statements=statements)


def test_a_unique_constraint_is_needed_by_what_says_that_it_can_raise_it(changed: Connection, check: Check) -> None:
    changed.execute("ALTER TABLE login_failures ADD CONSTRAINT login_failures_both_key UNIQUE (subject, failures)")
    assert "No statement needs login_failures_both_key" in check(
        "login_failures_both_key", statements=of("login_failures")
    )
    (counting,) = only("create_login_failures")
    raising = replace(counting, labels=counting.labels | {"Raises": Label("login_failures_both_key (never).", 1)})
    assert check("login_failures_both_key", statements=[*of("login_failures"), raising]) == ""


def test_a_unique_index_is_needed_by_a_proof(changed: Connection, check: Check) -> None:
    def proof(statements: Sequence[Statement], schema: DatabaseSchema, _connection: Connection) -> Iterator[Diagnostic]:
        for statement in statements:
            if statement.name == "list_task_statuses":
                # One that is there in any case says nothing of an index.
                yield statement.diagnostic("contracts", "No keyset.")
                if "task_statuses_position_key" not in schema.tables["task_statuses"].indexes:
                    yield statement.diagnostic("contracts", "No total order.")

    statements = of("task_statuses")
    said = check("task_statuses_position_key", statements=statements, proofs=[])
    assert "No statement needs task_statuses_position_key" in said
    assert check("task_statuses_position_key", statements=statements, proofs=[proof]) == ""
    uses = indexes.uses(statements, read_schema(changed), changed, [proof])
    assert uses["task_statuses_position_key"] == ["list_task_statuses: contracts"]


def test_an_index_that_a_trigger_needs_is_needed_by_what_fires_it(check: Check) -> None:
    statements = only("purge_revocations", "delete_task")
    assert "No statement needs revocations_pkey" in check("revocations_pkey", statements=statements)
    assert check("revocations_pkey", statements=[*statements, *only("delete_session")]) == ""
    # By way of the sessions, which go with their user.
    assert check("revocations_pkey", statements=[*statements, *only("delete_user")]) == ""


def test_an_index_that_on_conflict_needs_is_needed(check: Check) -> None:
    assert "No statement needs clients_name_key" in check("clients_name_key", statements=only("list_clients"))
    assert check("clients_name_key", statements=only("create_client")) == ""


NO_SUPPORT = (
    "migrations/9.new.sql:1: No index supports tasks_session_fkey, so that to delete a row of sessions reads the whole"
    " of tasks: have an index that begins with user_id, session_id, or say why there is none: COMMENT ON CONSTRAINT"
    " tasks_session_fkey ON tasks IS 'No index supports it: …'."
)


@pytest.fixture
def check_foreign_key(changed: Connection, check: Check) -> Callable[[str], str]:
    """Say what is wrong with a foreign key from tasks to sessions, after some more of a migration."""

    def _check(more: str) -> str:
        foreign_key = (
            "CONSTRAINT tasks_session_fkey FOREIGN KEY (user_id, session_id) REFERENCES sessions (user_id, id)"
        )
        changed.execute("ALTER TABLE tasks ADD COLUMN session_id uuid")
        changed.execute(f"ALTER TABLE tasks ADD {foreign_key}")
        changed.execute(more)
        return check("tasks_session_fkey", f"ALTER TABLE tasks ADD {foreign_key};")

    return _check


@pytest.mark.parametrize(
    "more",
    [
        "",
        "CREATE INDEX i ON tasks (session_id, created_at, user_id)",
        "CREATE INDEX i ON tasks (user_id, session_id) WHERE version > 1",
        "CREATE INDEX i ON tasks (user_id, (session_id::text), session_id)",
        "CREATE INDEX i ON tasks USING brin (user_id, session_id)",
        "COMMENT ON CONSTRAINT tasks_session_fkey ON tasks IS 'It has its reasons.'",
    ],
)
def test_a_foreign_key_has_an_index(check_foreign_key: Callable[[str], str], more: str) -> None:
    assert check_foreign_key(more) == NO_SUPPORT


@pytest.mark.parametrize(
    "more",
    [
        "CREATE INDEX i ON tasks (user_id, session_id)",
        "CREATE INDEX i ON tasks (session_id, user_id, created_at)",
        "COMMENT ON CONSTRAINT tasks_session_fkey ON tasks IS 'No index supports it: sessions stay for good.'",
    ],
)
def test_its_columns_come_first_in_any_order_or_it_has_a_reason(
    check_foreign_key: Callable[[str], str], more: str
) -> None:
    assert check_foreign_key(more) == ""


def test_a_reason_to_have_no_index_is_not_given_where_there_is_one(changed: Connection, check: Check) -> None:
    changed.execute("COMMENT ON CONSTRAINT tasks_user_id_fkey ON tasks IS 'No index supports it: users stay for good.'")
    assert check("tasks_user_id_fkey") == (
        "migrations/:1: The comment on tasks_user_id_fkey says that no index supports it, but one does: drop the index"
        " or the comment."
    )
