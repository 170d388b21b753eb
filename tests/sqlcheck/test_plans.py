"""The plan that a statement promises, and the one that PostgreSQL makes: each broken promise, and what is told."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Never
from uuid import UUID

import marshmallow
import pytest

from service.schemas.fields import RowSchema
from service.schemas.registry import Registry
from service.sqlcheck.checks import plans
from service.sqlcheck.checks.plans import HANDFUL
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.plan_trees import clauses_of, conditions
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_each_postgresql, on_one_postgresql
from tests.sqlcheck.conftest import Plant

pytestmark = on_one_postgresql

Planted = Callable[[str], str]

GET_NOTE = """
-- name: get_note(member_id, id)^
-- A note.
-- Takes: NoteKey.
-- Returns: Note, no row when there is none.
-- Plan: {plan}
SELECT title
FROM notes
WHERE member_id = :member_id
    AND id = :id;
"""

LIST_NOTES = """
-- name: list_notes(member_id, page_size)
-- Some notes.
-- Takes: NewestFirst.
-- Plan: {plan}
SELECT title
FROM notes
WHERE member_id = :member_id
ORDER BY {order}
LIMIT :page_size;
"""

NO_INDEX = (
    "there is no such index: name one, or say `seq scan of TABLE`, `discards`, `insert`, `no sort`, `no table`,"
    " `sort`, `tid scan`; a remark goes behind a semicolon."
)


class Stubborn(marshmallow.fields.UUID):
    """A field that fails, whatever it is given."""

    def _deserialize(self, *_: object, **__: object) -> Never:
        raise RuntimeError("Not today.")


@pytest.fixture
def planted(subject: Subject, plant: Plant) -> Planted:
    """Check statements, and return what is said of them, a fault a line."""
    return lambda text: "\n".join(map(str, plans.check(replace(subject, statements=plant(text)))))


def count(scratch: Connection, what: str) -> int:
    """Return how many rows there are, for a part of a statement that begins with the table."""
    [(number,)] = scratch.execute(f"SELECT count(*) FROM {what}".encode()).fetchall()
    return int(number)


def otherwise(promised: str, planned: str, version: int = 18) -> str:
    """Return what is said where something else is planned than is promised."""
    return (
        f"Plan promises {promised}, but PostgreSQL {version} plans `{planned}`: change the statement or the indexes"
        " until it plans what is promised, or promise what it plans."
    )


@on_each_postgresql
def test_every_plan_of_the_example_is_as_promised_and_finds_something(subject: Subject) -> None:
    assert list(map(str, plans.check(subject))) == []


@on_each_postgresql
def test_an_index_that_is_promised_is_used(planted: Planted, scratch: Connection) -> None:
    version = scratch.info.server_version // 10000
    assert planted(GET_NOTE.format(plan="notes_member_id_created_at_id_idx.")) == (
        f"sql/planted.sql:6 get_note: {otherwise('`notes_member_id_created_at_id_idx`', 'notes_pkey', version)}"
    )


def test_every_index_that_is_used_is_promised(planted: Planted) -> None:
    assert (
        planted("""
-- name: get_revision(member_id, note_id, number)^
-- A revision and its note.
-- Takes: RevisionKey.
-- Plan: revisions_pkey.
SELECT notes.title
FROM revisions
JOIN notes
    ON notes.member_id = revisions.member_id
    AND notes.id = revisions.note_id
WHERE revisions.member_id = :member_id
    AND revisions.note_id = :note_id
    AND revisions.number = :number;
""")
        == f"sql/planted.sql:5 get_revision: {otherwise('`revisions_pkey`', 'revisions_pkey, notes_pkey')}"
    )


@pytest.mark.parametrize("plan", ["seq scan of topics, notes_pkey.", "tid scan, notes_pkey.", "notes_pkey, insert."])
def test_nothing_is_promised_that_is_not_done(planted: Planted, plan: str) -> None:
    assert planted(GET_NOTE.format(plan=plan)) == (
        f"sql/planted.sql:6 get_note: {otherwise(f'`{plan[:-1]}`', 'notes_pkey')}"
    )


def test_a_seq_scan_is_promised(planted: Planted) -> None:
    assert (
        planted("""
-- name: get_topic(topic)^
-- A topic.
-- Takes: topic from Note.
-- Plan: topics_pkey.
SELECT is_closed
FROM topics
WHERE topic = :topic;
""")
        == f"sql/planted.sql:5 get_topic: {otherwise('`topics_pkey`', 'seq scan of topics')}"
    )


def test_a_seq_scan_is_of_a_handful_however_few_of_its_rows_are_read(planted: Planted, scratch: Connection) -> None:
    assert planted("""
-- name: get_any_member()^
-- Anybody.
-- Plan: seq scan of members.
-- Scope: all members.
SELECT email
FROM members
LIMIT 1;
""") == (
        "sql/planted.sql:4 get_any_member: Plan says `seq scan of members`, but members is no handful: rows.sql gives"
        f" it {count(scratch, 'members')} rows, and more than {HANDFUL} are too many. Have an index for it."
    )


def test_a_scan_that_cannot_be_promised_is_none_that_passes(planted: Planted) -> None:
    assert planted("""
-- name: get_any_topic()^
-- Any.
-- Plan: sample scan of topics.
SELECT topic
FROM topics TABLESAMPLE system (100)
LIMIT 1;
""") == (f"sql/planted.sql:4 get_any_topic: Plan says `sample scan of topics`, but {NO_INDEX}")


def test_what_is_read_beside_the_schema_is_not_promised(planted: Planted) -> None:
    assert (
        planted("""
-- name: get_class()^
-- A table of PostgreSQL's.
-- Plan: no table.
SELECT relname
FROM pg_class
WHERE oid = 'pg_class'::regclass;
""")
        == f"sql/planted.sql:4 get_class: {otherwise('`no table`', 'pg_class_oid_index')}"
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
        f"sql/planted.sql:4 list_numbers: {otherwise('nothing', 'no table, sort')}"
    )


@on_each_postgresql
def test_a_sort_is_promised(planted: Planted, scratch: Connection) -> None:
    version = scratch.info.server_version // 10000
    order = "created_at DESC, title"  # an Incremental Sort, of what the index has sorted in part
    assert planted(LIST_NOTES.format(plan="notes_member_id_created_at_id_idx, sort.", order=order)) == ""
    told = otherwise("`notes_member_id_created_at_id_idx`", "sort, notes_member_id_created_at_id_idx", version)
    assert planted(LIST_NOTES.format(plan="notes_member_id_created_at_id_idx, no sort.", order=order)) == (
        f"sql/planted.sql:5 list_notes: {told}"
    )


def test_a_sort_that_is_promised_is_done(planted: Planted) -> None:
    order = "created_at DESC, id DESC"
    told = otherwise("`notes_member_id_created_at_id_idx, sort`", "notes_member_id_created_at_id_idx")
    assert planted(LIST_NOTES.format(plan="notes_member_id_created_at_id_idx, sort.", order=order)) == (
        f"sql/planted.sql:5 list_notes: {told}"
    )


def test_what_has_an_order_by_says_whether_it_is_sorted(planted: Planted) -> None:
    order = "created_at DESC, id DESC"
    assert planted(LIST_NOTES.format(plan="notes_member_id_created_at_id_idx.", order=order)) == (
        "sql/planted.sql:5 list_notes: It has an ORDER BY, but Plan does not say whether it is sorted: add `no sort`,"
        " or `sort` where that is meant."
    )


def test_an_order_by_counts_at_whatever_depth(planted: Planted) -> None:
    assert planted("""
-- name: count_notes(member_id)$
-- The newest few.
-- Takes: NoteOwner.
-- Plan: notes_member_id_created_at_id_idx.
SELECT max(number)
FROM (
    SELECT row_number() OVER (ORDER BY created_at DESC) AS number
    FROM notes
    WHERE member_id = :member_id
    LIMIT 5
) AS numbered;
""") == (
        "sql/planted.sql:5 count_notes: It has an ORDER BY, but Plan does not say whether it is sorted: add `no sort`,"
        " or `sort` where that is meant."
    )


def test_a_list_says_whether_it_is_sorted(planted: Planted) -> None:
    assert planted("""
-- name: list_topics()
-- In no order.
-- Plan: seq scan of topics.
SELECT topic
FROM topics;
""") == (
        "sql/planted.sql:4 list_topics: It is a list, but Plan does not say whether it is sorted: add `no sort`, or"
        " `sort` where that is meant."
    )


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("notes_pkey", "Plan does not end with a full stop: add it."),
        ("notes_pkey, notes_pkey.", "Plan says `notes_pkey` more than once: say it once."),
        ("notes_pkey, quickly.", f"Plan says `quickly`, but {NO_INDEX}"),
        ("notes_pkey, seq scan of chores.", "Plan says `seq scan of chores`, but there is no such table: name one."),
        ("notes_pkey, no sort, sort.", "Plan says both `sort` and `no sort`: say one."),
    ],
)
def test_a_plan_keeps_to_the_grammar(planted: Planted, plan: str, said: str) -> None:
    assert planted(GET_NOTE.format(plan=plan)).splitlines()[0] == f"sql/planted.sql:6 get_note: {said}"


def test_a_remark_may_say_anything(planted: Planted) -> None:
    assert planted(GET_NOTE.format(plan="notes_pkey; quickly, and without a sort. See there; or not.")) == ""


def test_a_statement_says_how_it_is_planned(planted: Planted) -> None:
    assert planted(GET_NOTE.replace("-- Plan: {plan}\n", "")) == (
        "sql/planted.sql:2 get_note: Does not say how it is planned: add a line `-- Plan:`."
    )


@on_each_postgresql
def test_an_index_is_entered_by_its_first_column(planted: Planted) -> None:
    assert planted("""
-- name: list_removals(page_size)
-- The oldest.
-- Takes: RemovalPage.
-- Plan: removals_removed_at_digest_idx, no sort.
SELECT digest
FROM removals
ORDER BY removed_at, digest
LIMIT :page_size;
""") == (
        "sql/planted.sql:5 list_removals: Reads the whole of removals_removed_at_digest_idx, which begins with"
        " removed_at, since its index condition is empty: limit removed_at, or have an index that begins with what is"
        " limited."
    )


@on_each_postgresql
def test_an_index_of_many_columns_is_not_entered_by_its_second(subject: Subject, plant: Plant) -> None:
    scratch = subject.connection
    with rolled_back(scratch):
        scratch.execute("CREATE TABLE labels (colour text, topic text)")
        scratch.execute("CREATE INDEX labels_colour_topic_idx ON labels (colour, topic)")
        scratch.execute("INSERT INTO labels VALUES ('green', 'draft')")
        scratch.execute("SET LOCAL enable_seqscan = off")
        scratch.execute("SET LOCAL enable_sort = off")
        statements = plant("""
-- name: list_labels(topic)
-- Of a topic.
-- Takes: topic from Note.
-- Plan: labels_colour_topic_idx, no sort.
SELECT colour
FROM labels
WHERE topic = :topic
ORDER BY colour;
""")
        schema = read_schema(subject.project, scratch)
        [diagnostic] = plans.check(replace(subject, statements=statements, schema=schema))
    assert diagnostic.message == (
        "Reads the whole of labels_colour_topic_idx, which begins with colour, since its index condition is"
        " (topic = $1): limit colour, or have an index that begins with what is limited."
    )


@on_each_postgresql
def test_a_table_with_an_owner_is_read_by_its_owner(planted: Planted) -> None:
    text = """
-- name: list_revisions()
-- Those that have expired.
-- Plan: revisions_expires_at_idx, no sort.
SELECT number
FROM revisions
WHERE expires_at <= now()
ORDER BY expires_at;
"""
    assert planted(text) == (
        "sql/planted.sql:4 list_revisions: Reads revisions by revisions_expires_at_idx without `member_id =` in its"
        " index condition, which is (expires_at <= now()): limit it by member_id, with an index that begins with it,"
        " or give the reason under `Scope:`."
    )
    assert planted(text.replace("SELECT", "-- Scope: all members, since time passes for everybody.\nSELECT")) == ""


def test_a_range_of_owners_is_not_an_owner(planted: Planted) -> None:
    assert planted(GET_NOTE.replace("member_id = :", "member_id <= :").format(plan="notes_pkey.")) == (
        "sql/planted.sql:6 get_note: Reads notes by notes_pkey without `member_id =` in its index condition, which is"
        " ((member_id <= $1) AND (id = $2)): limit it by member_id, with an index that begins with it, or give the"
        " reason under `Scope:`."
    )


def test_a_table_with_an_owner_is_not_read_as_a_whole(planted: Planted, scratch: Connection) -> None:
    assert planted("""
-- name: count_notes()$
-- Of everybody.
-- Plan: seq scan of notes.
SELECT count(*)
FROM notes;
""") == (
        "sql/planted.sql:4 count_notes: Plan says `seq scan of notes`, but notes is no handful: rows.sql gives it"
        f" {count(scratch, 'notes')} rows, and more than {HANDFUL} are too many. Have an index for it.\n"
        "sql/planted.sql:4 count_notes: Reads the whole of notes, whose rows are each one owner's: limit it by"
        " member_id, with an index that begins with it, or give the reason under `Scope:`."
    )


ARCHIVED = "notes WHERE member_id = (SELECT id FROM members WHERE email = 'me@example.com') AND notes.topic = 'archive'"

DISCARDING = """
-- name: count_notes(member_id)$
-- Those about plants.
-- Takes: NoteOwner.
-- Plan: {plan}
SELECT count(*)
FROM notes
WHERE member_id = :member_id
    AND topic = 'archive'
    AND title LIKE '%plants%';
"""


@on_each_postgresql
def test_a_scan_keeps_most_of_what_it_reads(planted: Planted, scratch: Connection) -> None:
    promise = "notes_member_id_topic_created_at_id_idx"
    assert planted(DISCARDING.format(plan=f"{promise}, discards; it has to read every title.")) == ""
    kept = count(scratch, f"{ARCHIVED} AND title LIKE '%plants%'")
    assert planted(DISCARDING.format(plan=f"{promise}.")) == (
        f"sql/planted.sql:5 count_notes: Its Index Scan of {promise} keeps {kept} rows, and discards"
        f" {count(scratch, ARCHIVED) - kept} for want of ((title)::text ~~ '%plants%'::text): have an index that knows,"
        " or say `discards` and, behind a semicolon, why."
    )


@on_each_postgresql
def test_a_join_keeps_most_of_what_it_reads(planted: Planted, scratch: Connection) -> None:
    pairs = f"topics, {ARCHIVED}"
    kept = count(scratch, f"{pairs} AND position < length(title)")
    assert planted("""
-- name: count_notes(member_id)$
-- Each with the topics that its title is longer than.
-- Takes: NoteOwner.
-- Plan: notes_member_id_topic_created_at_id_idx, seq scan of topics.
SELECT count(*)
FROM notes
JOIN topics ON topics.position + 0 < length(notes.title)
WHERE notes.member_id = :member_id
    AND notes.topic = 'archive';
""") == (
        f"sql/planted.sql:5 count_notes: Its Nested Loop keeps {kept} rows, and discards"
        f""" {count(scratch, pairs) - kept} for want of ((topics."position" + 0) < length((notes.title)::text)): have"""
        " an index that knows, or say `discards` and, behind a semicolon, why."
    )


def test_discards_is_not_said_of_what_cannot(planted: Planted) -> None:
    assert planted(GET_NOTE.format(plan="notes_pkey, discards.")) == (
        "sql/planted.sql:6 get_note: Plan says `discards`, but nothing in the plan can discard a row that an index has"
        " found: remove it."
    )


@on_each_postgresql
def test_what_postgresql_refuses_keeps_no_other_statement_from_its_check(planted: Planted) -> None:
    good = GET_NOTE.format(plan="notes_pkey.")
    bad = good.replace("SELECT title", "SELECT titel").replace("get_note", "get_misspelt_note")
    assert planted(bad + good) == (
        'sql/planted.sql:6 get_misspelt_note: PostgreSQL cannot plan it (column "titel" does not exist): mend the'
        " statement."
    )


@on_each_postgresql
def test_what_fails_keeps_no_other_statement_from_its_check(planted: Planted) -> None:
    bad = """
-- name: create_member(email, password_hash)^
-- Somebody who is there.
-- Takes: Credentials.
-- Plan: insert.
INSERT INTO members (email, password_hash)
VALUES (:email, :password_hash)
RETURNING id;
"""
    assert planted(bad + GET_NOTE.format(plan="notes_pkey.")) == (
        "sql/planted.sql:5 create_member: Fails with the examples of Credentials.email, Credentials.password_hash"
        ' (duplicate key value violates unique constraint "members_email_key"): mend the statement, the examples or'
        " rows.sql."
    )


def test_each_parameter_is_fed(planted: Planted) -> None:
    assert planted(GET_NOTE.replace("NoteKey", "NoteOwner").format(plan="notes_pkey.")) == (
        "sql/planted.sql:6 get_note: Cannot be run: nothing feeds :id; name its schema under `Takes:`."
    )


_ID = "5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11"  # of a row of the example
_EXAMPLES: dict[str, tuple[marshmallow.fields.Field[Any], str]] = {
    "none": (marshmallow.fields.UUID(), "give Shown.id one that it accepts"),
    "an empty list": (marshmallow.fields.UUID(metadata={"examples": []}), "give Shown.id one that it accepts"),
    "one that is refused": (
        marshmallow.fields.UUID(metadata={"examples": ["x", _ID]}),
        "give Shown.id one that it accepts",
    ),
    "a number": (marshmallow.fields.UUID(metadata={"examples": 3}), "write the `examples` of Shown.id as a list"),
    "a text": (marshmallow.fields.UUID(metadata={"examples": _ID}), "write the `examples` of Shown.id as a list"),
    "half a character": (
        marshmallow.fields.String(metadata={"examples": ["\ud800"]}),
        "give Shown.id one that it accepts",
    ),
    "half a character in a list": (
        marshmallow.fields.List(marshmallow.fields.String(), metadata={"examples": [["a", "\ud800"]]}),
        "give Shown.id one that it accepts",
    ),
    "a field that fails": (
        Stubborn(metadata={"examples": [_ID]}),
        "Shown.id fails with the one that it has: RuntimeError: Not today",
    ),
}


@pytest.mark.parametrize("title", _EXAMPLES)
def test_each_parameter_has_an_example(subject: Subject, plant: Plant, title: str) -> None:
    field, told = _EXAMPLES[title]
    assert _found_with(field, subject, plant) == [
        f"sql/planted.sql:6 get_note: Cannot be run: :id has no example; {told}."
    ]


def test_the_first_example_is_the_one_that_a_row_is_there_for(subject: Subject, plant: Plant) -> None:
    first = marshmallow.fields.UUID(metadata={"examples": (_ID, str(UUID(int=0)))})
    assert _found_with(first, subject, plant) == []


def _found_with(field: marshmallow.fields.Field[Any], subject: Subject, plant: Plant) -> list[str]:
    """Return what is said of a statement whose parameter `id` is fed by a field."""
    registry = Registry({**subject.project.registry.schemas, "Shown": type("Shown", (RowSchema,), {"id": field})}, {})
    [planted] = plant(GET_NOTE.replace("NoteKey", "NoteOwner, Shown").format(plan="notes_pkey."))
    return list(map(str, plans.check(replace(subject, statements=[replace(planted, registry=registry)]))))


def test_a_statement_finds_a_row(planted: Planted) -> None:
    assert planted(GET_NOTE.replace("id = :id", "id = md5(:id::text)::uuid").format(plan="notes_pkey.")) == (
        "sql/planted.sql:6 get_note: Finds nothing with the examples of NoteKey.member_id, NoteKey.id: have rows.sql"
        " add a row that it finds."
    )


@pytest.mark.parametrize(("value", "found"), [("count(*)", "0"), ("max(version)", "nothing")])
def test_a_value_is_one_of_some_row(planted: Planted, value: str, found: str) -> None:
    text = """
-- name: count_notes(member_id, id)$
-- A value of nothing.
-- Takes: NoteKey.
-- Plan: notes_pkey.
SELECT {value}
FROM notes
WHERE member_id = :member_id
    AND id = {id};
"""
    assert planted(text.format(value=value, id=":id")) == ""
    assert planted(text.format(value=value, id="md5(:id::text)::uuid")) == (
        f"sql/planted.sql:5 count_notes: Finds {found} with the examples of NoteKey.member_id, NoteKey.id: have"
        " rows.sql add a row that it finds."
    )


@pytest.mark.parametrize(("title", "said"), [("title", ""), ("'none'", "Finds nothing")])
def test_to_change_a_row_is_to_find_it(planted: Planted, title: str, said: str) -> None:
    diagnostics = planted(f"""
-- name: update_note_title(member_id, id)
-- Return nothing.
-- Takes: NoteKey.
-- Plan: notes_pkey.
UPDATE notes
SET title = 'Other'
WHERE member_id = :member_id
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
        return settings, prepared, scratch.execute("SELECT count(*), max(version) FROM notes").fetchall()

    before = state()
    assert (
        planted("""
-- name: delete_note(member_id, id)^
-- Remove a note.
-- Takes: NoteKey.
-- Plan: notes_pkey.
DELETE FROM notes
WHERE member_id = :member_id
    AND id = :id
RETURNING id;
""")
        == ""
    )
    assert state() == before


def test_an_index_that_is_read_as_a_bitmap_is_one_that_is_used() -> None:
    below = {"Node Type": "Bitmap Index Scan", "Index Name": "labels_colour_idx"}
    assert clauses_of({"Node Type": "Bitmap Heap Scan", "Relation Name": "labels", "Plans": [below]}) == [
        "labels_colour_idx"
    ]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("(id = $1)", [("id", True)]),
        ("((email)::text = $1)", [("CAST(email AS text)", True), ("email", True)]),
        ("(id = (InitPlan 1).col1)", [("id", True)]),
        ("((member_id = $1) AND (id > $2))", [("member_id", True), ("id", False)]),
        ("((member_id = $1) AND (ROW(created_at, id) < ROW($2, $3)))", [("member_id", True), ("created_at", False)]),
        ("(ROW(member_id, id) = ROW($2, $3))", [("member_id", False)]),
        ("(member_id = ANY ($1))", [("member_id", False)]),
        ("(member_id IS NULL)", [("member_id", False)]),
        ("(lower((email)::text) = $1)", [("lower(CAST(email AS text))", True)]),
        ("((note_id)::text = ANY ($1))", [("CAST(note_id AS text)", False), ("note_id", False)]),
        ("(members.id = $1)", [("members.id", True)]),
        ("is_closed", []),
        ("(hashed SubPlan 1)", []),
        (None, []),
    ],
)
def test_an_index_condition_is_about_columns(text: str | None, read: list[tuple[str, bool]]) -> None:
    assert list(conditions(text)) == read


def test_an_index_begins_with_a_column_or_an_expression(subject: Subject) -> None:
    scratch = subject.connection
    with rolled_back(scratch):
        scratch.execute("CREATE INDEX members_idx ON members (lower(email), (id::text), id DESC) INCLUDE (updated_at)")
        index = read_schema(subject.project, scratch).tables["members"].indexes["members_idx"]
    assert index.keys == ("lower(CAST(email AS text))", "CAST(id AS text)", "id")
