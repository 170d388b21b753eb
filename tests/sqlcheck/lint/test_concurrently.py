"""CONCURRENTLY, and what else is done without a transaction."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import DOWN, HEADER, Case

_CONCURRENTLY = HEADER.replace("-- Purpose", "-- transactional: false\n-- Purpose")
_MAKE_INDEX = "CREATE INDEX CONCURRENTLY notes_text_idx ON notes (text);\n"
_DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS notes_text_idx;\n"

CASES = {
    "CONCURRENTLY": Case(_CONCURRENTLY + _MAKE_INDEX, f"{DOWN}\n{_DROP_INDEX}", ()),
    "CONCURRENTLY, the other way about": Case(
        _CONCURRENTLY + _DROP_INDEX,
        "-- Loses: nothing.\n\nCREATE UNIQUE INDEX CONCURRENTLY notes_text_key ON notes (text);\n",
        (),
    ),
    "CONCURRENTLY in a transaction": Case(
        HEADER + _MAKE_INDEX,
        f"{DOWN}\n{_DROP_INDEX}",
        (
            (
                "rollback.sql:3: Works CONCURRENTLY, which PostgreSQL refuses in a transaction: write"
                " `-- transactional: false` below the `depends` of 0002.try-it.sql."
            ),
            "sql:6: Works CONCURRENTLY, which",
        ),
    ),
    "no transaction around two statements": Case(
        _CONCURRENTLY + _MAKE_INDEX + "COMMENT ON INDEX notes_text_idx IS 'x';\n",
        f"{DOWN}\n{_DROP_INDEX}",
        (
            (
                "sql:1: Has 2 statements and no transaction, so that some of them may be done and some not: have one,"
                " and migrations of their own for others."
            ),
            (
                "sql:8: Is not in a transaction, and neither CREATE INDEX CONCURRENTLY name ON … nor DROP INDEX"
                " CONCURRENTLY IF EXISTS name, which the runner can repeat: write one of these, or leave out"
                " `transactional: false`."
            ),
        ),
    ),
    "no transaction, and a rollback of nothing": Case(
        _CONCURRENTLY + _MAKE_INDEX, DOWN, ("rollback.sql:1: Has 0 statements and no transaction",)
    ),
    "no transaction, and a drop that cannot be repeated": Case(
        _CONCURRENTLY + _DROP_INDEX.replace("IF EXISTS ", ""),
        f"{DOWN}\nDROP INDEX CONCURRENTLY IF EXISTS a, b;\n",
        ("rollback.sql:3: Is not in a transaction, and neither", "sql:7: Is not in a transaction, and neither"),
    ),
    "no transaction, and IF NOT EXISTS": Case(
        _CONCURRENTLY + _MAKE_INDEX.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"),
        f"{DOWN}\n{_DROP_INDEX}",
        ("sql:7: Says IF NOT EXISTS",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_index_is_made_concurrently_without_a_transaction_and_by_itself(folder: Project, case: Case) -> None:
    case.holds(folder)
