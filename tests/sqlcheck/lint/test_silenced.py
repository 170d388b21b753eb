"""Exceptions to squawk."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import Case, up

CASES = {
    "squawk is silenced without a reason": up(
        "-- squawk-ignore ban-drop-column\nALTER TABLE notes DROP COLUMN text;\n",
        "sql:6: Silences squawk and does not say why: write the reason in a comment above it.",
    ),
    "squawk is silenced for a whole file": up(
        "-- Why.\n-- squawk-ignore-file\nALTER TABLE notes DROP COLUMN text;\n",
        ("sql:7: Silences squawk for the whole file: write `-- squawk-ignore the-rule` above the statement instead."),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_squawk_is_silenced_with_a_reason_and_for_one_statement(folder: Project, case: Case) -> None:
    case.holds(folder)
