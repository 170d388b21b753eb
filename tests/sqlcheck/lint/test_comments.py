"""Comments in the database."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import COMMENT, Case, up

CASES = {
    "a comment on another table": up(
        f"CREATE TABLE other (a text);\n{COMMENT}",
        "sql:6: Makes other and does not say what it is for: add COMMENT ON TABLE other IS '…'.",
    ),
    "a comment that is taken away": up(
        "CREATE TABLE others (a text);\nCOMMENT ON TABLE others IS NULL;\n", "sql:6: Makes others and does not say"
    ),
    "what needs a comment": up(
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1;\n"
        "CREATE PROCEDURE p() LANGUAGE sql AS '';\n"
        'CREATE COLLATION c FROM "C";\n'
        "CREATE TYPE t AS (a text);\n"
        "CREATE TYPE e AS ENUM ('a');\n"
        "CREATE TYPE r AS RANGE (subtype = date);\n"
        "CREATE DOMAIN d AS text;\n"
        "CREATE VIEW v AS SELECT 1 AS a;\n"
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;\n"
        "CREATE TABLE k AS SELECT 1 AS a;\n"
        "SELECT 1 AS a INTO i;\n",
        "sql:6: Makes f and does not say what it is for: add COMMENT ON FUNCTION f(…) IS '…'.",
        "sql:7: Makes p and does not say what it is for: add COMMENT ON PROCEDURE p(…) IS '…'.",
        "sql:8: Makes c and does not say what it is for: add COMMENT ON COLLATION c IS '…'.",
        "sql:9: Makes t and does not say what it is for: add COMMENT ON TYPE t IS '…'.",
        "sql:10: Makes e and does not say what it is for: add COMMENT ON TYPE e IS '…'.",
        "sql:11: Makes r and does not say what it is for: add COMMENT ON TYPE r IS '…'.",
        "sql:12: Makes d and does not say what it is for: add COMMENT ON DOMAIN d IS '…'.",
        "sql:13: Makes v and does not say what it is for: add COMMENT ON VIEW v IS '…'.",
        "sql:14: Makes m and does not say what it is for: add COMMENT ON MATERIALIZED VIEW m IS '…'.",
        "sql:15: Makes k and does not say what it is for: add COMMENT ON TABLE k IS '…'.",
        "sql:16: Makes i and does not say what it is for: add COMMENT ON TABLE i IS '…'.",
    ),
    "comments on all that need one": up(
        "CREATE FUNCTION f(a integer) RETURNS integer LANGUAGE sql RETURN 1;\n"
        "CREATE TYPE e AS ENUM ('a');\n"
        "CREATE DOMAIN d AS text;\n"
        'DO $$\nBEGIN\n    CREATE COLLATION c FROM "C";\nEND;\n$$;\n'
        "CREATE TEMPORARY TABLE others (a text);\n"
        "COMMENT ON FUNCTION f(integer) IS 'One.';\n"
        "COMMENT ON TYPE e IS 'Some.';\n"
        "COMMENT ON DOMAIN d IS 'Text.';\n"
        "COMMENT ON COLLATION c IS 'C.';\n"
    ),
    "a replaced function that has no comment": up(
        "CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1;\n", "sql:6: Makes f and does not say"
    ),
    "a replaced function that has its comment since it was made": up(
        "CREATE OR REPLACE FUNCTION count_notes() RETURNS bigint LANGUAGE sql RETURN 0;\n"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_made_has_a_comment(folder: Project, case: Case) -> None:
    case.holds(folder)
