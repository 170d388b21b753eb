"""What is said of a migration without a database: each rule, in a folder with two migrations."""

import re
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.database import embedded
from service.migrate.files import MigrationError, write_checksums
from service.resources import resource_folder
from service.sqlcheck.checks import migrations
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.reports import as_text
from service.sqlcheck.run import run_checks
from tests.sharing import on_one_postgresql

_CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"

_HEADER = """\
-- depends: 0001.create-notes
-- Purpose: try it.
-- Locks: none.
-- Order: before the code that reads it.

"""
_DOWN = "-- Loses: what was tried.\n"
_DROP = f"{_DOWN}\nDROP TABLE others;\n"
_COMMENT = "COMMENT ON TABLE others IS 'Others.';\n"
_CONCURRENTLY = _HEADER.replace("-- Purpose", "-- transactional: false\n-- Purpose")
_AFTER = _HEADER.replace("before the code that reads it", "after the code that read it")
_MAKE_INDEX = "CREATE INDEX CONCURRENTLY notes_text_idx ON notes (text);\n"
_DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS notes_text_idx;\n"


def _write(folder: Path, up: str, down: str | None = _DOWN) -> Path:
    """Write a migration that has no fault, and behind it the one that is tried."""
    folder.mkdir(exist_ok=True)
    first = _HEADER.replace("0001.create-notes", "").replace("depends: ", "depends:")
    (folder / "0001.create-notes.sql").write_text(
        f"{first}CREATE TABLE notes (text text NOT NULL);\n\nCOMMENT ON TABLE notes IS 'Notes.';\n\n"
        "CREATE FUNCTION count_notes() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM notes);\n\n"
        "COMMENT ON FUNCTION count_notes() IS 'How many there are.';\n"
    )
    (folder / "0001.create-notes.rollback.sql").write_text(
        "-- Loses: every note.\n\nDROP FUNCTION count_notes();\nDROP TABLE notes;\n"
    )
    (folder / "0002.try-it.sql").write_text(up)
    if down is not None:
        (folder / "0002.try-it.rollback.sql").write_text(down)
    write_checksums(folder)
    return folder


def _told(folder: Path, up: str, down: str | None = _DOWN) -> list[str]:
    diagnostics = sorted(migrations.check(_write(folder / "migrations", up, down)))
    assert {diagnostic.check for diagnostic in diagnostics} <= {"migrations"}
    return [str(diagnostic).removeprefix("migrations/0002.try-it.") for diagnostic in diagnostics]


@dataclass(frozen=True, slots=True)
class Case:
    """A migration, and how each fault of it begins: `sql:6: …`, or `rollback.sql:3: …`."""

    up: str
    down: str | None
    told: tuple[str, ...]


def _up(sql: str, *told: str, header: str = _HEADER) -> Case:
    return Case(header + sql, _DOWN, told)


def _down(sql: str, *told: str, loses: str = "-- Loses: nothing.\n") -> Case:
    return Case(_HEADER, loses + "\n" + sql, told)


def _header(old: str, new: str, *told: str) -> Case:
    assert _HEADER.count(old) == 1
    return Case(_HEADER.replace(old, new), _DOWN, told)


_NAMES_OF_A_TABLE = f"""\
CREATE TABLE others (
    id uuid PRIMARY KEY,
    a text UNIQUE,
    b text NOT NULL CHECK (b <> ''),
    c text REFERENCES notes (text),
    d text CONSTRAINT d_unique UNIQUE,
    UNIQUE (a, b),
    EXCLUDE USING gist (a WITH =),
    CONSTRAINT others_check_b CHECK (b <> 'x')
);

{_COMMENT}"""

CASES = {
    "nothing to say": _up(""),
    # The header.
    "depends on nothing": _header(
        " 0001.create-notes",
        "",
        (
            "sql:1: Depends on nothing, but the migration before it is 0001.create-notes: write `-- depends:"
            " 0001.create-notes`."
        ),
    ),
    "depends comes later": _header(
        "-- depends: 0001.create-notes\n-- Purpose: try it.\n",
        "-- Purpose: try it.\n-- depends: 0001.create-notes\n",
        "sql:1: Does not begin with `-- depends:`, which yoyo does not see further down: put it first.",
        "sql:1: Has its header out of order: write depends, Purpose, Locks, Order.",
    ),
    "depends is below a comment": _header(
        "-- depends",
        "/* Why. */\n-- depends",
        "sql:1: Does not begin with `-- depends:`",
        "sql:1: Does not say its Locks: add a line `-- Locks: …` to its header.",
        "sql:1: Does not say its Order",
        "sql:1: Does not say its Purpose",
        "sql:2: Says `depends:` below its header, which is the first comment: put it there, or say it in other words.",
    ),
    "an empty purpose": _header("Purpose: try it.", "Purpose:", "sql:1: Does not say its Purpose: add a line"),
    "a purpose of two lines": _header("Purpose: try it.", "Purpose:\n-- try it: at last."),
    "entries out of order": _header(
        "-- Locks: none.\n-- Order: before the code that reads it.\n",
        "-- Order: before the code that reads it.\n-- Locks: none.\n",
        "sql:1: Has its header out of order: write depends, Purpose, Locks, Order.",
    ),
    "an order that is none": _header(
        "before the code",
        "some time before the code",
        (
            "sql:4: Says `Order: some time before the code that reads it.`: begin with `before the code …`,"
            " `after the code …` or `at any time`."
        ),
    ),
    "at any time": _header("before the code that reads it", "at any time"),
    "all that a header may say": _header(
        "-- Purpose", "-- transactional: true\n-- lock_timeout: 3s\n-- statement_timeout: 10min\n-- Purpose"
    ),
    "a word that nobody reads": _header(
        "-- Locks", "-- Note: see above.\n-- Locks", "sql:3: Says `Note:`, which nobody reads"
    ),
    "a capital that nobody reads": _header(
        "-- Purpose", "-- Transactional: false\n-- Purpose", "sql:2: Says `Transactional:`, which nobody reads"
    ),
    "a misspelling that nobody reads": _header(
        "-- Locks", "-- transactionnal: false\n-- Locks", "sql:3: Says `transactionnal:`, which nobody reads"
    ),
    "what yoyo reads and the runner does not": _header(
        "-- Purpose",
        "--transactional : false\n-- Purpose",
        "sql:2: Does not say `transactional:` as the runner reads it: write `-- transactional: false`.",
    ),
    "what is said twice": _header(
        "-- Purpose", "-- lock_timeout: 1s\n-- lock_timeout: 2s\n-- Purpose", "sql:3: Says `lock_timeout:` twice"
    ),
    "what is said below the header": _up(
        "-- transactional: false\nDROP INDEX notes_text_idx; -- squawk-ignore require-concurrent-index-deletion\n",
        "sql:6: Says `transactional:` below its header",
    ),
    "an address in the header": _header("try it.", "try it: see\n-- https://example.com/"),
    # The rollback.
    "no rollback": Case(
        _HEADER,
        None,
        ("sql:1: Has no rollback: write 0002.try-it.rollback.sql, which begins with `-- Loses: …`; where nothing is",),
    ),
    "a rollback that does not say what it loses": _down(
        "",
        "rollback.sql:1: Does not begin with what it loses: write `-- Loses: …` first, or `-- Loses: nothing.`",
        loses="-- Back.\n",
    ),
    "a rollback that loses it does not say what": _down(
        "", "rollback.sql:1: Does not begin with what it loses", loses="-- Loses:\n"
    ),
    "a rollback that has a header": _down(
        "",
        "rollback.sql:2: Says `transactional:`, which nobody reads: what this header may say is Loses.",
        loses="-- Loses: nothing.\n-- transactional: false\n",
    ),
    "a rollback that loses nothing": _down("DROP INDEX notes_text_idx;\nDROP FUNCTION f();\n"),
    "a rollback that loses rows": _down(
        "DELETE FROM notes WHERE text = 'x';\n",
        (
            "rollback.sql:3: Deletes rows, but `Loses:` says that nothing is lost: say what is, since the runner asks"
            " before that."
        ),
    ),
    "a rollback that loses rows in a WITH": _down(
        "WITH gone AS (DELETE FROM notes RETURNING text)\nINSERT INTO others SELECT text FROM gone;\n",
        "rollback.sql:3: Deletes rows",
    ),
    "a rollback that loses rows in a block": _down(
        "DO $$\nBEGIN\n    TRUNCATE notes;\nEND;\n$$;\n", "rollback.sql:5: Truncates a table"
    ),
    "a rollback that loses a column": _down(
        "ALTER TABLE notes DROP COLUMN text;\n", "rollback.sql:3: Drops a column, but"
    ),
    "a rollback that loses a table": _down("DROP TABLE notes;\n", "rollback.sql:3: Drops a table, but"),
    "a rollback that says what it loses": Case(
        _HEADER, f"{_DOWN}\nTRUNCATE notes;\nALTER TABLE notes DROP COLUMN text;\n", ()
    ),
    "a rollback that makes a function which loses rows": _down(
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC\n    DELETE FROM notes;\nEND;\n"
        "COMMENT ON FUNCTION f() IS 'One.';\n"
    ),
    "a migration that loses rows, and a rollback that does not": Case(
        f"{_HEADER}DELETE FROM notes WHERE text = 'x';\n", "-- Loses: nothing.\n", ()
    ),
    "a rollback that squawk would not let pass": _down("CREATE INDEX notes_text_idx ON notes (text);\n"),
    # Names.
    "names of a table": Case(
        _HEADER + _NAMES_OF_A_TABLE,
        _DROP,
        (
            "sql:7: Leaves it to PostgreSQL to name the primary key of others: call it others_pkey.",
            "sql:8: Leaves it to PostgreSQL to name the unique constraint of others: call it others_a_key.",
            "sql:9: Leaves it to PostgreSQL to name the check constraint of others: call it others_b_check.",
            "sql:10: Leaves it to PostgreSQL to name the foreign key of others: call it others_c_fkey.",
            (
                "sql:11: Calls the unique constraint of others d_unique: give it a name that begins with others_ and"
                " ends with _key, such as others_d_key."
            ),
            "sql:12: Leaves it to PostgreSQL to name the unique constraint of others: call it others_a_b_key.",
            "sql:13: Leaves it to PostgreSQL to name the exclusion constraint of others: call it others_…_excl.",
            (
                "sql:14: Calls the check constraint of others others_check_b: give it a name that begins with others_"
                " and ends with _check, such as others_…_check."
            ),
        ),
    ),
    "names that a copied table gets": _up(
        f"CREATE TABLE others (LIKE notes INCLUDING ALL);\n{_COMMENT}",
        "sql:6: Makes others like notes, and PostgreSQL names what it copies: write out what the table has.",
    ),
    "columns of another table": _up(f"CREATE TABLE others (LIKE notes);\n{_COMMENT}"),
    "the name of a constraint that is added": _up(
        "ALTER TABLE notes\nADD CHECK (text <> '') NOT VALID;\n",
        "sql:7: Leaves it to PostgreSQL to name the check constraint of notes",
    ),
    "the name of a constraint that comes with a column": _up(
        "ALTER TABLE notes ADD COLUMN a text CHECK (a <> '');\n",
        "sql:6: Leaves it to PostgreSQL to name the check constraint of notes: call it notes_a_check.",
    ),
    "the name of a constraint in a block": _up(
        "DO $$\nBEGIN\n    ALTER TABLE notes ADD UNIQUE (text);\nEND;\n$$;\n",
        "sql:8: Leaves it to PostgreSQL to name the unique constraint of notes: call it notes_text_key.",
    ),
    "the name of a constraint made of an index": _up(
        "ALTER TABLE notes ADD PRIMARY KEY USING INDEX notes_pkey;\n",
    ),
    "the name of an index": _up(
        f"CREATE TABLE others (a text, b text);\n{_COMMENT}CREATE INDEX ON others (a, lower(b));\n",
        "sql:8: Leaves it to PostgreSQL to name the index of others: call it others_a_…_idx.",
    ),
    "the name of a unique index": _up(
        f"CREATE TABLE others (a text);\n{_COMMENT}CREATE UNIQUE INDEX others_a_idx ON others (a);\n",
        (
            "sql:8: Calls the unique index of others others_a_idx: give it a name that begins with others_ and ends"
            " with _key or _pkey, such as others_a_key."
        ),
    ),
    "the name of a trigger": _up(
        "CREATE TRIGGER set_it BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION f();\n",
        (
            "sql:6: Calls the trigger of notes set_it: give it a name that begins with notes_, such as"
            " notes_set_updated_at."
        ),
    ),
    "the new name of a constraint": _up(
        "-- Nobody has seen it.\n-- squawk-ignore renaming-object\n"
        "ALTER TABLE notes RENAME CONSTRAINT notes_text_check TO no_blank;\n",
        (
            "sql:8: Calls the constraint of notes no_blank: give it a name that begins with notes_ and ends with _pkey"
            " or _key or _fkey or _check or _excl, such as notes_…_check."
        ),
    ),
    "the new name of a trigger": _up(
        "-- Nobody has seen it.\n-- squawk-ignore renaming-object\nALTER TRIGGER notes_x ON notes RENAME TO x;\n",
        "sql:8: Calls the trigger of notes x",
    ),
    "a name that PostgreSQL cuts off": _up(
        f"CREATE TABLE others (a text, CONSTRAINT others_{'a' * 60}_key UNIQUE (a));\n{_COMMENT}",
        # It has lost its ending by then.
        "sql:6: Calls the unique constraint of others others_",
        f"sql:6: `others_{'a' * 60}_key` is too long and will be truncated to 63 bytes (squawk: identifier-too-long).",
    ),
    # Comments.
    "a comment on another table": _up(
        f"CREATE TABLE other (a text);\n{_COMMENT}",
        "sql:6: Makes other and does not say what it is for: add COMMENT ON TABLE other IS '…'.",
    ),
    "a comment that is taken away": _up(
        "CREATE TABLE others (a text);\nCOMMENT ON TABLE others IS NULL;\n", "sql:6: Makes others and does not say"
    ),
    "what needs a comment": _up(
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1;\n"
        "CREATE PROCEDURE p() LANGUAGE sql AS '';\n"
        'CREATE COLLATION c FROM "C";\n'
        "CREATE TYPE t AS (a text);\n"
        "CREATE TYPE e AS ENUM ('a');\n"
        "CREATE TYPE r AS RANGE (subtype = date);\n"
        "CREATE DOMAIN d AS text;\n"
        "CREATE VIEW v AS SELECT 1 AS a;\n"
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;\n"
        "CREATE TABLE k AS SELECT 1 AS a;\n"
        "SELECT 1 AS a INTO i;\n",
        "sql:6: Makes f and does not say what it is for: add COMMENT ON FUNCTION f(…) IS '…'.",
        "sql:7: Makes p and does not say what it is for: add COMMENT ON PROCEDURE p(…) IS '…'.",
        "sql:8: Makes c and does not say what it is for: add COMMENT ON COLLATION c IS '…'.",
        "sql:9: Makes t and does not say what it is for: add COMMENT ON TYPE t IS '…'.",
        "sql:10: Makes e and does not say what it is for: add COMMENT ON TYPE e IS '…'.",
        "sql:11: Makes r and does not say what it is for: add COMMENT ON TYPE r IS '…'.",
        "sql:12: Makes d and does not say what it is for: add COMMENT ON DOMAIN d IS '…'.",
        "sql:13: Makes v and does not say what it is for: add COMMENT ON VIEW v IS '…'.",
        "sql:14: Makes m and does not say what it is for: add COMMENT ON MATERIALIZED VIEW m IS '…'.",
        "sql:15: Makes k and does not say what it is for: add COMMENT ON TABLE k IS '…'.",
        "sql:16: Makes i and does not say what it is for: add COMMENT ON TABLE i IS '…'.",
    ),
    "comments on all that need one": _up(
        "CREATE FUNCTION f(a integer) RETURNS integer LANGUAGE sql RETURN 1;\n"
        "CREATE TYPE e AS ENUM ('a');\n"
        "CREATE DOMAIN d AS text;\n"
        'DO $$\nBEGIN\n    CREATE COLLATION c FROM "C";\nEND;\n$$;\n'
        "CREATE TEMPORARY TABLE others (a text);\n"
        "COMMENT ON FUNCTION f(integer) IS 'One.';\n"
        "COMMENT ON TYPE e IS 'Some.';\n"
        "COMMENT ON DOMAIN d IS 'Text.';\n"
        "COMMENT ON COLLATION c IS 'C.';\n"
    ),
    "a replaced function that has no comment": _up(
        "CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1;\n", "sql:6: Makes f and does not say"
    ),
    "a replaced function that has its comment since it was made": _up(
        "CREATE OR REPLACE FUNCTION count_notes() RETURNS bigint LANGUAGE sql RETURN 0;\n"
    ),
    # Statements.
    "a transaction": _up(
        "BEGIN;\nSAVEPOINT a;\nCOMMIT;\n",
        "sql:6: Says BEGIN, but the runner begins and ends the transaction, with its own note in it: leave it out.",
        "sql:7: Says SAVEPOINT, but",
        "sql:8: Says COMMIT, but",
    ),
    "a transaction in a rollback": _down("ROLLBACK;\n", "rollback.sql:3: Says ROLLBACK, but"),
    "settings": _up(
        "SET lock_timeout = '3s';\n"
        "SET LOCAL statement_timeout = '3s';\n"
        "SET search_path = x;\n"
        "RESET ALL;\n"
        "DO $$\nBEGIN\n    PERFORM set_config('lock_timeout', '1s', true);\n"
        "    PERFORM set_config(a, 'b', true);\nEND;\n$$;\n",
        (
            "sql:6: Sets lock_timeout, which the runner does and has to know: say `-- lock_timeout: …` in the"
            " migration's header."
        ),
        "sql:7: Sets statement_timeout, which",
        "sql:8: Changes search_path for all that comes after it: write what does not depend on that.",
        "sql:9: Changes a setting for all that comes after it",
        "sql:12: Sets lock_timeout, which",
        "sql:13: Changes a setting for all",
    ),
    "settings of what runs later": _up(
        "ALTER ROLE task_app SET statement_timeout = '3s';\n"
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql SET search_path FROM CURRENT SET lock_timeout = '1s'\n"
        "RETURN set_config('a.b', 'c', true);\n"
        "COMMENT ON FUNCTION f() IS 'One.';\n"
    ),
    "IF NOT EXISTS": _up(
        "ALTER TABLE notes ADD COLUMN IF NOT EXISTS a text;\n"
        "DO $$\nBEGIN\n    IF NOT EXISTS (SELECT) THEN\n        CREATE SEQUENCE IF NOT EXISTS a;\n    END IF;\n"
        "END;\n$$;\n",
        (
            "sql:6: Says IF NOT EXISTS, which takes whatever has the name for what is meant: leave that out, since the"
            " runner knows what was applied."
        ),
        "sql:10: Says IF NOT EXISTS",
    ),
    "IF EXISTS": _up(
        "ALTER TABLE IF /* it */ EXISTS notes ALTER COLUMN text SET STATISTICS 1000;\n",
        (
            "sql:6: Says IF EXISTS, which hides that something is not as it should be: leave that out, since the runner"
            " knows what was applied."
        ),
    ),
    "IF EXISTS in a rollback": _down("DROP INDEX IF EXISTS a;\n", "rollback.sql:3: Says IF EXISTS"),
    "IF EXISTS in words": _up("COMMENT ON TABLE notes IS 'IF EXISTS'; -- IF EXISTS\n"),
    "CASCADE": _up(
        "ALTER TABLE notes DROP COLUMN text CASCADE;\n",
        (
            "sql:6: Says CASCADE, which takes along what nobody named: name that in statements of its own, before this"
            " one."
        ),
        header=_AFTER,
    ),
    "CASCADE in a rollback": _down("DROP FUNCTION f() CASCADE;\n", "rollback.sql:3: Says CASCADE"),
    "a foreign key that cascades": _up(
        "CREATE TABLE others (\n    a text,\n"
        "    CONSTRAINT others_a_fkey FOREIGN KEY (a) REFERENCES notes (text) ON DELETE CASCADE\n);\n"
        f"{_COMMENT}"
    ),
    "TRUNCATE": _up(
        "TRUNCATE notes;\n",
        (
            "sql:6: Truncates a table, which stops everybody who uses it, and no rollback brings the rows back: delete"
            " those that have to go, in batches where they are many."
        ),
    ),
    "rows": _up(
        "SELECT 1;\nVALUES (1);\nDELETE FROM notes RETURNING text;\nSHOW search_path;\nEXPLAIN SELECT 1;\n",
        (
            "sql:6: Returns rows, which yoyo prints between what the runner says: leave it out, or PERFORM it in a DO"
            " block."
        ),
        *(f"sql:{line}: Returns rows" for line in (7, 8, 9, 10)),
    ),
    "no rows": _up("DO $$\nBEGIN\n    PERFORM 1;\nEND;\n$$;\nUPDATE notes SET text = '%s %';\n"),
    "a statement that cannot be read": _up(
        "-- é\nSELECT 1;\n  ALTR TABLE notes;\n",
        'sql:8: PostgreSQL cannot read it: syntax error at or near "ALTR". Correct it.',
    ),
    "a statement that does not end": _up(
        "CREATE TABLE others (\n    a text\n", "sql:7: PostgreSQL cannot read it: syntax error at end of input."
    ),
    "a block that cannot be read": _up(
        "SELECT 1;\n\nDO $$\nBEGIN\n    ALTR TABLE;\nEND;\n$$;\n",
        'sql:8: PostgreSQL cannot read it: syntax error at or near "ALTR".',
    ),
    "a statement that yoyo cuts through": _up(
        "COMMENT ON TABLE notes IS /* a /* b; */\n; */ 'x';\n",
        (
            "sql:7: Is cut through here by yoyo, which takes this for the end of a statement: write it otherwise, such"
            " as without a comment in a comment."
        ),
    ),
    # Without a transaction.
    "CONCURRENTLY": Case(_CONCURRENTLY + _MAKE_INDEX, f"{_DOWN}\n{_DROP_INDEX}", ()),
    "CONCURRENTLY, the other way about": Case(
        _CONCURRENTLY + _DROP_INDEX,
        "-- Loses: nothing.\n\nCREATE UNIQUE INDEX CONCURRENTLY notes_text_key ON notes (text);\n",
        (),
    ),
    "CONCURRENTLY in a transaction": Case(
        _HEADER + _MAKE_INDEX,
        f"{_DOWN}\n{_DROP_INDEX}",
        (
            (
                "rollback.sql:3: Works CONCURRENTLY, which PostgreSQL refuses in a transaction: write"
                " `-- transactional: false` below the `depends` of 0002.try-it.sql."
            ),
            "sql:6: Works CONCURRENTLY, which",
        ),
    ),
    "no transaction around two statements": Case(
        _CONCURRENTLY + _MAKE_INDEX + "COMMENT ON INDEX notes_text_idx IS 'x';\n",
        f"{_DOWN}\n{_DROP_INDEX}",
        (
            (
                "sql:1: Has 2 statements and no transaction, so that some of them may be done and some not: have one,"
                " and migrations of their own for others."
            ),
            (
                "sql:8: Is not in a transaction, and neither CREATE INDEX CONCURRENTLY name ON … nor DROP INDEX"
                " CONCURRENTLY IF EXISTS name, which the runner can repeat: write one of these, or leave out"
                " `transactional: false`."
            ),
        ),
    ),
    "no transaction, and a rollback of nothing": Case(
        _CONCURRENTLY + _MAKE_INDEX, _DOWN, ("rollback.sql:1: Has 0 statements and no transaction",)
    ),
    "no transaction, and a drop that cannot be repeated": Case(
        _CONCURRENTLY + _DROP_INDEX.replace("IF EXISTS ", ""),
        f"{_DOWN}\nDROP INDEX CONCURRENTLY IF EXISTS a, b;\n",
        ("rollback.sql:3: Is not in a transaction, and neither", "sql:7: Is not in a transaction, and neither"),
    ),
    "no transaction, and IF NOT EXISTS": Case(
        _CONCURRENTLY + _MAKE_INDEX.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"),
        f"{_DOWN}\n{_DROP_INDEX}",
        ("sql:7: Says IF NOT EXISTS",),
    ),
    # squawk.
    "a change that rewrites the table": _up(
        "ALTER TABLE notes ALTER COLUMN text TYPE bytea USING text::bytea;\n",
        (
            "sql:6: Changing a column type requires an `ACCESS EXCLUSIVE` lock on the table which blocks reads and"
            " writes while the table is rewritten. Changing the type of the column may also break other clients reading"
            " from the table (squawk: changing-column-type). Do it another way, or write why not in a comment above it,"
            " and `-- squawk-ignore changing-column-type` below that."
        ),
    ),
    "a drop before the code": _up(
        "ALTER TABLE notes DROP COLUMN text;\n",
        (
            "sql:6: Dropping a column may break existing clients (squawk: ban-drop-column). Do so in a migration whose"
            " `Order:` says `after the code …`, when no running release uses it any more."
        ),
    ),
    "a drop after the code": _up(
        "ALTER TABLE notes DROP COLUMN text;\nDROP FUNCTION f();\nALTER TABLE notes DROP CONSTRAINT notes_check;\n",
        header=_AFTER,
    ),
    "a new name after the code": _up(
        "ALTER TABLE notes RENAME COLUMN text TO body;\n",
        "sql:6: Renaming a column may break existing clients (squawk: renaming-column).",
        header=_AFTER,
    ),
    "squawk is silenced, and why": _up(
        "-- Nothing was ever written to it.\n-- squawk-ignore ban-drop-column\nALTER TABLE notes DROP COLUMN text;\n"
    ),
    "squawk is silenced without a reason": _up(
        "-- squawk-ignore ban-drop-column\nALTER TABLE notes DROP COLUMN text;\n",
        "sql:6: Silences squawk and does not say why: write the reason in a comment above it.",
    ),
    "squawk is silenced by a word that it does not know": _up(
        "-- Why.\n-- squawk-ignore ban-drop-colum\nCOMMENT ON TABLE notes IS 'x';\n",
        "sql:7: unknown name ban-drop-colum (squawk: unused-ignore). Do it another way",
    ),
    "squawk is silenced for a whole file": _up(
        "-- Why.\n-- squawk-ignore-file\nALTER TABLE notes DROP COLUMN text;\n",
        ("sql:7: Silences squawk for the whole file: write `-- squawk-ignore the-rule` above the statement instead."),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_breaks_a_rule_is_told_at_its_line_and_nothing_else_is(tmp_path: Path, case: Case) -> None:
    told = _told(tmp_path, case.up, case.down)
    assert len(told) == len(case.told), told
    for message, beginning in zip(sorted(told), sorted(case.told), strict=True):
        assert message.startswith(beginning)


def test_a_header_is_held_against_the_locks_that_were_measured(tmp_path: Path) -> None:
    up = f"{_HEADER}ALTER TABLE notes ADD COLUMN size integer;\n"
    folder = _write(tmp_path / "migrations", up, f"{_DOWN}\nALTER TABLE notes DROP COLUMN size;\n")
    (folder / "0002.try-it.locks.txt").write_text(
        "apply     ACCESS EXCLUSIVE        notes  scans\nrollback  ACCESS EXCLUSIVE        notes\n"
    )
    assert list(map(str, sorted(migrations.check(folder)))) == [
        (
            "migrations/0002.try-it.sql:3: It scans notes under the lock, which `Locks:` does not say: write"
            " `scans notes`."
        ),
        (
            "migrations/0002.try-it.sql:3: It takes ACCESS EXCLUSIVE on notes, which `Locks:` does not say: write"
            " `ACCESS EXCLUSIVE on notes`, and for how long."
        ),
    ]


def test_the_migrations_of_the_service_have_no_fault() -> None:
    assert [str(diagnostic) for diagnostic in migrations.check(resource_folder("migrations"))] == []


def test_the_migration_that_contributing_adds_has_no_fault(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(resource_folder("migrations"), folder)
    files = re.findall(r"`migrations/(\S+\.sql)`.*?```sql\n(.+?)```", _CONTRIBUTING.read_text(), re.DOTALL)
    assert len(files) == 2
    for name, text in files:
        assert not (folder / name).exists()
        (folder / name).write_text(text)
    assert [str(diagnostic) for diagnostic in migrations.check(folder)] == []


def test_a_folder_that_the_runner_refuses_is_refused_as_the_runner_does(tmp_path: Path) -> None:
    folder = _write(tmp_path, _HEADER)
    (folder / "3.more.sql").write_text(_HEADER)
    with pytest.raises(MigrationError, match=r"^3\.more\.sql is not named like a migration: NNNN\.verb-words\.sql\.$"):
        list(migrations.check(folder))


@on_one_postgresql
def test_a_migration_that_fails_is_told_with_its_line_where_the_lint_knows_why(
    tmp_path: Path, postgres: embedded.Server
) -> None:
    folder = _write(tmp_path / "migrations", f"{_HEADER}ALTR TABLE notes;\n")
    report = run_checks(["style", "migrations"], resource_folder("sql"), folder, server=postgres.dsn)
    told, summary = as_text(report).splitlines()
    assert told == (
        'migrations/0002.try-it.sql:6: PostgreSQL cannot read it: syntax error at or near "ALTR". Correct it.'
    )
    assert re.fullmatch(r"\d+ statements: 1 fault \(migrations \d\.\d s\)\.", summary)


@on_one_postgresql
@pytest.mark.parametrize(
    ("checks", "sql"),
    [(["migrations"], "COMMENT ON TABLE others IS 'x';\n"), (["style"], "ALTR TABLE notes;\n")],
    ids=["the lint does not know why", "the lint is not asked"],
)
def test_a_migration_that_fails_is_what_the_runner_says_otherwise(
    tmp_path: Path, postgres: embedded.Server, checks: list[str], sql: str
) -> None:
    folder = _write(tmp_path / "migrations", _HEADER + sql)
    with pytest.raises(MigrationError, match=r"^0002\.try-it, apply: "):
        run_checks(checks, resource_folder("sql"), folder, server=postgres.dsn)


def test_where_squawk_is_not_installed_one_line_says_how_it_comes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(CheckError) as caught:
        list(migrations.check(resource_folder("migrations")))
    assert str(caught.value) == "squawk is not installed: pip install -e '.[sqlcheck]' installs what checks need."


def test_what_stops_squawk_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squawk = tmp_path / "squawk"
    squawk.write_text("#!/bin/sh\necho 'Configuration error:\n  invalid rule' >&2\nexit 1\n")
    squawk.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(CheckError) as caught:
        list(migrations.check(resource_folder("migrations")))
    assert str(caught.value) == "squawk failed: Configuration error: invalid rule"
