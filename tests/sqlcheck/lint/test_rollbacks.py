"""A migration can be taken back."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import HEADER, Case

CASES = {
    "no rollback": Case(
        HEADER,
        None,
        ("sql:1: Has no rollback: write 0002.try-it.rollback.sql, which begins with `-- Loses: …`; where nothing is",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_migration_has_a_rollback(folder: Project, case: Case) -> None:
    case.holds(folder)
