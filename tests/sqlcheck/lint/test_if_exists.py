"""IF EXISTS and IF NOT EXISTS."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import Case, down, up

CASES = {
    "IF NOT EXISTS": up(
        "ALTER TABLE notes ADD COLUMN IF NOT EXISTS a text;\n"
        "DO $$\nBEGIN\n    IF NOT EXISTS (SELECT) THEN\n        CREATE SEQUENCE IF NOT EXISTS a;\n    END IF;\n"
        "END;\n$$;\n",
        (
            "sql:6: Says IF NOT EXISTS, which takes whatever has the name for what is meant: leave that out, since the"
            " runner knows what was applied."
        ),
        "sql:10: Says IF NOT EXISTS",
    ),
    "IF EXISTS": up(
        "ALTER TABLE IF /* it */ EXISTS notes ALTER COLUMN text SET STATISTICS 1000;\n",
        (
            "sql:6: Says IF EXISTS, which hides that something is not as it should be: leave that out, since the runner"
            " knows what was applied."
        ),
    ),
    "IF EXISTS in a rollback": down("DROP INDEX IF EXISTS a;\n", "rollback.sql:3: Says IF EXISTS"),
    "IF EXISTS in words": up("COMMENT ON TABLE notes IS 'IF EXISTS'; -- IF EXISTS\n"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_nothing_is_done_only_if_it_is_there_or_not(folder: Project, case: Case) -> None:
    case.holds(folder)
