"""Statements that return rows."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import Case, up

CASES = {
    "rows": up(
        "SELECT 1;\nVALUES (1);\nDELETE FROM notes RETURNING text;\nSHOW search_path;\nEXPLAIN SELECT 1;\n",
        (
            "sql:6: Returns rows, which yoyo prints between what the runner says: leave it out, or PERFORM it in a DO"
            " block."
        ),
        *(f"sql:{line}: Returns rows" for line in (7, 8, 9, 10)),
    ),
    "no rows": up("DO $$\nBEGIN\n    PERFORM 1;\nEND;\n$$;\nUPDATE notes SET text = '%s %';\n"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_rows_are_returned(folder: Project, case: Case) -> None:
    case.holds(folder)
