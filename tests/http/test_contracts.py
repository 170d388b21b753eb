"""The grammar of `Takes:` and `Returns:`, and the types that the service asks of its queries when it starts."""

from collections.abc import Sequence

import asyncpg
import pytest
from marshmallow import fields

from service import app  # noqa: F401 -- it imports every schema, which registers it by its name
from service.database.queries import Query, read_queries
from service.resources import resource_folder
from service.schemas.contracts import (
    ContractError,
    Returns,
    fields_of_columns,
    mismatches,
    read_labels,
    read_returns,
    read_source,
    read_takes,
    schema_named,
    types_fed_by,
    types_of,
)
from service.schemas.fields import Binary, RowSchema, Schema, Text, Timestamp
from service.tasks.schemas import Task
from tests.sharing import on_each_postgresql, on_one_postgresql


class Sent(Schema):
    """A schema of what somebody sends."""

    given = Text(required=True)
    absent = Text()
    cleared = Text(required=True, allow_none=True)
    emptied = Text(load_default=None)
    filled = Text(load_default="a")


class Kept(RowSchema):
    """A row that the service makes itself."""

    given = Text()
    cleared = Text(allow_none=True)


ABOUT = """One of a user's tasks.
Takes: TaskKey, a from Settings.port, b from
Settings.host.
Returns: Task, no row when
the user has no such task.
Plan: tasks_pkey."""


def test_labels_go_on_to_the_next_one() -> None:
    assert read_labels(ABOUT) == {
        "Takes": "TaskKey, a from Settings.port, b from Settings.host.",
        "Returns": "Task, no row when the user has no such task.",
        "Plan": "tasks_pkey.",
    }
    assert read_labels("No more than this. It Takes: nothing.") == {}


def test_sources_stand_between_commas() -> None:
    assert read_takes("TaskKey, a from Settings.port.") == ["TaskKey", "a from Settings.port"]


@pytest.mark.parametrize(
    ("text", "fed"),
    [
        ("TaskKey", {"user_id": "TaskKey.user_id", "id": "TaskKey.id"}),
        ("id from TaskKey", {"id": "TaskKey.id"}),
        ("id from TaskKey.user_id", {"id": "TaskKey.user_id"}),
        ("port from Settings.port", {"port": "Settings.port"}),
    ],
)
def test_a_source_feeds_what_it_names(text: str, fed: dict[str, str]) -> None:
    found = read_source(text, ["id", "user_id", "port"])
    assert {parameter: source.name for parameter, source in found.items()} == fed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "task key",
            "Takes 'task key', which is no source: write a schema, or `parameter from Schema.field`.",
        ),
        ("at from TaskKey", "Takes :at, which it does not have: its parameters are id, port."),
        (
            "Nobody",
            "Takes Nobody, but there is no such schema: it is looked for in service/*/schemas.py and rows.py.",
        ),
        ("id from TaskKey.at", "Takes TaskKey.at, but TaskKey has no such field."),
        ("port from TaskKey", "Takes TaskKey.port, but TaskKey has no such field."),
        ("id from Task.completed", "Takes Task.completed, but Task has no such field."),
        (
            "TaskKey.id",
            "Takes TaskKey.id, which does not say for which parameter: write `parameter from TaskKey.id`.",
        ),
        ("UserDraft", "Takes UserDraft, which feeds none of its parameters: remove it."),
        (
            "port from Settings.harbour",
            "Takes port from Settings.harbour, which is no setting: write `parameter from Settings.field`.",
        ),
        ("Settings.port", "Takes Settings.port, which is no setting: write `parameter from Settings.field`."),
    ],
)
def test_what_is_no_source_is_refused(text: str, told: str) -> None:
    with pytest.raises(ContractError) as refused:
        read_source(text, ["id", "port"])
    assert str(refused.value) == told


def test_what_a_request_leaves_out_is_null_and_what_the_service_makes_only_where_it_says_so() -> None:
    names = ["given", "absent", "cleared", "emptied", "filled"]
    assert {name for name, source in read_source("Sent", names).items() if source.is_nullable} == {
        "absent",
        "cleared",
        "emptied",
    }
    assert {name for name, source in read_source("Kept", names).items() if source.is_nullable} == {"cleared"}
    assert not read_source("status from Task", ["status"])["status"].is_nullable
    assert not read_source("port from Settings.port", ["port"])["port"].is_nullable


@pytest.mark.parametrize(
    ("text", "operator", "promised"),
    [
        ("Task, no row when there is none.", "^", Returns("Task", "no row when", says_null=False)),
        ("Task, no row when it is gone; and so on.", "^", Returns("Task", "no row when", says_null=False)),
        ("Task, exactly one row.", "^", Returns("Task", "exactly one row", says_null=False)),
        ("Task, exactly one row: the last.", "^", Returns("Task", "exactly one row", says_null=False)),
        ("Task, many.", "", Returns("Task", "many", says_null=False)),
        ("Task, many; NULL when nobody looks.", "", Returns("Task", "many", says_null=False)),
        ("integer, how many.", "$", Returns("integer", "", says_null=False)),
        ("integer, how many; NULL when nobody knows.", "$", Returns("integer", "", says_null=True)),
    ],
)
def test_returns_is_read(text: str, operator: str, promised: Returns) -> None:
    assert read_returns(text, operator) == promised


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("Task", "^"),
        ("Task, one.", "^"),
        ("Task, many.", "^"),
        ("Task, exactly one row perhaps.", "^"),
        ("Task, exactly one row.", ""),
        ("Task, no row when there is none.", ""),
        ("Nobody, many.", ""),
        ("integer, many.", ""),
        ("Task, the first.", "$"),
        ("int8, how many.", "$"),
    ],
)
def test_what_does_not_fit_the_operator_is_refused(text: str, operator: str) -> None:
    with pytest.raises(ContractError, match=r"^Returns "):
        read_returns(text, operator)


def test_two_schemas_of_one_name_are_none() -> None:
    first = type("Doubled", (RowSchema,), {"__module__": "first"})
    assert schema_named("Doubled") is first
    type("Doubled", (RowSchema,), {"__module__": "second"})
    assert schema_named("Doubled") is None


def test_a_column_may_be_shown_by_two_fields() -> None:
    assert [field.name for field in fields_of_columns(Task)["completed_at"]] == ["completed", "completed_at"]


@pytest.mark.parametrize(
    ("field", "types"),
    [
        (Text(), ("text", "varchar")),
        (fields.UUID(), ("uuid",)),
        (fields.Integer(), ("int2", "int4", "int8")),
        (fields.Float(), ("float4", "float8")),
        (fields.Boolean(), ("bool",)),
        (Timestamp(), ("timestamptz",)),
        (Binary(), ("bytea",)),
        (fields.List(fields.UUID()), ("uuid[]",)),
        (fields.List(Text()), ("text[]", "varchar[]")),
        (fields.Raw(), ()),
    ],
)
def test_a_field_carries_these_types(field: fields.Field[object], types: Sequence[str]) -> None:
    assert types_of(field) == tuple(types)


def test_a_whole_number_feeds_a_float8_too() -> None:
    assert types_fed_by(fields.Integer(), None)[-1] == types_fed_by(None, int)[-1] == "float8"
    assert types_fed_by(None, float) == ("float4", "float8")
    assert types_fed_by(None, str) == ("text", "varchar")
    assert types_fed_by(None, frozenset) == ()


COLUMNS = [(name, "text") for name in fields_of_columns(Task)]


def test_what_is_of_another_type_is_told() -> None:
    told = mismatches("One.\nTakes: TaskKey.\nReturns: Task, many.", "", [("user_id", "uuid"), ("id", "int4")], COLUMNS)
    assert told[:2] == [
        "Parameter :id is int4 in PostgreSQL, but TaskKey.id, which feeds it, is uuid: change the one or the other.",
        "Returns the column id as text, but Task.id is uuid: change the one or the other.",
    ]


def test_a_label_that_cannot_be_read_is_told() -> None:
    assert mismatches("One.\nTakes: Nobody.\nReturns: Task, many.", "", [("id", "uuid")], COLUMNS) == [
        "Takes Nobody, but there is no such schema: it is looked for in service/*/schemas.py and rows.py."
    ]
    (told,) = mismatches("One.", "", [], COLUMNS)
    assert told == "Returns '', which cannot be read: write `Returns: Schema, many.`."


@on_each_postgresql
async def test_every_query_keeps_its_promises_as_asyncpg_describes_it(connection: asyncpg.Connection) -> None:
    assert {query.name: told for query in queries() if (told := await described(connection, query))} == {}


@on_one_postgresql
async def test_a_column_that_a_migration_changed_is_told(connection: asyncpg.Connection) -> None:
    changed = connection.transaction()
    await changed.start()
    await connection.execute("ALTER TABLE task_statuses ALTER COLUMN position TYPE text")
    broken = {query.name: told for query in queries() if (told := await described(connection, query))}
    await changed.rollback()
    told = [
        (
            "Returns the column position as text, but TaskStatus.position is int2 or int4 or int8: change the one or"
            " the other."
        )
    ]
    assert broken == {"get_task_status": told, "list_task_statuses": told}


def queries() -> Sequence[Query]:
    return read_queries(resource_folder("sql"))


async def described(connection: asyncpg.Connection, query: Query) -> list[str]:
    """Return what is wrong with a query as asyncpg describes it."""
    prepared = await connection.prepare(query.sql)
    types = [kind.name for kind in prepared.get_parameters()]
    parameters = list(zip(query.parameters, types, strict=True))
    columns = [(column.name, column.type.name) for column in prepared.get_attributes()]
    return mismatches(query.about, query.operator, parameters, columns)
