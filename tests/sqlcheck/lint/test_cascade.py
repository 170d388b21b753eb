"""CASCADE."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import AFTER, COMMENT, Case, down, up

CASES = {
    "CASCADE": up(
        "ALTER TABLE notes DROP COLUMN text CASCADE;\n",
        (
            "sql:6: Says CASCADE, which takes along what nobody named: name that in statements of its own, before this"
            " one."
        ),
        header=AFTER,
    ),
    "CASCADE in a rollback": down("DROP FUNCTION f() CASCADE;\n", "rollback.sql:3: Says CASCADE"),
    "a foreign key that cascades": up(
        "CREATE TABLE others (\n    a text,\n"
        "    CONSTRAINT others_a_fkey FOREIGN KEY (a) REFERENCES notes (text) ON DELETE CASCADE\n);\n"
        f"{COMMENT}"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_nothing_is_dropped_that_is_not_named(folder: Project, case: Case) -> None:
    case.holds(folder)
