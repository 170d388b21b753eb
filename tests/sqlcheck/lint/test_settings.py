"""SET, RESET and set_config()."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import Case, up

CASES = {
    "settings": up(
        "SET lock_timeout = '3s';\n"
        "SET LOCAL statement_timeout = '3s';\n"
        "SET search_path = x;\n"
        "RESET ALL;\n"
        "DO $$\nBEGIN\n    PERFORM set_config('lock_timeout', '1s', true);\n"
        "    PERFORM set_config(a, 'b', true);\n    PERFORM set_config();\nEND;\n$$;\n",
        (
            "sql:6: Sets lock_timeout, which the runner does and has to know: say `-- lock_timeout: …` in the"
            " migration's header."
        ),
        "sql:7: Sets statement_timeout, which",
        "sql:8: Changes search_path for all that comes after it: write what does not depend on that.",
        "sql:9: Changes a setting for all that comes after it",
        "sql:12: Sets lock_timeout, which",
        "sql:13: Changes a setting for all",
        "sql:14: Changes a setting for all",
    ),
    "settings of what runs later": up(
        "ALTER ROLE notes_app SET statement_timeout = '3s';\n"
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql SET search_path FROM CURRENT SET lock_timeout = '1s'\n"
        "RETURN set_config('a.b', 'c', true);\n"
        "COMMENT ON FUNCTION f() IS 'One.';\n"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_settings_are_left_to_the_runner(folder: Project, case: Case) -> None:
    case.holds(folder)
