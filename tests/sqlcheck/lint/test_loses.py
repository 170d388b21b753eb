"""A rollback says what it loses."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import DOWN, HEADER, Case, down

CASES = {
    "a rollback that loses nothing": down("DROP INDEX notes_text_idx;\nDROP FUNCTION f();\n"),
    "a rollback that loses rows": down(
        "DELETE FROM notes WHERE text = 'x';\n",
        (
            "rollback.sql:3: Deletes rows, but `Loses:` says that nothing is lost: say what is, since the runner asks"
            " before that."
        ),
    ),
    "a rollback that loses rows in a WITH": down(
        "WITH gone AS (DELETE FROM notes RETURNING text)\nINSERT INTO others SELECT text FROM gone;\n",
        "rollback.sql:3: Deletes rows",
    ),
    "a rollback that loses rows in a block": down(
        "DO $$\nBEGIN\n    TRUNCATE notes;\nEND;\n$$;\n", "rollback.sql:5: Truncates a table"
    ),
    "a rollback that loses a column": down(
        "ALTER TABLE notes DROP COLUMN text;\n", "rollback.sql:3: Drops a column, but"
    ),
    "a rollback that loses a table": down("DROP TABLE notes;\n", "rollback.sql:3: Drops a table, but"),
    "a rollback that says what it loses": Case(
        HEADER, f"{DOWN}\nTRUNCATE notes;\nALTER TABLE notes DROP COLUMN text;\n", ()
    ),
    "a rollback that makes a function which loses rows": down(
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC\n    DELETE FROM notes;\nEND;\n"
        "COMMENT ON FUNCTION f() IS 'One.';\n"
    ),
    "a migration that loses rows, and a rollback that does not": Case(
        f"{HEADER}DELETE FROM notes WHERE text = 'x';\n", "-- Loses: nothing.\n", ()
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_rollback_that_loses_something_does_not_say_that_it_loses_nothing(folder: Project, case: Case) -> None:
    case.holds(folder)
