"""A release, in a git repository of its own, and what may and may not change before the next."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.behaviour import Behaviour, regressions
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_one_postgresql
from tests.sqlcheck.repositories import Checkout, checkout, make_checkout, own_git, server, unreleased

__all__ = ["checkout", "own_git", "server", "unreleased"]

pytestmark = on_one_postgresql

_DOCUMENT = Path(__file__).parents[2] / "docs" / "sql-checks.md"
_BREAKS = "Breaks this statement of v1.0.0, which runs until its last instance is replaced: "
_KEEP = ". Keep what it needs, and contract one release later."
_NOTHING = "Compared with v1.0.0, since which there is no new migration."
_ONE = "Compared with v1.0.0, since which there is 1 new migration."


# What a release needs


def test_what_has_not_changed_is_compatible_and_takes_no_database(checkout: Checkout) -> None:
    checkout.connection.execute("SET ROLE notes_app")  # who may make none
    try:
        result = checkout.check()
    finally:
        checkout.connection.execute("RESET ROLE")
    assert (result.diagnostics, result.notes) == ([], (_NOTHING,))


def test_a_column_is_added_before_the_code_that_reads_it(checkout: Checkout) -> None:
    id_ = checkout.migrate("add-due-at", "ALTER TABLE notes ADD COLUMN due_at timestamptz;")
    checkout.migrate("add-due-at-idx", "CREATE INDEX CONCURRENTLY an_idx ON notes (due_at);", "at any time")
    checkout.edit(
        "sql/notes.sql",
        "-- Plan: notes_pkey.\nSELECT member_id, id, title,",
        "-- Plan: notes_pkey.\nSELECT member_id, id, due_at, title,",
    )
    databases = "SELECT oid FROM pg_database ORDER BY oid"
    before = checkout.connection.execute(databases).fetchall()
    result = checkout.check()
    assert (result.diagnostics, result.notes) == (
        [],
        ("Compared with v1.0.0, since which there are 2 new migrations.", f"get_note needs {id_} first."),
    )
    assert checkout.connection.execute(databases).fetchall() == before


_BROKEN = {
    "a column that is read": (
        "ALTER TABLE revisions DROP COLUMN body;",
        {
            "create_revision": 'PostgreSQL does not prepare it: column "body" of relation "revisions" does not exist',
            "get_revision": "PostgreSQL does not prepare it: column revisions.body does not exist",
        },
    ),
    "a name": (
        "ALTER TABLE topics RENAME COLUMN position TO place;",
        {
            "get_topic": 'PostgreSQL does not prepare it: column "position" does not exist',
            "list_topics": 'PostgreSQL does not prepare it: column "position" does not exist',
        },
    ),
    "a NULL that an INSERT leaves": (
        """
        ALTER TABLE members ADD COLUMN name text;
        UPDATE members SET name = email;
        ALTER TABLE members ALTER COLUMN name SET NOT NULL;
        """,
        {
            "create_member": 'it fails as notes_app: null value in column "name" of relation "members" violates'
            " not-null constraint",
        },
    ),
    "room for a long text": (
        "ALTER TABLE notes ALTER COLUMN title TYPE varchar(150);",
        dict.fromkeys(("create_note", "update_note"), "notes.title has room for 150 characters, and not for 200"),
    ),
    "a type": (
        "ALTER TABLE removals ALTER COLUMN removed_at TYPE timestamp;",
        {
            "list_removals": "it takes :after_removed_at as timestamp, and not as timestamptz; it returns removed_at"
            " as timestamp, and not as timestamptz",
        },
    ),
    "a privilege": (
        "REVOKE DELETE ON members FROM notes_app;",
        {"delete_member": "it fails as notes_app: permission denied for table members"},
    ),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, subject: Subject, server: Connection) -> dict[str, list[str]]:
    """The diagnostics of a deployment in which each migration breaks another table, by migration."""
    checkout = make_checkout(tmp_path_factory.mktemp("broken"), subject, server)
    # Schemas that the code has no more.
    checkout.edit("sql/members.sql", "-- Takes: MemberDraft.", "-- Takes: DraftOfAMember.")
    checkout.release("v1.0.0")
    shutil.copytree(subject.project.sql, checkout.project.sql, dirs_exist_ok=True)
    ids = {title: checkout.migrate(f"break-{number}", sql) for number, (title, (sql, _)) in enumerate(_BROKEN.items())}
    diagnostics = checkout.diagnostics()
    return {
        title: [diagnostic for diagnostic in diagnostics if diagnostic.startswith(f"migrations/{id_}.sql:")]
        for title, id_ in ids.items()
    }


@pytest.mark.parametrize("title", _BROKEN)
def test_what_the_release_needs_is_not_taken_away(title: str, broken: dict[str, list[str]]) -> None:
    told = [re.sub(r"^migrations/\S+:1 ", "", diagnostic) for diagnostic in broken[title]]
    assert told == [f"{name}: {_BREAKS}{what}{_KEEP}" for name, what in _BROKEN[title][1].items()]


def test_the_document_shows_what_is_told(broken: dict[str, list[str]]) -> None:
    document = _DOCUMENT.read_text(encoding="utf-8")
    shown = re.findall(r"^migrations/\S+:1 (.+ of v1\.0\.0.+)$", document, re.MULTILINE)
    told = {
        re.sub(r"^migrations/\S+:1 ", "", diagnostic) for diagnostics in broken.values() for diagnostic in diagnostics
    }
    assert len(shown) == 3
    assert told.issuperset(shown)


def test_a_migration_after_the_code_may_not_break_the_release_either(checkout: Checkout) -> None:
    id_ = checkout.migrate("drop-position", "ALTER TABLE topics DROP COLUMN position;", "after the code")
    diagnostics = checkout.check().diagnostics
    assert {(diagnostic.file, diagnostic.line) for diagnostic in diagnostics} == {(f"migrations/{id_}.sql", 1)}
    # Those of today, which it breaks as well, are for the other checks: none gets what it needs too late.
    assert [diagnostic.query for diagnostic in diagnostics] == ["get_topic", "list_topics"]


def test_rows_that_are_there_have_to_suit_what_comes(checkout: Checkout) -> None:
    id_ = checkout.migrate("limit-titles", "ALTER TABLE notes ADD CONSTRAINT a_check CHECK (char_length(title) < 5);")
    assert checkout.diagnostics() == [
        (
            f'migrations/{id_}.sql:1: Fails on the schema and the rows of v1.0.0: check constraint "a_check" of'
            ' relation "notes" is violated by some row. Have it, or a migration before it, bring them into shape first.'
        )
    ]


def test_what_the_code_of_the_release_may_not_expect_is_noted(checkout: Checkout) -> None:
    rule = checkout.migrate("add-rule", "ALTER TABLE notes ADD CONSTRAINT a_check CHECK (body <> '') NOT VALID;")
    key = checkout.migrate("drop-key", "ALTER TABLE members DROP CONSTRAINT members_email_key;")
    null = checkout.migrate("allow-null", "ALTER TABLE members ALTER COLUMN updated_at DROP NOT NULL;", "at any time")
    result = checkout.check()
    ready = "see that its code is ready for that."
    assert result.diagnostics == []
    assert result.notes == (
        "Compared with v1.0.0, since which there are 3 new migrations.",
        f"From {null} on create_member of v1.0.0 may return NULL in updated_at: {ready}",
        f"From {key} on get_credentials of v1.0.0 may return a second row: {ready}",
        f"From {null} on get_member of v1.0.0 may return NULL in updated_at: {ready}",
        f"From {rule} on create_note of v1.0.0 can break a_check of notes: {ready}",
        f"From {rule} on update_note of v1.0.0 can break a_check of notes: {ready}",
    )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"parameters": {"n": "int8"}}, {"parameters": {"n": "int4"}}, ["it takes :n as int4, and not as int8"]),
        ({"parameters": {"n": "int4"}}, {"parameters": {"n": "int8"}}, []),
        ({"parameters": {"n": "uuid"}}, {"parameters": {"n": "text"}}, ["it takes :n as text, and not as uuid"]),
        ({"parameters": {"n": "text[]"}}, {"parameters": {"n": "varchar[]"}}, []),
        ({"parameters": {"n": "text[]"}}, {"parameters": {"n": "text"}}, ["it takes :n as text, and not as text[]"]),
        ({"columns": {"n": "int8"}}, {"columns": {"n": "int4"}}, []),
        ({"columns": {"n": "int8"}}, {"columns": {"n": "float8"}}, ["it returns n as float8, and not as int8"]),
        ({"columns": {"n": "int8"}}, {}, ["it does not return n"]),
        (
            {"rooms": {"t.c": None}},
            {"rooms": {"t.c": 9}},
            ["t.c has room for 9 characters, and not for any number of them"],
        ),
        ({"rooms": {"t.c": 9}}, {"rooms": {"t.c": 10}}, []),
        ({"rooms": {"t.c": 9}}, {"rooms": {"t.c": None}}, []),
        ({"failure": "denied"}, {"failure": "denied", "owner_failure": "no t"}, ["it fails: no t"]),
        ({"failure": "denied", "owner_failure": "no t"}, {"failure": "a", "owner_failure": "b"}, []),
        ({"refusal": "no t"}, {"refusal": "no u"}, []),
    ],
)
def test_a_statement_behaves_as_it_did(before: Any, after: Any, told: list[str]) -> None:
    assert list(regressions(Behaviour("app", **before), Behaviour("app", **after))) == told


# What today's statements need


def test_what_a_statement_needs_does_not_come_after_it(checkout: Checkout) -> None:
    checkout.migrate("add-remark", "ALTER TABLE notes ADD COLUMN remark text;", "at any time")
    late = checkout.migrate("add-due-at", "ALTER TABLE notes ADD COLUMN due_at timestamptz;", "after the code")
    checkout.edit(
        "sql/notes.sql",
        "-- Plan: notes_pkey.\nSELECT member_id, id, title,",
        "-- Plan: notes_pkey.\nSELECT member_id, id, remark, due_at, title,",
    )
    assert checkout.diagnostics() == [
        (
            f"migrations/{late}.sql:1 get_note: Goes after the code, which has this statement and needs it: without it"
            ' PostgreSQL does not prepare it: column "due_at" does not exist. Say `Order: before …` in its header, or'
            " let the statement do without it for one release."
        )
    ]


def test_a_migration_before_the_code_does_not_need_one_after_it(checkout: Checkout) -> None:
    late = checkout.migrate("add-remark", "ALTER TABLE notes ADD COLUMN remark text;", "after the code")
    early = checkout.migrate("comment-remark", "COMMENT ON COLUMN notes.remark IS 'A remark.';")
    assert checkout.diagnostics() == [
        (
            f"migrations/{early}.sql:1: Fails on the schema and the rows of v1.0.0, without {late}, which goes"
            ' after the code: column "remark" of relation "notes" does not exist. Have it, or a migration before it,'
            " bring them into shape first."
        )
    ]


def test_a_rule_that_goes_only_after_the_code_is_noted(checkout: Checkout) -> None:
    sql = "ALTER TABLE notes DROP CONSTRAINT notes_version_positive_check;"
    id_ = checkout.migrate("forget-rule", sql, "after the code")
    checkout.edit(
        "sql/notes.sql",
        "(member_id, title, body, topic)\nVALUES (",
        "(version, member_id, title, body, topic)\nVALUES (DEFAULT, ",
    )
    can = "can break notes_version_positive_check of notes: see that its code is ready for that."
    assert checkout.check().notes == (_ONE, f"Until {id_} create_note {can}")


# What has been released


@pytest.mark.parametrize("file", ["0003.create-notes.sql", "0003.create-notes.rollback.sql"])
def test_what_has_been_released_does_not_change(checkout: Checkout, file: str) -> None:
    path = checkout.migrations / file
    path.write_text(path.read_text() + "-- More.\n")
    told = "Has changed since v1.0.0, which databases have had: undo that, and write a new migration."
    assert checkout.diagnostics() == [f"migrations/{file}:1: {told}"]


def test_what_has_been_released_is_not_removed_or_renamed(checkout: Checkout) -> None:
    last = checkout.migrate("add-nothing", "SELECT 1;")
    checkout.release("v1.0.1")
    for file in checkout.migrations.glob(f"{last}.*"):
        file.rename(file.with_name(file.name.replace("nothing", "little")))
    told = "Is in v1.0.1 and not here, so that it was removed or renamed: put it back."
    assert checkout.diagnostics() == [f"migrations/{last}{ending}:1: {told}" for ending in (".rollback.sql", ".sql")]


def test_what_is_new_comes_behind_what_has_been_released(checkout: Checkout) -> None:
    sooner = checkout.migrate("add-sooner", "SELECT 1;")
    later = checkout.migrate("add-later", "SELECT 2;")
    files = {file: file.read_text() for file in checkout.migrations.glob(f"{sooner}.*")}
    for file in files:
        file.unlink()
    checkout.edit(f"migrations/{later}.sql", f"-- depends: {sooner}", "-- depends:")
    checkout.release("v1.0.1")
    for file, text in files.items():
        file.write_text(text)
    told = "which v1.0.1 has: give it the next number that is free."
    assert checkout.diagnostics() == [f"migrations/{sooner}.sql:1: Comes before {later}, {told}"]
