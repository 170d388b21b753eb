"""TRUNCATE."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import Case, up

CASES = {
    "TRUNCATE": up(
        "TRUNCATE notes;\n",
        (
            "sql:6: Truncates a table, which stops everybody who uses it, and no rollback brings the rows back: delete"
            " those that have to go, in batches where they are many."
        ),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_table_is_truncated(folder: Project, case: Case) -> None:
    case.holds(folder)
