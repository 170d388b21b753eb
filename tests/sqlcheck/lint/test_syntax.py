"""Files that cannot be read."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import Case, up

CASES = {
    "a statement that cannot be read": up(
        "-- é\nSELECT 1;\n  ALTR TABLE notes;\n",
        'sql:8: PostgreSQL cannot read it: syntax error at or near "ALTR". Correct it.',
    ),
    "a statement that does not end": up(
        "CREATE TABLE others (\n    a text\n", "sql:7: PostgreSQL cannot read it: syntax error at end of input."
    ),
    "a block that cannot be read": up(
        "SELECT 1;\n\nDO $$\nBEGIN\n    ALTR TABLE;\nEND;\n$$;\n",
        'sql:8: PostgreSQL cannot read it: syntax error at or near "ALTR".',
    ),
    "a block of nothing": up("DO LANGUAGE plpgsql;\n", "sql:6: expected string literal (squawk: syntax-error)."),
    "a statement that yoyo cuts through": up(
        "COMMENT ON TABLE notes IS /* a /* b; */\n; */ 'x';\n",
        (
            "sql:7: Is cut through here by yoyo, which takes this for the end of a statement: write it otherwise, such"
            " as without a comment in a comment."
        ),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_file_is_sql_to_postgresql_and_to_yoyo(folder: Project, case: Case) -> None:
    case.holds(folder)
