"""Contracts: each promise that a statement can break, with the fault that it gets."""

from pathlib import Path

import psycopg
import pytest
from marshmallow import fields
from psycopg.rows import tuple_row

from service.resources import resource_folder
from service.schemas.fields import Binary, IsSet, RowSchema, Schema, Text, Timestamp, length
from service.sqlcheck.checks import contracts
from service.sqlcheck.proofs.constraints import RULED_OUT, check_raises
from service.sqlcheck.reading.resolver import read
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql


class PlantedTask(RowSchema):
    """A task, as the planted statements return it."""

    user_id = fields.UUID()
    id = fields.UUID()
    title = Text(validate=length(1, 200))
    description = Text(allow_none=True, validate=length(0, 2000))


class PlantedKey(RowSchema):
    user_id = fields.UUID()
    id = fields.UUID()


class PlantedId(RowSchema):
    id = fields.UUID()


class PlantedFilter(RowSchema):
    status = Text(allow_none=True)
    long_title = Text(validate=length(1, 201))
    endless_title = Text()


class PlantedTypes(RowSchema):
    number = fields.Integer()
    share = fields.Float()
    names = fields.List(Text())
    when = Timestamp()
    digest = Binary()
    thing = fields.Raw()


class PlantedRequest(Schema):
    """What somebody sends: what is left out of it is NULL."""

    title = Text()
    description = Text(load_default=None)
    status = Text(required=True)
    user_id = fields.UUID(load_default="0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90")


class PlantedDone(RowSchema):
    id = fields.UUID()
    is_done = IsSet(attribute="completed_at", dump_only=True)


def diagnostics(scratch: Connection, folder: Path, text: str) -> list[str]:
    """Return what is found in a file of planted statements, without the name of the file."""
    sql = folder / "sql"
    sql.mkdir(exist_ok=True)
    (sql / "planted.sql").write_text(text)
    found = contracts.check(read_statements(sql), read_schema(scratch), scratch)
    return [str(diagnostic).removeprefix("sql/planted.sql:") for diagnostic in found]


GOOD = """-- name: get_task(user_id, id)^
-- One of a user's tasks.
-- Takes: PlantedKey.
-- Returns: PlantedTask, no row when the user has no such task.
SELECT user_id, id, title, description
FROM tasks
WHERE user_id = :user_id
    AND id = :id;
"""


def test_a_statement_that_keeps_its_promises_has_no_fault(scratch: Connection, tmp_path: Path) -> None:
    assert diagnostics(scratch, tmp_path, GOOD) == []


@on_each_postgresql
def test_the_statements_of_the_service_keep_their_promises(scratch: Connection) -> None:
    statements = read_statements(resource_folder("sql"))
    assert [str(diagnostic) for diagnostic in contracts.check(statements, read_schema(scratch), scratch)] == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "FROM tasks",
            "FROM task",
            (
                '6 get_task: PostgreSQL does not prepare it: relation "task" does not exist. Correct it, or the'
                " migration"
                " that made the schema."
            ),
        ),
        (
            "AND id = :id",
            "AND ïd = :id AND true",
            (
                '8 get_task: PostgreSQL does not prepare it: column "ïd" does not exist. Correct it, or the migration'
                " that"
                " made the schema."
            ),
        ),
        ("-- Takes: PlantedKey.\n", "", "1 get_task: Does not say what feeds its parameters: add a line `-- Takes:`."),
        (
            "PlantedKey.",
            "PlantedKey, id from PlantedFilter.long_title.",
            (
                "3 get_task: Both PlantedKey.id and PlantedFilter.long_title feed :id: say which, as `id from"
                " PlantedKey.id`."
            ),
        ),
        (
            "PlantedKey.",
            "user_id from PlantedKey, id from PlantedFilter.long_title.",
            (
                "8 get_task: Parameter :id is uuid in PostgreSQL, but PlantedFilter.long_title, which feeds it, is"
                " text or varchar: change the one or the other."
            ),
        ),
        (
            "PlantedKey.",
            "user_id from PlantedKey, id from Settings.pool_size.",
            (
                "8 get_task: Parameter :id is uuid in PostgreSQL, but Settings.pool_size, which feeds it, is int2 or"
                " int4 or int8 or float8: change the one or the other."
            ),
        ),
        (
            "title, description",
            "title",
            "4 get_task: Lacks the column description, which PlantedTask shows: return it or remove the field.",
        ),
        (
            "title, description",
            "title,\n    description,\n    status",
            "7 get_task: Returns the column status, which PlantedTask does not show: remove it or add the field.",
        ),
        (
            "id, title, description",
            "id, title, description, id",
            "5 get_task: Returns the column id twice: keep one.",
        ),
        (
            " title, description",
            " title, version AS description",
            (
                "5 get_task: Returns the column description as int8, but PlantedTask.description is text or varchar:"
                " change the one or the other."
            ),
        ),
        (
            " title, description",
            " description AS title, description",
            (
                "5 get_task: Returns the column title, which may be NULL, but PlantedTask.title may not: rule NULL"
                " out, or give the field allow_none=True."
            ),
        ),
        (
            " title, description",
            " title, title AS description",
            (
                "5 get_task: Returns the column description, which is never NULL, but PlantedTask.description may be:"
                " take allow_none away."
            ),
        ),
        (
            "AND id = :id",
            "AND id >= :id",
            (
                "1 get_task: Is marked ^, but a second row cannot be ruled out: limit it by every column of a unique"
                " index, or take the ^ away."
            ),
        ),
        (
            "no row when the user has no such task",
            "exactly one row",
            "4 get_task: Says `exactly one row`, but that there is one cannot be proved: say `no row when …`.",
        ),
        (
            "no row when the user has no such task",
            "many",
            (
                "4 get_task: Returns PlantedTask, 'many', which does not fit a ^ query: write `Returns: PlantedTask,"
                " exactly one row.` or `Returns: PlantedTask, no row when ….`."
            ),
        ),
        (
            "PlantedTask, no row when the user has no such task",
            "Planted, no row when the user has no such task",
            (
                "4 get_task: Returns Planted, but there is no such schema: it is looked for in service/*/schemas.py and"
                " rows.py."
            ),
        ),
        (
            "-- Returns: PlantedTask, no row when the user has no such task.\n",
            "",
            (
                "1 get_task: Returns '', which cannot be read: write `Returns: Schema, exactly one row.` or `Returns:"
                " Schema, no row when ….`."
            ),
        ),
        (
            "AND id = :id",
            "AND id = (SELECT id FROM sessions WHERE id > :id)",
            (
                "8 get_task: Takes the value of a sub-select of which a second row cannot be ruled out, and fails"
                " where there is one: limit it by every column of a unique index, or by LIMIT 1."
            ),
        ),
        (
            "AND id = :id",
            "AND id = :id AND (title IS NULL OR true)",
            "8 get_task: Asks with IS NULL of column title, which never is: remove the test.",
        ),
        (
            "-- Takes",
            "-- Raises: tasks_pkey.\n-- Takes",
            "3 get_task: Raises tasks_pkey, but writes nothing that could break it: remove it.",
        ),
    ],
)
def test_a_broken_promise_is_told(scratch: Connection, tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) >= 1
    assert expected in diagnostics(scratch, tmp_path, GOOD.replace(old, new, 1))


LIST = """-- name: list_tasks(user_id, status, page_size)
-- Some of a user's tasks.
-- Takes: user_id from PlantedKey, status from PlantedFilter, page_size from Settings.pool_size.
-- Returns: PlantedKey, many.
SELECT user_id, id
FROM tasks
WHERE user_id = :user_id
    AND (:status::text IS NULL OR status = :status)
ORDER BY created_at, id
LIMIT :page_size;
"""


def test_a_list_that_keeps_its_promises_has_no_fault(scratch: Connection, tmp_path: Path) -> None:
    assert diagnostics(scratch, tmp_path, LIST) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ORDER BY created_at, id\n", "", "5 list_tasks: Returns a list in no order: add an ORDER BY."),
        (
            "ORDER BY created_at, id\n",
            "ORDER BY created_at\n",
            (
                "9 list_tasks: Returns a list in an order in which two rows may be equal, so that a row can be on two"
                " pages or on none: add columns to ORDER BY, until they make a row unique and none of them can be NULL."
            ),
        ),
        (
            "(:status::text IS NULL OR status = :status)",
            "status = :status",
            (
                "8 list_tasks: Parameter :status (PlantedFilter.status) may be NULL, and then this is not true of any"
                " row: write `… IS NULL OR …` before it, or let it not be NULL."
            ),
        ),
        (
            "(:status::text IS NULL OR status = :status)",
            "(:status::text IS NULL OR status = :status) AND id = '0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90'",
            "1 list_tasks: Returns one row at most, but is marked as a list: write ^ behind the name.",
        ),
        (
            "PlantedKey, many",
            "PlantedKey, exactly one row",
            (
                "4 list_tasks: Returns PlantedKey, 'exactly one row', which does not fit a query without an operator:"
                " write `Returns: PlantedKey, many.`."
            ),
        ),
    ],
)
def test_a_list_that_breaks_a_promise_is_told(
    scratch: Connection, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert LIST.count(old) == 1
    assert diagnostics(scratch, tmp_path, LIST.replace(old, new)) == [expected]


@pytest.mark.parametrize("value", [":title::text", "CASE WHEN now() > :since THEN :title ELSE 'a' END"])
def test_a_length_is_followed_through_what_hands_it_on(scratch: Connection, tmp_path: Path, value: str) -> None:
    text = WRITE.replace("title from PlantedTask", "title from PlantedFilter.long_title, since from PlantedTypes.when")
    text = text.replace("VALUES (:user_id, :title)", f"SELECT :user_id, {value}\nWHERE :since > now()")
    text = text.replace("(user_id, title)^", "(user_id, title, since)^").replace(
        "exactly one row", "no row when it is late"
    )
    (told,) = diagnostics(scratch, tmp_path, text)
    assert told.startswith("7 create_task: Parameter :title (PlantedFilter.long_title) has at most 201 characters")


def test_a_list_that_is_whole_has_one_order_too(scratch: Connection, tmp_path: Path) -> None:
    whole = LIST.replace("\nLIMIT :page_size", "").replace(", page_size from Settings.pool_size", "")
    whole = whole.replace(", page_size", "")
    assert diagnostics(scratch, tmp_path, whole) == []
    (told,) = diagnostics(scratch, tmp_path, whole.replace("created_at, id;", "created_at;"))
    assert told == (
        "9 list_tasks: Returns a list in an order in which two rows may be equal, so that they come now so, now so: add"
        " columns to ORDER BY, until they make a row unique and none of them can be NULL."
    )


VALUE = """-- name: count_tasks(user_id)$
-- How many tasks a user has.
-- Takes: user_id from PlantedKey.
-- Returns: integer, how many there are.
SELECT count(*)
FROM tasks
WHERE user_id = :user_id;
"""


def test_a_value_that_keeps_its_promises_has_no_fault(scratch: Connection, tmp_path: Path) -> None:
    assert diagnostics(scratch, tmp_path, VALUE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "count(*)",
            "max(version)",
            (
                "4 count_tasks: May give NULL, for want of a row or of a value, and does not say when: add `; NULL"
                " when …` to Returns."
            ),
        ),
        (
            "count(*)\nFROM tasks\nWHERE user_id = :user_id",
            "version\nFROM tasks\nWHERE user_id = :user_id AND id = :user_id",
            (
                "4 count_tasks: May give NULL, for want of a row or of a value, and does not say when: add `; NULL"
                " when …` to Returns."
            ),
        ),
        (
            "there are",
            "there are; NULL when there are none",
            "4 count_tasks: Says when it is NULL, but never is: take that out of Returns.",
        ),
        ("count(*)", "count(*)::text", "5 count_tasks: Returns text, but says integer: cast it, or say what it is."),
        (
            "count(*)",
            "count(*), max(version)",
            "4 count_tasks: Returns 2 columns, but a $ query gives one value: return one column, or use ^.",
        ),
        (
            "integer, how",
            "PlantedTask, how",
            (
                "4 count_tasks: Returns PlantedTask, which is no type of a single value: write boolean, bytes, integer,"
                " number, text, time, uuid."
            ),
        ),
    ],
)
def test_a_value_that_breaks_a_promise_is_told(
    scratch: Connection, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert VALUE.count(old) == 1
    assert diagnostics(scratch, tmp_path, VALUE.replace(old, new)) == [expected]


def test_a_value_may_be_null_where_it_says_when(scratch: Connection, tmp_path: Path) -> None:
    text = VALUE.replace("count(*)", "max(version)").replace("there are", "there are; NULL when there is none")
    assert diagnostics(scratch, tmp_path, text) == []


WRITE = """-- name: create_task(user_id, title)^
-- Add a task.
-- Takes: user_id from PlantedKey, title from PlantedTask.
-- Returns: PlantedKey, exactly one row.
-- Raises: tasks_title_blank_check (nothing but white space), tasks_title_length_check, tasks_user_id_fkey.
INSERT INTO tasks (user_id, title)
VALUES (:user_id, :title)
RETURNING user_id, id;
"""


def test_a_write_that_keeps_its_promises_has_no_fault(scratch: Connection, tmp_path: Path) -> None:
    assert diagnostics(scratch, tmp_path, WRITE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "title from PlantedTask",
            "title from PlantedFilter.long_title",
            (
                "7 create_task: Parameter :title (PlantedFilter.long_title) has at most 201 characters, but"
                " tasks.title, where it goes, has room for 200: give the field a length of at most that."
            ),
        ),
        (
            "title from PlantedTask",
            "title from PlantedFilter.endless_title",
            (
                "7 create_task: Parameter :title (PlantedFilter.endless_title) has any number of characters, but"
                " tasks.title, where it goes, has room for 200: give the field a length of at most that."
            ),
        ),
        (
            "title from PlantedTask",
            "title from PlantedTask.description",
            (
                "7 create_task: Writes parameter :title (PlantedTask.description), which may be NULL, into"
                " tasks.title, which is NOT NULL: give something in its place, or let it not be NULL."
            ),
        ),
        (
            "title from PlantedTask",
            "title from PlantedRequest",
            (
                "7 create_task: Writes parameter :title (PlantedRequest.title), which may be NULL, into tasks.title,"
                " which is NOT NULL: give something in its place, or let it not be NULL."
            ),
        ),
        (
            ", tasks_user_id_fkey",
            "",
            (
                "5 create_task: Writes what can break tasks_user_id_fkey of tasks, and does not say so: name it under"
                " Raises, or rule it out in service/sqlcheck/proofs/constraints.py, with the reason."
            ),
        ),
        (
            "tasks_user_id_fkey",
            "tasks_user_id_fkey, tasks_user_fkey",
            "5 create_task: Raises tasks_user_fkey, but there is no such constraint: correct the name or remove it.",
        ),
        (
            "tasks_user_id_fkey",
            "tasks_user_id_fkey, users_email_key",
            "5 create_task: Raises users_email_key, but writes nothing that could break it: remove it.",
        ),
        (
            "tasks_user_id_fkey",
            "tasks_user_id_fkey, or so",
            "5 create_task: Raises 'or so', which cannot be read: write `Raises: name (what it means), name.`",
        ),
        (
            "RETURNING",
            "ON CONFLICT DO NOTHING\nRETURNING",
            "4 create_task: Says `exactly one row`, but that there is one cannot be proved: say `no row when …`.",
        ),
        (
            "exactly one row",
            "no row when it is full",
            "4 create_task: Says when there is no row, but there always is one: say `exactly one row`.",
        ),
    ],
)
def test_a_write_that_breaks_a_promise_is_told(
    scratch: Connection, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert WRITE.count(old) == 1
    assert expected in diagnostics(scratch, tmp_path, WRITE.replace(old, new))


def test_a_request_feeds_no_null_where_the_member_must_be_there_or_has_a_default(
    scratch: Connection, tmp_path: Path
) -> None:
    text = """-- name: update_tasks(user_id, status, description)
-- Change tasks.
-- Takes: PlantedRequest.
-- Returns: PlantedId, many.
-- Raises: tasks_status_fkey, tasks_description_length_check.
UPDATE tasks
SET status = :status,
    description = :description
WHERE user_id = :user_id
RETURNING id;
"""
    (told,) = diagnostics(scratch, tmp_path, text)
    assert told.startswith("8 update_tasks: Parameter :description (PlantedRequest.description) has any number of")


def test_each_type_is_held_against_its_field(scratch: Connection, tmp_path: Path) -> None:
    text = """-- name: get_types(number, share, names, digest, thing)^
-- Types.
-- Takes: PlantedTypes.
-- Returns: PlantedTypes, exactly one row.
SELECT
    :number::smallint AS number,
    :share::real AS share,
    :names::text[] AS names,
    now() AS when,
    :digest::bytea AS digest,
    :thing::jsonb AS thing;
"""
    assert diagnostics(scratch, tmp_path, text) == [
        (
            "10 get_types: Parameter :thing is jsonb in PostgreSQL, but PlantedTypes.thing, which feeds it, is of no"
            " type that is known here: change the one or the other."
        ),
        (
            "10 get_types: Returns the column thing as jsonb, but PlantedTypes.thing is of no type that is known here:"
            " change the one or the other."
        ),
    ]
    wrong = text.replace("smallint", "numeric").replace("real", "bigint").replace("text[]", "uuid[]")
    wrong = wrong.replace("now()", "now()::timestamp").replace("bytea", "text")
    assert [
        told.split(": Returns the column ")[1].split(",")[0] for told in diagnostics(scratch, tmp_path, wrong)[5:]
    ] == [
        "number as numeric",
        "share as int8",
        "names as uuid[]",
        "when as timestamp",
        "digest as text",
        "thing as jsonb",
    ]


def test_a_field_that_asks_whether_a_column_is_set_wants_one_that_may_be_null(
    scratch: Connection, tmp_path: Path
) -> None:
    text = GOOD.replace("id, title, description", "id, completed_at").replace("PlantedTask", "PlantedDone")
    text = text.replace("SELECT user_id, id", "SELECT id")
    assert diagnostics(scratch, tmp_path, text) == []
    (told,) = diagnostics(scratch, tmp_path, text.replace("completed_at", "created_at AS completed_at"))
    assert told.startswith("5 get_task: Returns the column completed_at, which is never NULL")


def test_a_type_of_the_schemas_own_is_called_by_its_name(scratch: Connection, tmp_path: Path) -> None:
    text = GOOD.replace(" title, description", " title, description::mood AS description")
    with rolled_back(scratch):
        scratch.execute("CREATE TYPE mood AS ENUM ('good')")
        (told, *_) = diagnostics(scratch, tmp_path, text)
    assert told.startswith("5 get_task: Returns the column description as mood, but PlantedTask.description is text")


def test_what_postgresql_blames_nothing_in_particular_for_is_the_whole_statements_fault(
    scratch: Connection, tmp_path: Path
) -> None:
    (told,) = diagnostics(scratch, tmp_path, GOOD + "SELECT 1;\n")
    assert told.startswith("1 get_task: PostgreSQL does not prepare it: cannot insert multiple commands")


def test_default_values_write_nothing_that_was_given(scratch: Connection, tmp_path: Path) -> None:
    text = """-- name: create_revocation()^
-- Revoke nothing.
-- Returns: PlantedId, exactly one row.
-- Raises: revocations_pkey.
INSERT INTO revocations DEFAULT VALUES
RETURNING id;
"""
    assert diagnostics(scratch, tmp_path, text) == []


def test_a_star_is_followed_and_blamed_as_a_whole(scratch: Connection, tmp_path: Path) -> None:
    text = GOOD.replace("SELECT user_id, id, title, description", "SELECT\n    *").replace("FROM tasks", "FROM found")
    text = text.replace(
        "SELECT\n", "WITH found AS (SELECT user_id, id, description AS title, status FROM tasks)\nSELECT\n"
    )
    assert diagnostics(scratch, tmp_path, text) == [
        "7 get_task: Returns the column status, which PlantedTask does not show: remove it or add the field.",
        "4 get_task: Lacks the column description, which PlantedTask shows: return it or remove the field.",
        (
            "7 get_task: Returns the column title, which may be NULL, but PlantedTask.title may not: rule NULL out, or"
            " give the field allow_none=True."
        ),
    ]


def test_statements_of_other_kinds_are_refused(scratch: Connection, tmp_path: Path) -> None:
    text = """-- name: update_task(id)^
-- Change a task.
-- Takes: PlantedId.
-- Returns: PlantedId, no row when there is none.
MERGE INTO users
USING (SELECT :id::uuid AS id) AS given ON users.id = given.id
WHEN MATCHED THEN DELETE;
"""
    assert diagnostics(scratch, tmp_path, text) == [
        "5 update_task: Is or has a MergeStmt, of which nothing can be proved: write SELECT, INSERT, UPDATE or DELETE."
    ]


def test_a_statement_that_cannot_be_prepared_spoils_nothing_for_the_next(scratch: Connection, tmp_path: Path) -> None:
    text = GOOD.replace("FROM tasks", "FROM nowhere").replace("get_task", "get_nothing") + "\n" + GOOD
    with rolled_back(scratch):
        assert len(diagnostics(scratch, tmp_path, text)) == 1


def test_a_delete_can_leave_behind_what_refers_to_it(scratch: Connection, tmp_path: Path) -> None:
    text = """-- name: delete_task_status(status)^
-- Remove a status.
-- Takes: status from PlantedRequest.
-- Returns: TaskStatus, no row when there is no such status.
DELETE FROM task_statuses
WHERE status = :status
RETURNING status, is_done, position;
"""
    (told,) = diagnostics(scratch, tmp_path, text)
    assert told.startswith("1 delete_task_status: Writes what can break tasks_status_fkey of tasks, and does not")
    assert diagnostics(scratch, tmp_path, text.replace("DELETE", "-- Raises: tasks_status_fkey.\nDELETE", 1)) == []


@pytest.mark.parametrize(
    ("conflict", "expected"),
    [
        ("", {"clients_name_key", "clients_name_check", "clients_scopes_check", "clients_secret_hash_length_check"}),
        ("ON CONFLICT DO NOTHING", {"clients_name_check", "clients_scopes_check", "clients_secret_hash_length_check"}),
        (
            "ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING",
            {"clients_name_check", "clients_scopes_check", "clients_secret_hash_length_check"},
        ),
        (
            "ON CONFLICT (id) DO NOTHING",
            {"clients_name_key", "clients_name_check", "clients_scopes_check", "clients_secret_hash_length_check"},
        ),
    ],
)
def test_on_conflict_rules_out_the_one_unique_index_that_it_names(
    scratch: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conflict: str, expected: set[str]
) -> None:
    monkeypatch.setattr("service.sqlcheck.proofs.constraints.RULED_OUT", {})
    text = f"""-- name: create_client(name, scopes, secret_hash)^
-- Register a service client.
-- Takes: ClientDraft.
-- Returns: PlantedId, no row when a live client has the name.
INSERT INTO clients (name, scopes, secret_hash)
VALUES (:name, :scopes, :secret_hash)
{conflict}
RETURNING id;
"""
    found = diagnostics(scratch, tmp_path, text)
    assert {told.split("can break ")[1].split(" of ")[0] for told in found if "can break" in told} == expected


def test_what_is_ruled_out_could_be_broken_otherwise(scratch: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that no statement needs has no place in the list."""
    monkeypatch.setattr("service.sqlcheck.proofs.constraints.RULED_OUT", {})
    schema, told = read_schema(scratch), ""
    for statement in read_statements(resource_folder("sql")):
        told += "".join(
            diagnostic.message for diagnostic in check_raises(statement, read(statement.tree, schema)[0], schema)
        )
    assert [name for name in RULED_OUT if f"can break {name} of" not in told] == []


def test_the_connection_is_left_as_it_was(scratch: Connection, tmp_path: Path) -> None:
    diagnostics(scratch, tmp_path, GOOD)
    assert scratch.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert scratch.row_factory is tuple_row
