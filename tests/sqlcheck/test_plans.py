"""What a statement promises of its plan, and what PostgreSQL makes of it: each broken promise and what is said."""

from collections.abc import Callable
from pathlib import Path

import marshmallow
import pytest

from service.resources import resource_folder
from service.sqlcheck.checks import plans
from service.sqlcheck.reading.schema import DatabaseSchema, read_schema
from service.sqlcheck.reading.statements import Statement, read_statements
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.plan_trees import clauses_of, conditions, keys
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

Planted = Callable[[str], str]

GET_TASK = """
-- name: get_task(user_id, id)^
-- A task.
-- Takes: TaskKey.
-- Returns: Task, no row when there is none.
-- Plan: {plan}
SELECT title
FROM tasks
WHERE user_id = :user_id
    AND id = :id;
"""

LIST_TASKS = """
-- name: list_tasks(user_id, page_size)
-- Some tasks.
-- Takes: NewestFirst.
-- Plan: {plan}
SELECT title
FROM tasks
WHERE user_id = :user_id
ORDER BY {order}
LIMIT :page_size;
"""

NO_INDEX = (
    "there is no such index: name one, or say `seq scan of TABLE`, `discards`, `insert`, `no sort`, `no table`,"
    " `sort`, `tid scan`; a remark goes behind a semicolon."
)


class Exampleless(marshmallow.Schema):
    """It tells nobody what an id looks like."""

    id = marshmallow.fields.UUID(required=True)


@pytest.fixture
def schema(scratch: Connection) -> DatabaseSchema:
    """The schema that the migrations make."""
    return read_schema(scratch)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], list[Statement]]:
    """Read statements as if they stood in sql/planted.sql, from its second line on."""

    def _read(text: str) -> list[Statement]:
        folder = tmp_path / "sql"
        folder.mkdir(exist_ok=True)
        (folder / "planted.sql").write_text(text, encoding="utf-8")
        return read_statements(folder)

    return _read


@pytest.fixture
def planted(scratch: Connection, schema: DatabaseSchema, read: Callable[[str], list[Statement]]) -> Planted:
    """Check statements, and return what is said of them, a fault a line."""
    return lambda text: "\n".join(map(str, plans.check(read(text), schema, scratch)))


@on_each_postgresql
def test_every_plan_of_the_service_is_as_promised_and_finds_something(
    scratch: Connection, schema: DatabaseSchema
) -> None:
    assert list(map(str, plans.check(read_statements(resource_folder("sql")), schema, scratch))) == []


@on_each_postgresql
def test_an_index_that_is_promised_is_used(planted: Planted, scratch: Connection) -> None:
    version = scratch.info.server_version // 10000
    assert planted(GET_TASK.format(plan="tasks_user_id_created_at_id_idx.")) == (
        f"sql/planted.sql:6 get_task: Plan promises `tasks_user_id_created_at_id_idx`, but PostgreSQL {version} plans"
        " `tasks_pkey`: change the statement or the indexes until it plans what is promised, or promise what it plans."
    )


def test_every_index_that_is_used_is_promised(planted: Planted) -> None:
    assert planted("""
-- name: get_spent_refresh_token(user_id, session_id, token_hash)^
-- A spent token and its session.
-- Takes: SpentTokenKey.
-- Plan: spent_refresh_tokens_pkey.
SELECT sessions.id
FROM spent_refresh_tokens
JOIN sessions
    ON sessions.user_id = spent_refresh_tokens.user_id
    AND sessions.id = spent_refresh_tokens.session_id
WHERE spent_refresh_tokens.user_id = :user_id
    AND spent_refresh_tokens.session_id = :session_id
    AND spent_refresh_tokens.token_hash = :token_hash;
""") == (
        "sql/planted.sql:5 get_spent_refresh_token: Plan promises `spent_refresh_tokens_pkey`, but PostgreSQL 18 plans"
        " `spent_refresh_tokens_pkey, sessions_pkey`: change the statement or the indexes until it plans what is"
        " promised, or promise what it plans."
    )


@pytest.mark.parametrize(
    "plan", ["seq scan of task_statuses, tasks_pkey.", "tid scan, tasks_pkey.", "tasks_pkey, insert."]
)
def test_nothing_is_promised_that_is_not_done(planted: Planted, plan: str) -> None:
    assert planted(GET_TASK.format(plan=plan)) == (
        f"sql/planted.sql:6 get_task: Plan promises `{plan[:-1]}`, but PostgreSQL 18 plans `tasks_pkey`: change the"
        " statement or the indexes until it plans what is promised, or promise what it plans."
    )


def test_a_seq_scan_is_promised(planted: Planted) -> None:
    assert planted("""
-- name: get_task_status(status)^
-- A status.
-- Takes: status from Task.
-- Plan: task_statuses_pkey.
SELECT is_done
FROM task_statuses
WHERE status = :status;
""") == (
        "sql/planted.sql:5 get_task_status: Plan promises `task_statuses_pkey`, but PostgreSQL 18 plans `seq scan of"
        " task_statuses`: change the statement or the indexes until it plans what is promised, or promise what it"
        " plans."
    )


def test_a_seq_scan_is_of_a_handful_however_few_of_its_rows_are_read(planted: Planted) -> None:
    assert planted("""
-- name: get_any_user()^
-- Anybody.
-- Plan: seq scan of users.
-- Scope: all users.
SELECT email
FROM users
LIMIT 1;
""") == (
        "sql/planted.sql:4 get_any_user: Plan says `seq scan of users`, but users is no handful:"
        " docs/rows.sql gives it 3000 rows, and more than 500 are too many. Have an index for it."
    )


def test_a_scan_that_cannot_be_promised_is_none_that_passes(planted: Planted) -> None:
    assert planted("""
-- name: get_any_client()^
-- Anybody.
-- Plan: sample scan of clients.
SELECT name
FROM clients TABLESAMPLE system (100)
LIMIT 1;
""") == (f"sql/planted.sql:4 get_any_client: Plan says `sample scan of clients`, but {NO_INDEX}")


def test_what_is_read_beside_the_schema_is_not_promised(planted: Planted) -> None:
    assert planted("""
-- name: get_class()^
-- A table of PostgreSQL's.
-- Plan: no table.
SELECT relname
FROM pg_class
WHERE oid = 'pg_class'::regclass;
""") == (
        "sql/planted.sql:4 get_class: Plan promises `no table`, but PostgreSQL 18 plans `pg_class_oid_index`: change"
        " the statement or the indexes until it plans what is promised, or promise what it plans."
    )


def test_no_table_is_what_a_statement_without_one_promises(planted: Planted) -> None:
    text = """
-- name: list_numbers()
-- Numbers.
-- Plan: {plan}
SELECT number
FROM generate_series(1, 3) AS number
ORDER BY number;
"""
    assert planted(text.format(plan="no table, sort; of three.")) == ""
    assert planted(text.format(plan="no sort.")) == (
        "sql/planted.sql:4 list_numbers: Plan promises nothing, but PostgreSQL 18 plans `no table, sort`: change the"
        " statement or the indexes until it plans what is promised, or promise what it plans."
    )


@on_each_postgresql
def test_a_sort_is_promised(planted: Planted, scratch: Connection) -> None:
    version = scratch.info.server_version // 10000
    order = "created_at DESC, title"  # an Incremental Sort, of what the index has sorted in part
    assert planted(LIST_TASKS.format(plan="tasks_user_id_created_at_id_idx, sort.", order=order)) == ""
    assert planted(LIST_TASKS.format(plan="tasks_user_id_created_at_id_idx, no sort.", order=order)) == (
        f"sql/planted.sql:5 list_tasks: Plan promises `tasks_user_id_created_at_id_idx`, but PostgreSQL {version} plans"
        " `sort, tasks_user_id_created_at_id_idx`: change the statement or the indexes until it plans what is"
        " promised, or promise what it plans."
    )


def test_a_sort_that_is_promised_is_done(planted: Planted) -> None:
    order = "created_at DESC, id DESC"
    assert planted(LIST_TASKS.format(plan="tasks_user_id_created_at_id_idx, sort.", order=order)) == (
        "sql/planted.sql:5 list_tasks: Plan promises `tasks_user_id_created_at_id_idx, sort`, but PostgreSQL 18 plans"
        " `tasks_user_id_created_at_id_idx`: change the statement or the indexes until it plans what is promised, or"
        " promise what it plans."
    )


def test_what_has_an_order_by_says_whether_it_is_sorted(planted: Planted) -> None:
    order = "created_at DESC, id DESC"
    assert planted(LIST_TASKS.format(plan="tasks_user_id_created_at_id_idx.", order=order)) == (
        "sql/planted.sql:5 list_tasks: It has an ORDER BY, but Plan does not say whether it is sorted: add `no sort`,"
        " or `sort` where that is meant."
    )


def test_an_order_by_counts_at_whatever_depth(planted: Planted) -> None:
    assert planted("""
-- name: count_tasks(user_id)$
-- The newest few.
-- Takes: TaskOwner.
-- Plan: tasks_user_id_created_at_id_idx.
SELECT max(number)
FROM (
    SELECT row_number() OVER (ORDER BY created_at DESC) AS number
    FROM tasks
    WHERE user_id = :user_id
    LIMIT 5
) AS numbered;
""") == (
        "sql/planted.sql:5 count_tasks: It has an ORDER BY, but Plan does not say whether it is sorted: add `no sort`,"
        " or `sort` where that is meant."
    )


def test_a_list_says_whether_it_is_sorted(planted: Planted) -> None:
    assert planted("""
-- name: list_task_statuses()
-- In no order.
-- Plan: seq scan of task_statuses.
SELECT status
FROM task_statuses;
""") == (
        "sql/planted.sql:4 list_task_statuses: It is a list, but Plan does not say whether it is sorted: add `no"
        " sort`, or `sort` where that is meant."
    )


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("tasks_pkey", "Plan does not end with a full stop: add it."),
        ("tasks_pkey, tasks_pkey.", "Plan says `tasks_pkey` more than once: say it once."),
        ("tasks_pkey, quickly.", f"Plan says `quickly`, but {NO_INDEX}"),
        ("tasks_pkey, seq scan of chores.", "Plan says `seq scan of chores`, but there is no such table: name one."),
        ("tasks_pkey, no sort, sort.", "Plan says both `sort` and `no sort`: say one."),
    ],
)
def test_a_plan_keeps_to_the_grammar(planted: Planted, plan: str, said: str) -> None:
    assert planted(GET_TASK.format(plan=plan)).splitlines()[0] == f"sql/planted.sql:6 get_task: {said}"


def test_a_remark_may_say_anything(planted: Planted) -> None:
    assert planted(GET_TASK.format(plan="tasks_pkey; quickly, and without a sort. See there; or not.")) == ""


def test_a_statement_says_how_it_is_planned(planted: Planted) -> None:
    assert planted(GET_TASK.replace("-- Plan: {plan}\n", "")) == (
        "sql/planted.sql:2 get_task: Does not say how it is planned: add a line `-- Plan:` (see sql/README.md)."
    )


@on_each_postgresql
def test_an_index_is_entered_by_its_first_column(planted: Planted) -> None:
    assert planted("""
-- name: list_revocations(page_size)
-- The oldest.
-- Takes: RevocationPage.
-- Plan: revocations_created_at_id_idx, no sort.
SELECT id
FROM revocations
ORDER BY created_at, id
LIMIT :page_size;
""") == (
        "sql/planted.sql:5 list_revocations: Reads the whole of revocations_created_at_id_idx, which begins with"
        " created_at, since its index condition is empty: limit created_at, or have an index that begins with what is"
        " limited."
    )


@on_each_postgresql
def test_an_index_of_many_columns_is_not_entered_by_its_second(
    scratch: Connection, read: Callable[[str], list[Statement]]
) -> None:
    with rolled_back(scratch):
        scratch.execute("CREATE INDEX clients_scopes_name_idx ON clients (scopes, name)")
        scratch.execute("SET LOCAL enable_seqscan = off")
        scratch.execute("SET LOCAL enable_sort = off")
        schema = read_schema(scratch)
        statements = read("""
-- name: list_clients(client)
-- Of a name.
-- Takes: NamedClient.
-- Plan: clients_scopes_name_idx, no sort.
SELECT id
FROM clients
WHERE name = :client
ORDER BY scopes;
""")
        [diagnostic] = plans.check(statements, schema, scratch)
    assert diagnostic.message == (
        "Reads the whole of clients_scopes_name_idx, which begins with scopes, since its index condition is"
        " ((name)::text = $1): limit scopes, or have an index that begins with what is limited."
    )


@on_each_postgresql
def test_a_per_user_table_is_read_by_its_owner(planted: Planted) -> None:
    text = """
-- name: list_sessions()
-- Those that have expired.
-- Plan: sessions_expires_at_idx, no sort.
SELECT id
FROM sessions
WHERE expires_at <= now()
ORDER BY expires_at;
"""
    assert planted(text) == (
        "sql/planted.sql:4 list_sessions: Reads sessions by sessions_expires_at_idx without `user_id =` in its index"
        " condition, which is (expires_at <= now()): limit it by user_id, with an index that begins with it, or give"
        " the reason under `Scope:`."
    )
    assert planted(text.replace("SELECT", "-- Scope: all users, since time passes for everybody.\nSELECT")) == ""


def test_a_range_of_owners_is_not_an_owner(planted: Planted) -> None:
    assert planted(GET_TASK.replace("user_id = :user_id", "user_id <= :user_id").format(plan="tasks_pkey.")) == (
        "sql/planted.sql:6 get_task: Reads tasks by tasks_pkey without `user_id =` in its index condition, which is"
        " ((user_id <= $1) AND (id = $2)): limit it by user_id, with an index that begins with it, or give the reason"
        " under `Scope:`."
    )


def test_a_per_user_table_is_not_read_as_a_whole(planted: Planted) -> None:
    assert planted("""
-- name: count_tasks()$
-- Of everybody.
-- Plan: seq scan of tasks.
SELECT count(*)
FROM tasks;
""") == (
        "sql/planted.sql:4 count_tasks: Plan says `seq scan of tasks`, but tasks is no handful:"
        " docs/rows.sql"
        " gives it 26000 rows, and more than 500 are too many. Have an index for it.\n"
        "sql/planted.sql:4 count_tasks: Reads the whole of tasks, whose rows are each one user's: limit it by user_id,"
        " with an index that begins with it, or give the reason under `Scope:`."
    )


DISCARDING = """
-- name: count_tasks(user_id)$
-- Those about plants.
-- Takes: TaskOwner.
-- Plan: {plan}
SELECT count(*)
FROM tasks
WHERE user_id = :user_id
    AND status = 'complete'
    AND title LIKE '%plants%';
"""


@on_each_postgresql
def test_a_scan_keeps_most_of_what_it_reads(planted: Planted) -> None:
    assert (
        planted(DISCARDING.format(plan="tasks_user_id_status_created_at_id_idx, discards; it has to read every title."))
        == ""
    )
    assert planted(DISCARDING.format(plan="tasks_user_id_status_created_at_id_idx.")) == (
        "sql/planted.sql:5 count_tasks: Its Index Scan of tasks_user_id_status_created_at_id_idx keeps 248 rows, and"
        " discards 1486 for want of ((title)::text ~~ '%plants%'::text): have an index that knows, or say `discards`"
        " and, behind a semicolon, why."
    )


@on_each_postgresql
def test_a_join_keeps_most_of_what_it_reads(planted: Planted) -> None:
    assert planted("""
-- name: count_tasks(user_id)$
-- Each with the statuses that its title is longer than.
-- Takes: TaskOwner.
-- Plan: tasks_user_id_status_created_at_id_idx, seq scan of task_statuses.
SELECT count(*)
FROM tasks
JOIN task_statuses ON task_statuses.position + 0 < length(tasks.title)
WHERE tasks.user_id = :user_id
    AND tasks.status = 'complete';
""") == (
        "sql/planted.sql:5 count_tasks: Its Nested Loop keeps 2230 rows, and discards 2972 for want of"
        ' ((task_statuses."position" + 0) < length((tasks.title)::text)): have an index that knows, or say `discards`'
        " and, behind a semicolon, why."
    )


def test_discards_is_not_said_of_what_cannot(planted: Planted) -> None:
    assert planted(GET_TASK.format(plan="tasks_pkey, discards.")) == (
        "sql/planted.sql:6 get_task: Plan says `discards`, but nothing in the plan can discard a row that an index has"
        " found: remove it."
    )


@on_each_postgresql
def test_what_postgresql_refuses_keeps_no_other_statement_from_its_check(planted: Planted) -> None:
    good = GET_TASK.format(plan="tasks_pkey.")
    bad = good.replace("SELECT title", "SELECT titel").replace("get_task", "get_misspelt_task")
    assert planted(bad + good) == (
        'sql/planted.sql:6 get_misspelt_task: PostgreSQL cannot plan it (column "titel" does not exist): mend the'
        " statement."
    )


@on_each_postgresql
def test_what_fails_keeps_no_other_statement_from_its_check(planted: Planted) -> None:
    bad = """
-- name: create_user(email, password_hash)^
-- Somebody who is there.
-- Takes: Credentials.
-- Plan: insert.
INSERT INTO users (email, password_hash)
VALUES (:email, :password_hash)
RETURNING id;
"""
    assert planted(bad + GET_TASK.format(plan="tasks_pkey.")) == (
        "sql/planted.sql:5 create_user: Fails with the examples of Credentials.email, Credentials.password_hash"
        ' (duplicate key value violates unique constraint "users_email_key"): mend the statement, the examples or'
        " docs/rows.sql."
    )


def test_each_parameter_is_fed(planted: Planted) -> None:
    assert planted(GET_TASK.replace("TaskKey", "TaskOwner").format(plan="tasks_pkey.")) == (
        "sql/planted.sql:6 get_task: Cannot be run: nothing feeds :id; name its schema under `Takes:`."
    )


def test_each_parameter_has_an_example(planted: Planted) -> None:
    assert planted(GET_TASK.replace("TaskKey", "TaskOwner, Exampleless").format(plan="tasks_pkey.")) == (
        "sql/planted.sql:6 get_task: Cannot be run: :id has no example; give Exampleless.id one that it accepts."
    )


def test_a_statement_finds_a_row(planted: Planted) -> None:
    assert planted(GET_TASK.replace("id = :id", "id = md5(:id::text)::uuid").format(plan="tasks_pkey.")) == (
        "sql/planted.sql:6 get_task: Finds nothing with the examples of TaskKey.user_id, TaskKey.id: have"
        " docs/rows.sql add a row that it finds."
    )


@pytest.mark.parametrize(("value", "found"), [("count(*)", "0"), ("max(version)", "nothing")])
def test_a_value_is_one_of_some_row(planted: Planted, value: str, found: str) -> None:
    text = """
-- name: count_tasks(user_id, id)$
-- A value of nothing.
-- Takes: TaskKey.
-- Plan: tasks_pkey.
SELECT {value}
FROM tasks
WHERE user_id = :user_id
    AND id = {id};
"""
    assert planted(text.format(value=value, id=":id")) == ""
    assert planted(text.format(value=value, id="md5(:id::text)::uuid")) == (
        f"sql/planted.sql:5 count_tasks: Finds {found} with the examples of TaskKey.user_id, TaskKey.id: have"
        " docs/rows.sql add a row that it finds."
    )


@pytest.mark.parametrize(("title", "said"), [("title", ""), ("'none'", "Finds nothing")])
def test_to_change_a_row_is_to_find_it(planted: Planted, title: str, said: str) -> None:
    diagnostics = planted(f"""
-- name: update_task_title(user_id, id)
-- Return nothing.
-- Takes: TaskKey.
-- Plan: tasks_pkey.
UPDATE tasks
SET title = 'Other'
WHERE user_id = :user_id
    AND id = :id
    AND title = {title};
""")
    assert bool(diagnostics) is bool(said)
    assert said in diagnostics


@on_each_postgresql
def test_a_check_leaves_everything_as_it_was(planted: Planted, scratch: Connection) -> None:
    def state() -> object:
        settings = scratch.execute("SELECT current_setting('plan_cache_mode'), current_setting('jit')").fetchall()
        prepared = scratch.execute("SELECT count(*) FROM pg_prepared_statements WHERE from_sql").fetchall()
        return settings, prepared, scratch.execute("SELECT count(*), max(version) FROM tasks").fetchall()

    before = state()
    assert (
        planted("""
-- name: delete_task(user_id, id)^
-- Remove a task.
-- Takes: TaskKey.
-- Plan: tasks_pkey.
DELETE FROM tasks
WHERE user_id = :user_id
    AND id = :id
RETURNING id;
""")
        == ""
    )
    assert state() == before


def test_an_index_that_is_read_as_a_bitmap_is_one_that_is_used() -> None:
    below = {"Node Type": "Bitmap Index Scan", "Index Name": "clients_scopes_idx"}
    assert clauses_of({"Node Type": "Bitmap Heap Scan", "Relation Name": "clients", "Plans": [below]}) == [
        "clients_scopes_idx"
    ]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("(id = $1)", [("id", True)]),
        ("((email)::text = $1)", [("CAST(email AS text)", True), ("email", True)]),
        ("(id = (InitPlan 1).col1)", [("id", True)]),
        ("((user_id = $1) AND (id > $2))", [("user_id", True), ("id", False)]),
        ("((user_id = $1) AND (ROW(created_at, id) < ROW($2, $3)))", [("user_id", True), ("created_at", False)]),
        ("(ROW(user_id, id) = ROW($2, $3))", [("user_id", False)]),
        ("(user_id = ANY ($1))", [("user_id", False)]),
        ("(user_id IS NULL)", [("user_id", False)]),
        ("(lower((email)::text) = $1)", [("lower(CAST(email AS text))", True)]),
        ("((session_id)::text = ANY ($1))", [("CAST(session_id AS text)", False), ("session_id", False)]),
        ("(users.id = $1)", [("users.id", True)]),
        ("is_done", []),
        ("(hashed SubPlan 1)", []),
        (None, []),
    ],
)
def test_an_index_condition_is_about_columns(text: str | None, read: list[tuple[str, bool]]) -> None:
    assert list(conditions(text)) == read


def test_an_index_begins_with_a_column_or_an_expression(scratch: Connection) -> None:
    with rolled_back(scratch):
        scratch.execute("CREATE INDEX users_idx ON users (lower(email), (id::text), id DESC) INCLUDE (updated_at)")
        index = read_schema(scratch).tables["users"].indexes["users_idx"]
    assert keys(index) == ["lower(CAST(email AS text))", "CAST(id AS text)", "id"]
