"""BEGIN, COMMIT and the like."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import Case, down, up

CASES = {
    "a transaction": up(
        "BEGIN;\nSAVEPOINT a;\nCOMMIT;\n",
        "sql:6: Says BEGIN, but the runner begins and ends the transaction, with its own note in it: leave it out.",
        "sql:7: Says SAVEPOINT, but",
        "sql:8: Says COMMIT, but",
    ),
    "a transaction in a rollback": down("ROLLBACK;\n", "rollback.sql:3: Says ROLLBACK, but"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_transaction_is_left_to_the_runner(folder: Project, case: Case) -> None:
    case.holds(folder)
