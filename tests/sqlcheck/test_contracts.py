"""Contracts: each promise that a statement can break, with the fault that it gets."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from marshmallow import fields
from psycopg.rows import tuple_row

from service.schemas.fields import Binary, IsSet, RowSchema, Schema, Text, Timestamp, length
from service.schemas.registry import Registry
from service.sqlcheck.checks import contracts
from service.sqlcheck.project import Project, read_project
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import rolled_back
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

Told = Callable[..., list[str]]


class PlantedNote(RowSchema):
    """A note, as the planted statements return it."""

    member_id = fields.UUID()
    id = fields.UUID()
    title = Text(validate=length(1, 200))
    body = Text(allow_none=True, validate=length(0, 2000))


class PlantedKey(RowSchema):
    member_id = fields.UUID()
    id = fields.UUID()


class PlantedId(RowSchema):
    id = fields.UUID()


class PlantedFilter(RowSchema):
    topic = Text(allow_none=True)
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
    """A request: what is left out of it is NULL."""

    title = Text()
    body = Text(load_default=None)
    topic = Text(required=True)
    member_id = fields.UUID(load_default="0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90")


class PlantedDone(RowSchema):
    id = fields.UUID()
    is_closed = IsSet(attribute="closed_at", dump_only=True)


class PlantedDigest(RowSchema):
    digest = Binary()


@pytest.fixture
def told(subject: Subject, tmp_path: Path) -> Told:
    """Return what is said of planted statements, without the name of their file."""
    (tmp_path / "sql").mkdir()
    known, own = subject.project.registry, Registry.of(sys.modules[__name__])
    project = replace(
        subject.project, folder=tmp_path, registry=replace(known, schemas={**known.schemas, **own.schemas})
    )

    def _told(text: str, **changes: Any) -> list[str]:
        (tmp_path / "sql" / "planted.sql").write_text(text)
        changed = replace(subject, project=project, statements=read_statements(project), **changes)
        return [str(diagnostic).removeprefix("sql/planted.sql:") for diagnostic in contracts.check_statements(changed)]

    return _told


GOOD = """-- name: get_note(member_id, id)^
-- One of a member's notes.
-- Takes: PlantedKey.
-- Returns: PlantedNote, no row when the member has no such note.
SELECT member_id, id, title, body
FROM notes
WHERE member_id = :member_id
    AND id = :id;
"""


def test_a_statement_that_keeps_its_promises_has_no_fault(told: Told) -> None:
    assert told(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "FROM notes",
            "FROM note",
            (
                '6 get_note: PostgreSQL does not prepare it: relation "note" does not exist. Correct it, or the'
                " migration"
                " that made the schema."
            ),
        ),
        (
            "AND id = :id",
            "AND ïd = :id AND true",
            (
                '8 get_note: PostgreSQL does not prepare it: column "ïd" does not exist. Correct it, or the migration'
                " that"
                " made the schema."
            ),
        ),
        ("-- Takes: PlantedKey.\n", "", "1 get_note: Does not say what feeds its parameters: add a line `-- Takes:`."),
        (
            "PlantedKey.",
            "PlantedKey, id from PlantedFilter.long_title.",
            (
                "3 get_note: Both PlantedKey.id and PlantedFilter.long_title feed :id: say which, as `id from"
                " PlantedKey.id`."
            ),
        ),
        (
            "PlantedKey.",
            "member_id from PlantedKey, id from PlantedFilter.long_title.",
            (
                "8 get_note: Parameter :id is uuid in PostgreSQL, but PlantedFilter.long_title, which feeds it, is"
                " text or varchar: change the one or the other."
            ),
        ),
        (
            "PlantedKey.",
            "member_id from PlantedKey, id from Settings.revision_ttl.",
            (
                "8 get_note: Parameter :id is uuid in PostgreSQL, but Settings.revision_ttl, which feeds it, is int2 or"
                " int4 or int8 or float8: change the one or the other."
            ),
        ),
        (
            "title, body",
            "title",
            "4 get_note: Lacks the column body, which PlantedNote shows: return it or remove the field.",
        ),
        (
            "title, body",
            "title,\n    body,\n    topic",
            "7 get_note: Returns the column topic, which PlantedNote does not show: remove it or add the field.",
        ),
        (
            "id, title, body",
            "id, title, body, id",
            "5 get_note: Returns the column id twice: keep one.",
        ),
        (
            " title, body",
            " title, version AS body",
            (
                "5 get_note: Returns the column body as int8, but PlantedNote.body is text or varchar:"
                " change the one or the other."
            ),
        ),
        (
            " title, body",
            " body AS title, body",
            (
                "5 get_note: Returns the column title, which may be NULL, but PlantedNote.title may not: rule NULL"
                " out, or give the field allow_none=True."
            ),
        ),
        (
            " title, body",
            " title, title AS body",
            (
                "5 get_note: Returns the column body, which is never NULL, but PlantedNote.body may be:"
                " take allow_none away."
            ),
        ),
        (
            "AND id = :id",
            "AND id >= :id",
            (
                "1 get_note: Is marked ^, but a second row cannot be ruled out: limit it by every column of a unique"
                " index, or take the ^ away."
            ),
        ),
        (
            "no row when the member has no such note",
            "exactly one row",
            "4 get_note: Says `exactly one row`, but that there is one cannot be proved: say `no row when …`.",
        ),
        (
            "no row when the member has no such note",
            "many",
            (
                "4 get_note: Returns PlantedNote, 'many', which does not fit a ^ query: write `Returns: PlantedNote,"
                " exactly one row.` or `Returns: PlantedNote, no row when ….`."
            ),
        ),
        (
            "PlantedNote, no row when the member has no such note",
            "Planted, no row when the member has no such note",
            (
                "4 get_note: Returns Planted, but the registry has no such schema: correct the name, or register its"
                " module."
            ),
        ),
        (
            "-- Returns: PlantedNote, no row when the member has no such note.\n",
            "",
            (
                "1 get_note: Returns '', which cannot be read: write `Returns: Schema, exactly one row.` or `Returns:"
                " Schema, no row when ….`."
            ),
        ),
        (
            "AND id = :id",
            "AND id = (SELECT note_id FROM revisions WHERE note_id > :id)",
            (
                "8 get_note: Takes the value of a sub-select of which a second row cannot be ruled out, and fails"
                " where there is one: limit it by every column of a unique index, or by LIMIT 1."
            ),
        ),
        (
            "AND id = :id",
            "AND id = :id AND (title IS NULL OR true)",
            "8 get_note: Asks with IS NULL of column title, which never is: remove the test.",
        ),
        (
            "-- Takes",
            "-- Raises: notes_pkey.\n-- Takes",
            "3 get_note: Raises notes_pkey, but writes nothing that could break it: remove it.",
        ),
    ],
)
def test_a_broken_promise_is_told(told: Told, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) >= 1
    assert expected in told(GOOD.replace(old, new, 1))


LIST = """-- name: list_notes(member_id, topic, page_size)
-- Some of a member's notes.
-- Takes: member_id from PlantedKey, topic from PlantedFilter, page_size from Settings.revision_ttl.
-- Returns: PlantedKey, many.
SELECT member_id, id
FROM notes
WHERE member_id = :member_id
    AND (:topic::text IS NULL OR topic = :topic)
ORDER BY created_at, id
LIMIT :page_size;
"""


def test_a_list_that_keeps_its_promises_has_no_fault(told: Told) -> None:
    assert told(LIST) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ORDER BY created_at, id\n", "", "5 list_notes: Returns a list in no order: add an ORDER BY."),
        (
            "ORDER BY created_at, id\n",
            "ORDER BY created_at\n",
            (
                "9 list_notes: Returns a list in an order in which two rows may be equal, so that a row can be on two"
                " pages or on none: add columns to ORDER BY, until they make a row unique and none of them can be NULL."
            ),
        ),
        (
            "(:topic::text IS NULL OR topic = :topic)",
            "topic = :topic",
            (
                "8 list_notes: Parameter :topic (PlantedFilter.topic) may be NULL, and then this is not true of any"
                " row: write `… IS NULL OR …` before it, or let it not be NULL."
            ),
        ),
        (
            "(:topic::text IS NULL OR topic = :topic)",
            "(:topic::text IS NULL OR topic = :topic) AND id = '0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90'",
            "1 list_notes: Returns one row at most, but is marked as a list: write ^ behind the name.",
        ),
        (
            "PlantedKey, many",
            "PlantedKey, exactly one row",
            (
                "4 list_notes: Returns PlantedKey, 'exactly one row', which does not fit a query without an operator:"
                " write `Returns: PlantedKey, many.`."
            ),
        ),
    ],
)
def test_a_list_that_breaks_a_promise_is_told(told: Told, old: str, new: str, expected: str) -> None:
    assert LIST.count(old) == 1
    assert told(LIST.replace(old, new)) == [expected]


@pytest.mark.parametrize("value", [":title::text", "CASE WHEN now() > :since THEN :title ELSE 'a' END"])
def test_a_length_is_followed_through_what_hands_it_on(told: Told, value: str) -> None:
    text = WRITE.replace("title from PlantedNote", "title from PlantedFilter.long_title, since from PlantedTypes.when")
    text = text.replace("VALUES (:member_id, :title)", f"SELECT :member_id, {value}\nWHERE :since > now()")
    text = text.replace("(member_id, title)^", "(member_id, title, since)^").replace(
        "exactly one row", "no row when it is late"
    )
    (fault,) = told(text)
    assert fault.startswith("7 create_note: Parameter :title (PlantedFilter.long_title) has at most 201 characters")


def test_a_list_that_is_whole_has_one_order_too(told: Told) -> None:
    whole = LIST.replace("\nLIMIT :page_size", "").replace(", page_size from Settings.revision_ttl", "")
    whole = whole.replace(", page_size", "")
    assert told(whole) == []
    (fault,) = told(whole.replace("created_at, id;", "created_at;"))
    assert fault == (
        "9 list_notes: Returns a list in an order in which two rows may be equal, so that they come now so, now so: add"
        " columns to ORDER BY, until they make a row unique and none of them can be NULL."
    )


VALUE = """-- name: count_notes(member_id)$
-- How many notes a member has.
-- Takes: member_id from PlantedKey.
-- Returns: integer, how many there are.
SELECT count(*)
FROM notes
WHERE member_id = :member_id;
"""


def test_a_value_that_keeps_its_promises_has_no_fault(told: Told) -> None:
    assert told(VALUE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "count(*)",
            "max(version)",
            (
                "4 count_notes: May give NULL, for want of a row or of a value, and does not say when: add `; NULL"
                " when …` to Returns."
            ),
        ),
        (
            "count(*)\nFROM notes\nWHERE member_id = :member_id",
            "version\nFROM notes\nWHERE member_id = :member_id AND id = :member_id",
            (
                "4 count_notes: May give NULL, for want of a row or of a value, and does not say when: add `; NULL"
                " when …` to Returns."
            ),
        ),
        (
            "there are",
            "there are; NULL when there are none",
            "4 count_notes: Says when it is NULL, but never is: take that out of Returns.",
        ),
        ("count(*)", "count(*)::text", "5 count_notes: Returns text, but says integer: cast it, or say what it is."),
        (
            "count(*)",
            "count(*), max(version)",
            "4 count_notes: Returns 2 columns, but a $ query gives one value: return one column, or use ^.",
        ),
        (
            "integer, how",
            "PlantedNote, how",
            (
                "4 count_notes: Returns PlantedNote, which is no type of a single value: write boolean, bytes, integer,"
                " number, text, time, uuid."
            ),
        ),
    ],
)
def test_a_value_that_breaks_a_promise_is_told(told: Told, old: str, new: str, expected: str) -> None:
    assert VALUE.count(old) == 1
    assert told(VALUE.replace(old, new)) == [expected]


def test_a_value_may_be_null_where_it_says_when(told: Told) -> None:
    text = VALUE.replace("count(*)", "max(version)").replace("there are", "there are; NULL when there is none")
    assert told(text) == []


WRITE = """-- name: create_note(member_id, title)^
-- Add a note.
-- Takes: member_id from PlantedKey, title from PlantedNote.
-- Returns: PlantedKey, exactly one row.
-- Raises: notes_title_blank_check (nothing but white space), notes_title_length_check, notes_member_id_fkey.
INSERT INTO notes (member_id, title)
VALUES (:member_id, :title)
RETURNING member_id, id;
"""


def test_a_write_that_keeps_its_promises_has_no_fault(told: Told) -> None:
    assert told(WRITE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "title from PlantedNote",
            "title from PlantedFilter.long_title",
            (
                "7 create_note: Parameter :title (PlantedFilter.long_title) has at most 201 characters, but"
                " notes.title, where it goes, has room for 200: give the field a length of at most that."
            ),
        ),
        (
            "title from PlantedNote",
            "title from PlantedFilter.endless_title",
            (
                "7 create_note: Parameter :title (PlantedFilter.endless_title) has any number of characters, but"
                " notes.title, where it goes, has room for 200: give the field a length of at most that."
            ),
        ),
        (
            "title from PlantedNote",
            "title from PlantedNote.body",
            (
                "7 create_note: Writes parameter :title (PlantedNote.body), which may be NULL, into"
                " notes.title, which is NOT NULL: give something in its place, or let it not be NULL."
            ),
        ),
        (
            "title from PlantedNote",
            "title from PlantedRequest",
            (
                "7 create_note: Writes parameter :title (PlantedRequest.title), which may be NULL, into notes.title,"
                " which is NOT NULL: give something in its place, or let it not be NULL."
            ),
        ),
        (
            ", notes_member_id_fkey",
            "",
            (
                "5 create_note: Writes what can break notes_member_id_fkey of notes, and does not say so: name it under"
                " Raises, or rule it out in [tool.sqlcheck.ruled_out] of pyproject.toml, with the reason."
            ),
        ),
        (
            "notes_member_id_fkey",
            "notes_member_id_fkey, notes_member_fkey",
            "5 create_note: Raises notes_member_fkey, but there is no such constraint: correct the name or remove it.",
        ),
        (
            "notes_member_id_fkey",
            "notes_member_id_fkey, members_email_key",
            "5 create_note: Raises members_email_key, but writes nothing that could break it: remove it.",
        ),
        (
            "notes_member_id_fkey",
            "notes_member_id_fkey, or so",
            "5 create_note: Raises 'or so', which cannot be read: write `Raises: name (what it means), name.`",
        ),
        (
            "RETURNING",
            "ON CONFLICT DO NOTHING\nRETURNING",
            "4 create_note: Says `exactly one row`, but that there is one cannot be proved: say `no row when …`.",
        ),
        (
            "exactly one row",
            "no row when it is full",
            "4 create_note: Says when there is no row, but there always is one: say `exactly one row`.",
        ),
    ],
)
def test_a_write_that_breaks_a_promise_is_told(told: Told, old: str, new: str, expected: str) -> None:
    assert WRITE.count(old) == 1
    assert expected in told(WRITE.replace(old, new))


def test_a_request_feeds_no_null_where_the_member_must_be_there_or_has_a_default(told: Told) -> None:
    text = """-- name: update_notes(member_id, topic, body)
-- Change notes.
-- Takes: PlantedRequest.
-- Returns: PlantedId, many.
-- Raises: notes_topic_fkey.
UPDATE notes
SET topic = :topic,
    body = :body
WHERE member_id = :member_id
RETURNING id;
"""
    (fault,) = told(text)
    assert fault.startswith("8 update_notes: Parameter :body (PlantedRequest.body) has any number of")


def test_each_type_is_held_against_its_field(told: Told) -> None:
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
    assert told(text) == [
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
    assert [told.split(": Returns the column ")[1].split(",")[0] for told in told(wrong)[5:]] == [
        "number as numeric",
        "share as int8",
        "names as uuid[]",
        "when as timestamp",
        "digest as text",
        "thing as jsonb",
    ]


def test_a_field_that_asks_whether_a_column_is_set_wants_one_that_may_be_null(told: Told) -> None:
    text = GOOD.replace("id, title, body", "id, closed_at").replace("PlantedNote", "PlantedDone")
    text = text.replace("SELECT member_id, id", "SELECT id")
    assert told(text) == []
    (fault,) = told(text.replace("closed_at", "created_at AS closed_at"))
    assert fault.startswith("5 get_note: Returns the column closed_at, which is never NULL")


def test_a_type_of_the_schemas_own_is_called_by_its_name(told: Told, subject: Subject) -> None:
    text = GOOD.replace(" title, body", " title, body::mood AS body")
    with rolled_back(subject.connection):
        subject.connection.execute("CREATE TYPE mood AS ENUM ('good')")
        (fault, *_) = told(text)
    assert fault.startswith("5 get_note: Returns the column body as mood, but PlantedNote.body is text")


def test_what_postgresql_blames_nothing_in_particular_for_is_the_whole_statements_fault(
    told: Told, subject: Subject
) -> None:
    text = """-- name: delete_totals()
-- Forget how many notes there are.
-- Returns: PlantedId, many.
DELETE FROM totals
RETURNING id;
"""
    with rolled_back(subject.connection):
        subject.connection.execute("CREATE VIEW totals AS SELECT member_id AS id FROM notes GROUP BY member_id")
        (fault,) = told(text)
    assert fault.startswith('1 delete_totals: PostgreSQL does not prepare it: cannot delete from view "totals"')


def test_default_values_write_nothing_that_was_given(told: Told) -> None:
    text = """-- name: create_removal()^
-- Note nothing.
-- Returns: PlantedDigest, exactly one row.
-- Raises: removals_pkey.
INSERT INTO removals DEFAULT VALUES
RETURNING digest;
"""
    assert told(text) == []


def test_a_star_is_followed_and_blamed_as_a_whole(told: Told) -> None:
    text = GOOD.replace("SELECT member_id, id, title, body", "SELECT\n    *").replace("FROM notes", "FROM found")
    text = text.replace("SELECT\n", "WITH found AS (SELECT member_id, id, body AS title, topic FROM notes)\nSELECT\n")
    assert told(text) == [
        "7 get_note: Returns the column topic, which PlantedNote does not show: remove it or add the field.",
        "4 get_note: Lacks the column body, which PlantedNote shows: return it or remove the field.",
        (
            "7 get_note: Returns the column title, which may be NULL, but PlantedNote.title may not: rule NULL out, or"
            " give the field allow_none=True."
        ),
    ]


def test_statements_of_other_kinds_are_refused(told: Told) -> None:
    text = """-- name: update_note(id)^
-- Change a note.
-- Takes: PlantedId.
-- Returns: PlantedId, no row when there is none.
MERGE INTO members
USING (SELECT :id::uuid AS id) AS given ON members.id = given.id
WHEN MATCHED THEN DELETE;
"""
    assert told(text) == [
        "5 update_note: Is or has a MergeStmt, of which nothing can be proved: write SELECT, INSERT, UPDATE or DELETE."
    ]


def test_a_statement_that_cannot_be_prepared_spoils_nothing_for_the_next(told: Told, subject: Subject) -> None:
    text = GOOD.replace("FROM notes", "FROM nowhere").replace("get_note", "get_nothing") + "\n" + GOOD
    with rolled_back(subject.connection):
        assert len(told(text)) == 1


def test_a_delete_can_leave_behind_what_refers_to_it(told: Told) -> None:
    text = """-- name: delete_topic(topic)^
-- Remove a topic.
-- Takes: topic from PlantedRequest.
-- Returns: Topic, no row when there is no such topic.
DELETE FROM topics
WHERE topic = :topic
RETURNING topic, is_closed, position;
"""
    (fault,) = told(text)
    assert fault.startswith("1 delete_topic: Writes what can break notes_topic_fkey of notes, and does not")
    assert told(text.replace("DELETE", "-- Raises: notes_topic_fkey.\nDELETE", 1)) == []


_GUESTS = """
CREATE TABLE guests (
    id uuid CONSTRAINT guests_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL CONSTRAINT guests_name_check CHECK (name <> ''),
    left_at timestamptz
);
CREATE UNIQUE INDEX guests_name_key ON guests (name) WHERE left_at IS NULL;
"""


@pytest.mark.parametrize(
    ("conflict", "expected"),
    [
        ("", {"guests_name_key", "guests_name_check"}),
        ("ON CONFLICT DO NOTHING", {"guests_name_check"}),
        ("ON CONFLICT (name) WHERE left_at IS NULL DO NOTHING", {"guests_name_check"}),
        ("ON CONFLICT (id) DO NOTHING", {"guests_name_key", "guests_name_check"}),
    ],
)
def test_on_conflict_rules_out_the_one_unique_index_that_it_names(
    told: Told, subject: Subject, conflict: str, expected: set[str]
) -> None:
    text = f"""-- name: create_guest(name)^
-- Let somebody in.
-- Takes: name from PlantedNote.title.
-- Returns: PlantedId, no row when a guest has the name.
INSERT INTO guests (name)
VALUES (:name)
{conflict}
RETURNING id;
"""
    with rolled_back(subject.connection):
        subject.connection.execute(_GUESTS)
        found = told(text, schema=read_schema(subject.project, subject.connection))
    assert {fault.split("can break ")[1].split(" of ")[0] for fault in found if "can break" in fault} == expected


def test_what_is_ruled_out_need_not_be_named_unless_callers_are_told_of_it(subject: Subject) -> None:
    (name,) = subject.project.ruled_out
    assert list(contracts.check(subject)) == []
    (fault,) = contracts.check(replace(subject, project=replace(subject.project, ruled_out={})))
    assert (fault.query, fault.message.partition(",")[0]) == (
        "create_revision",
        f"Writes what can break {name} of revisions",
    )
    told_of = replace(subject.project, violations=frozenset({name}))
    assert [one.query for one in contracts.check(replace(subject, project=told_of))] == ["create_revision", ""]


@pytest.mark.parametrize("name", ["notes_pkey", "notes_topic_fkey", "notes_topic_key"])
def test_what_no_statement_could_break_without_saying_so_is_not_ruled_out(
    subject: Subject, copy: Project, name: str
) -> None:
    file = copy.folder / "pyproject.toml"
    file.write_text(f'{file.read_text()}{name} = "so it is"\n')
    (fault,) = contracts.check(replace(subject, project=read_project(copy.folder)))
    assert str(fault) == (
        f"pyproject.toml:{len(file.read_text().splitlines())}: Rules out {name}, which no statement could break"
        " without saying so: remove it."
    )


def test_the_connection_is_left_as_it_was(told: Told, subject: Subject) -> None:
    told(GOOD)
    assert subject.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert subject.connection.row_factory is tuple_row
