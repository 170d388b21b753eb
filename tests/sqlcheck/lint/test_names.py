"""The names of constraints, indexes and triggers."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import COMMENT, DOWN, HEADER, Case, up

_DROP = f"{DOWN}\nDROP TABLE others;\n"
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

{COMMENT}"""

CASES = {
    "names of a table": Case(
        HEADER + _NAMES_OF_A_TABLE,
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
    "names that a copied table gets": up(
        f"CREATE TABLE others (LIKE notes INCLUDING ALL);\n{COMMENT}",
        "sql:6: Makes others like notes, and PostgreSQL names what it copies: write out what the table has.",
    ),
    "the name of a constraint that is added": up(
        "ALTER TABLE notes\nADD CHECK (text <> '') NOT VALID;\n",
        "sql:7: Leaves it to PostgreSQL to name the check constraint of notes",
    ),
    "the name of a constraint that comes with a column": up(
        "ALTER TABLE notes ADD COLUMN a text CHECK (a <> '');\n",
        "sql:6: Leaves it to PostgreSQL to name the check constraint of notes: call it notes_a_check.",
    ),
    "the name of a constraint in a block": up(
        "DO $$\nBEGIN\n    ALTER TABLE notes ADD UNIQUE (text);\nEND;\n$$;\n",
        "sql:8: Leaves it to PostgreSQL to name the unique constraint of notes: call it notes_text_key.",
    ),
    "the name of a constraint made of an index": up(
        "ALTER TABLE notes ADD PRIMARY KEY USING INDEX notes_pkey;\n",
    ),
    "the name of an index": up(
        f"CREATE TABLE others (a text, b text);\n{COMMENT}CREATE INDEX ON others (a, lower(b));\n",
        "sql:8: Leaves it to PostgreSQL to name the index of others: call it others_a_…_idx.",
    ),
    "the name of a unique index": up(
        f"CREATE TABLE others (a text);\n{COMMENT}CREATE UNIQUE INDEX others_a_idx ON others (a);\n",
        (
            "sql:8: Calls the unique index of others others_a_idx: give it a name that begins with others_ and ends"
            " with _key or _pkey, such as others_a_key."
        ),
    ),
    "the name of a trigger": up(
        "CREATE TRIGGER set_it BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION f();\n",
        (
            "sql:6: Calls the trigger of notes set_it: give it a name that begins with notes_, such as"
            " notes_set_updated_at."
        ),
    ),
    "the new name of a constraint": up(
        "-- Nobody has seen it.\n-- squawk-ignore renaming-object\n"
        "ALTER TABLE notes RENAME CONSTRAINT notes_text_check TO no_blank;\n",
        (
            "sql:8: Calls the constraint of notes no_blank: give it a name that begins with notes_ and ends with _pkey"
            " or _key or _fkey or _check or _excl, such as notes_…_check."
        ),
    ),
    "the new name of a trigger": up(
        "-- Nobody has seen it.\n-- squawk-ignore renaming-object\nALTER TRIGGER notes_x ON notes RENAME TO x;\n",
        "sql:8: Calls the trigger of notes x",
    ),
    "a name that PostgreSQL cuts off": up(
        f"CREATE TABLE others (a text, CONSTRAINT others_{'a' * 60}_key UNIQUE (a));\n{COMMENT}",
        # It has lost its ending by then.
        "sql:6: Calls the unique constraint of others others_",
        f"sql:6: `others_{'a' * 60}_key` is too long and will be truncated to 63 bytes (squawk: identifier-too-long).",
    ),
    "columns of another table": up(f"CREATE TABLE others (LIKE notes);\n{COMMENT}"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_name_begins_with_its_table_and_ends_with_its_kind(folder: Project, case: Case) -> None:
    case.holds(folder)
