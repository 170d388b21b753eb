"""The headers of migrations and of rollbacks."""

import pytest

from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import DOWN, HEADER, Case, down, header, up

CASES = {
    "depends on nothing": header(
        " 0001.create-notes",
        "",
        (
            "sql:1: Depends on nothing, but the migration before it is 0001.create-notes: write `-- depends:"
            " 0001.create-notes`."
        ),
    ),
    "depends comes later": header(
        "-- depends: 0001.create-notes\n-- Purpose: try it.\n",
        "-- Purpose: try it.\n-- depends: 0001.create-notes\n",
        "sql:1: Does not begin with `-- depends:`, which yoyo does not see further down: put it first.",
        "sql:1: Has its header out of order: write depends, Purpose, Locks, Order.",
    ),
    "depends is below a comment": header(
        "-- depends",
        "/* Why. */\n-- depends",
        "sql:1: Does not begin with `-- depends:`",
        "sql:1: Does not say its Locks: add a line `-- Locks: …` to its header.",
        "sql:1: Does not say its Order",
        "sql:1: Does not say its Purpose",
        "sql:2: Says `depends:` below its header, which is the first comment: put it there, or say it in other words.",
    ),
    "an empty purpose": header("Purpose: try it.", "Purpose:", "sql:1: Does not say its Purpose: add a line"),
    "a purpose of two lines": header("Purpose: try it.", "Purpose:\n-- try it: at last."),
    "entries out of order": header(
        "-- Locks: none.\n-- Order: before the code that reads it.\n",
        "-- Order: before the code that reads it.\n-- Locks: none.\n",
        "sql:1: Has its header out of order: write depends, Purpose, Locks, Order.",
    ),
    "an order that is none": header(
        "before the code",
        "some time before the code",
        (
            "sql:4: Says `Order: some time before the code that reads it.`: begin with `before the code …`,"
            " `after the code …` or `at any time`."
        ),
    ),
    "at any time": header("before the code that reads it", "at any time"),
    "all that a header may say": header(
        "-- Purpose", "-- transactional: true\n-- lock_timeout: 3s\n-- statement_timeout: 10min\n-- Purpose"
    ),
    "a word that nobody reads": header(
        "-- Locks", "-- Note: see above.\n-- Locks", "sql:3: Says `Note:`, which nobody reads"
    ),
    "a capital that nobody reads": header(
        "-- Purpose", "-- Transactional: false\n-- Purpose", "sql:2: Says `Transactional:`, which nobody reads"
    ),
    "a misspelling that nobody reads": header(
        "-- Locks", "-- transactionnal: false\n-- Locks", "sql:3: Says `transactionnal:`, which nobody reads"
    ),
    "what yoyo reads and the runner does not": header(
        "-- Purpose",
        "--transactional : false\n-- Purpose",
        "sql:2: Does not say `transactional:` as the runner reads it: write `-- transactional: false`.",
    ),
    "what is said twice": header(
        "-- Purpose", "-- lock_timeout: 1s\n-- lock_timeout: 2s\n-- Purpose", "sql:3: Says `lock_timeout:` twice"
    ),
    "what is said below the header": up(
        "-- transactional: false\nDROP INDEX notes_text_idx; -- squawk-ignore require-concurrent-index-deletion\n",
        "sql:6: Says `transactional:` below its header",
    ),
    "an address in the header": header("try it.", "try it: see\n-- https://example.com/"),
    "a rollback that does not say what it loses": down(
        "",
        "rollback.sql:1: Does not begin with what it loses: write `-- Loses: …` first, or `-- Loses: nothing.`",
        loses="-- Back.\n",
    ),
    "a rollback that loses it does not say what": down(
        "", "rollback.sql:1: Does not begin with what it loses", loses="-- Loses:\n"
    ),
    "a rollback that has a header": down(
        "",
        "rollback.sql:2: Says `transactional:`, which nobody reads: what this header may say is Loses.",
        loses="-- Loses: nothing.\n-- transactional: false\n",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_header_says_all_of_it_in_one_order_and_nothing_that_nobody_reads(folder: Project, case: Case) -> None:
    case.holds(folder)


def test_a_header_is_held_against_the_locks_that_were_measured(folder: Project) -> None:
    sql, back = "ALTER TABLE notes ADD COLUMN size integer;\n", "ALTER TABLE notes DROP COLUMN size;\n"
    folder.migrations.mkdir()
    (folder.migrations / "0002.try-it.locks.txt").write_text(
        "apply     ACCESS EXCLUSIVE        notes  scans\nrollback  ACCESS EXCLUSIVE        notes\n"
    )
    Case(
        f"{HEADER}{sql}",
        f"{DOWN}\n{back}",
        (
            "sql:3: It scans notes under the lock, which `Locks:` does not say: write `scans notes`.",
            (
                "sql:3: It takes ACCESS EXCLUSIVE on notes, which `Locks:` does not say: write"
                " `ACCESS EXCLUSIVE on notes`, and for how long."
            ),
        ),
    ).holds(folder)
