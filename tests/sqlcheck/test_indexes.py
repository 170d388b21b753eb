"""The needs for each index; what is said of one that nothing needs, and of a foreign key that needs one."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from service.sqlcheck.checks import indexes
from service.sqlcheck.checks.indexes import Proof
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.project import Project
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import rolled_back
from tests.sharing import on_each_postgresql, on_one_postgresql
from tests.sqlcheck.conftest import Plant

pytestmark = on_one_postgresql

Check = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Dropping:
    """The uses of each index, and what there was before and after all were dropped to find them."""

    uses: dict[str, list[str]]
    before: object
    after: object


@pytest.fixture(scope="module")
def dropping(subject: Subject) -> Dropping:
    """The uses of the example's indexes, and of one on a table of our own."""

    def state() -> object:
        rows = subject.connection.execute("SELECT count(*), max(version) FROM notes").fetchall()
        return read_schema(subject.project, subject.connection), rows

    with rolled_back(subject.connection):
        subject.connection.execute("CREATE TABLE labels (topic text CONSTRAINT labels_topic_fkey REFERENCES topics)")
        subject.connection.execute("CREATE INDEX labels_topic_idx ON labels (topic)")
        before = state()
        schema = read_schema(subject.project, subject.connection)
        return Dropping(indexes.uses(replace(subject, schema=schema)), before, state())


@pytest.fixture
def changed(subject: Subject) -> Iterator[Subject]:
    """The example, for a test that changes its schema."""
    with rolled_back(subject.connection):
        yield subject


@pytest.fixture
def check(changed: Subject, copy: Project) -> Check:
    """Check the database as it is by now, against a migration 9999.new.sql, and return what is said of one thing."""

    def _check(
        name: str,
        migration: str = "",
        *,
        statements: Sequence[Statement] = (),
        proofs: Sequence[Proof] = indexes.PROOFS,
    ) -> str:
        (copy.migrations / "9999.new.sql").write_text(migration, encoding="utf-8")
        schema = read_schema(copy, changed.connection)
        found = indexes.check(replace(changed, project=copy, statements=statements, schema=schema), proofs)
        return "\n".join(str(diagnostic) for diagnostic in found if re.search(rf"\b{name}\b", diagnostic.message))

    return _check


def only(subject: Subject, *names: str) -> list[Statement]:
    """Return some statements of the example."""
    return [statement for statement in subject.statements if statement.name in names]


def of(subject: Subject, file: str) -> list[Statement]:
    """Return the statements of one file of the example."""
    return [statement for statement in subject.statements if statement.file == f"sql/{file}.sql"]


@on_each_postgresql
def test_every_index_of_the_example_is_needed_and_by_what(subject: Subject, dropping: Dropping) -> None:
    uses = dropping.uses
    ours = {name for table in subject.schema.tables.values() if table.is_ours for name in table.indexes}
    assert uses.keys() == ours | {"labels_topic_idx"}
    assert [name for name, needed_by in uses.items() if not needed_by] == []
    assert uses["notes_member_id_created_at_id_idx"] == [
        "list_notes: plan",
        "list_notes_matching: plan",
        "list_notes_oldest_first: plan",
    ]
    assert uses["labels_topic_idx"] == ["labels_topic_fkey: support"]
    assert uses["topics_position_key"] == ["list_topics: contracts"]
    assert {"get_note: plan", "get_note: contracts"} <= set(uses["notes_pkey"])
    assert {"notes_topic_fkey: reference", "get_topic: contracts"} <= set(uses["topics_pkey"])
    assert {"get_credentials: plan", "create_member: contracts"} <= set(uses["members_email_key"])
    # A trigger writes there, and so it does when notes go with their owner.
    assert {"delete_note: execution", "delete_member: execution"} <= set(uses["removals_pkey"])


def test_to_drop_each_index_leaves_everything_as_it_was(dropping: Dropping) -> None:
    assert dropping.before == dropping.after


@pytest.mark.parametrize("columns", ["member_id, title", "member_id, id", "closed_at"])
def test_an_index_that_nothing_needs_is_a_fault(changed: Subject, check: Check, columns: str) -> None:
    changed.connection.execute(f"CREATE INDEX notes_new_idx ON notes ({columns})")
    migration = "--\n\nCREATE INDEX notes_new_idx ON notes (title);"
    assert check("notes_new_idx", migration, statements=of(changed, "notes")) == (
        "migrations/9999.new.sql:3: No statement needs notes_new_idx, and no foreign key: drop it, or name it under"
        " `Raises:` where it can fail."
    )


@pytest.mark.parametrize(
    ("migration", "place"),
    [
        (
            "CREATE UNIQUE INDEX CONCURRENTLY x ON members (email);\n\nCREATE INDEX x ON members (email);",
            "/9999.new.sql:3",
        ),
        ("CREATE TABLE members (\n    CONSTRAINT x UNIQUE (email)\n);\nDROP INDEX x;", "/9999.new.sql:2"),
        (
            "ALTER TABLE members ADD CONSTRAINT x UNIQUE (id);\nCOMMENT ON CONSTRAINT x ON members IS '';",
            "/9999.new.sql:1",
        ),
        ("CREATE INDEX y ON members (id);\n\nALTER INDEX y RENAME TO x;", "/9999.new.sql:3"),
        ("DO $$\nBEGIN\n    CREATE INDEX x ON members (id);\nEND;\n$$;", "/9999.new.sql:3"),
        ("-- " + "ä" * 80 + "\nALTER TABLE members\n    ADD CONSTRAINT x UNIQUE (id);", "/9999.new.sql:3"),
        ("ALTER TABLE members DROP CONSTRAINT x;\nCREATE INDEX xy ON members (id);", ":1"),
    ],
)
def test_a_fault_is_where_the_index_was_made_last(
    changed: Subject, check: Check, copy: Project, migration: str, place: str
) -> None:
    (copy.migrations / "9999.new.rollback.sql").write_text("CREATE INDEX x ON members (created_at);")
    changed.connection.execute("CREATE INDEX x ON members (created_at)")
    assert check("x", migration).startswith(f"migrations{place}: No statement needs x,")


def test_a_statement_that_is_at_fault_anyway_needs_no_index_for_that(changed: Subject, check: Check) -> None:
    changed.connection.execute("CREATE INDEX notes_new_idx ON notes (member_id, title)")
    (get_note,) = only(changed, "get_note")
    wrong = {"Plan": replace(get_note.labels["Plan"], text="sort, quickly")}
    statements = [*of(changed, "notes"), replace(get_note, name="get_same_note", labels=wrong)]
    assert "No statement needs notes_new_idx" in check("notes_new_idx", statements=statements)


def test_a_unique_constraint_is_needed_by_what_says_that_it_can_raise_it(changed: Subject, check: Check) -> None:
    changed.connection.execute("ALTER TABLE notes ADD CONSTRAINT notes_new_key UNIQUE (member_id, id, title)")
    assert "No statement needs notes_new_key" in check("notes_new_key", statements=of(changed, "notes"))
    (update_note,) = only(changed, "update_note")
    raises = update_note.labels["Raises"]
    named = {"Raises": replace(raises, text=f"notes_new_key (never), {raises.text}")}
    raising = replace(update_note, labels=update_note.labels | named)
    assert check("notes_new_key", statements=[*of(changed, "notes"), raising]) == ""


def test_a_unique_index_is_needed_by_a_proof(changed: Subject, check: Check) -> None:
    def proof(subject: Subject) -> Iterator[Diagnostic]:
        for statement in subject.statements:
            if statement.name == "list_topics":
                # One that is there in any case says nothing of an index.
                yield statement.diagnostic("contracts", "No keyset.")
                if "topics_position_key" not in subject.schema.tables["topics"].indexes:
                    yield statement.diagnostic("contracts", "No total order.")

    statements = of(changed, "topics")
    said = check("topics_position_key", statements=statements, proofs=[])
    assert "No statement needs topics_position_key" in said
    assert check("topics_position_key", statements=statements, proofs=[proof]) == ""
    uses = indexes.uses(replace(changed, statements=statements), [proof])
    assert uses["topics_position_key"] == ["list_topics: contracts"]


def test_an_index_that_a_trigger_needs_is_needed_by_what_fires_it(changed: Subject, check: Check, plant: Plant) -> None:
    statements = plant("-- name: count_removals()$\nSELECT count(*) FROM removals;\n")
    assert "No statement needs removals_pkey" in check("removals_pkey", statements=statements)
    assert check("removals_pkey", statements=[*statements, *only(changed, "delete_note")]) == ""
    # By way of the notes, which go with their owner.
    assert check("removals_pkey", statements=[*statements, *only(changed, "delete_member")]) == ""


def test_an_index_that_on_conflict_needs_is_needed(changed: Subject, check: Check, plant: Plant) -> None:
    statements = plant("""
-- name: create_topic(topic)
-- Takes: topic from Note.
INSERT INTO topics (topic, is_closed, position)
VALUES (:topic, false, 10)
ON CONFLICT (position) DO NOTHING;
""")
    said = check("topics_position_key", statements=only(changed, "get_topic"))
    assert "No statement needs topics_position_key" in said
    assert check("topics_position_key", statements=statements) == ""
    assert "create_topic: preparation" in indexes.uses(replace(changed, statements=statements))["topics_position_key"]


NO_SUPPORT = (
    "migrations/9999.new.sql:1: No index supports revisions_source_fkey, so that to delete a row of notes reads the"
    " whole of revisions: have an index that begins with member_id, source_id, or say why there is none: COMMENT ON"
    " CONSTRAINT revisions_source_fkey ON revisions IS 'No index supports it: …'."
)


@pytest.fixture
def check_foreign_key(changed: Subject, check: Check) -> Callable[[str], str]:
    """Say what is wrong with another foreign key from revisions to notes, after some more of a migration."""

    def _check(more: str) -> str:
        key = "CONSTRAINT revisions_source_fkey FOREIGN KEY (member_id, source_id) REFERENCES notes (member_id, id)"
        changed.connection.execute("ALTER TABLE revisions ADD COLUMN source_id uuid")
        changed.connection.execute(f"ALTER TABLE revisions ADD {key}")
        changed.connection.execute(more)
        return check("revisions_source_fkey", f"ALTER TABLE revisions ADD {key};")

    return _check


@pytest.mark.parametrize(
    "more",
    [
        "",
        "CREATE INDEX i ON revisions (source_id, saved_at, member_id)",
        "CREATE INDEX i ON revisions (member_id, source_id) WHERE number > 1",
        "CREATE INDEX i ON revisions (member_id, (source_id::text), source_id)",
        "CREATE INDEX i ON revisions USING brin (member_id, source_id)",
        "COMMENT ON CONSTRAINT revisions_source_fkey ON revisions IS 'It has its reasons.'",
    ],
)
def test_a_foreign_key_has_an_index(check_foreign_key: Callable[[str], str], more: str) -> None:
    assert check_foreign_key(more) == NO_SUPPORT


@pytest.mark.parametrize(
    "more",
    [
        "CREATE INDEX i ON revisions (member_id, source_id)",
        "CREATE INDEX i ON revisions (source_id, member_id, saved_at)",
        "COMMENT ON CONSTRAINT revisions_source_fkey ON revisions IS 'No index supports it: notes stay for good.'",
    ],
)
def test_its_columns_come_first_in_any_order_or_it_has_a_reason(
    check_foreign_key: Callable[[str], str], more: str
) -> None:
    assert check_foreign_key(more) == ""


def test_a_reason_to_have_no_index_is_not_given_where_there_is_one(changed: Subject, check: Check) -> None:
    changed.connection.execute(
        "COMMENT ON CONSTRAINT notes_member_id_fkey ON notes IS 'No index supports it: members stay for good.'"
    )
    migration = "ALTER TABLE notes ADD CONSTRAINT notes_member_id_fkey FOREIGN KEY (member_id) REFERENCES members (id);"
    assert check("notes_member_id_fkey", migration) == (
        "migrations/9999.new.sql:1: The comment on notes_member_id_fkey says that no index supports it, but one does:"
        " drop the index or the comment."
    )
