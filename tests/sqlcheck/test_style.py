"""How a statement is written: each rule of sql/README.md that a program can hold it to."""

from pathlib import Path

import pytest

from service.resources import resource_folder
from service.sqlcheck.checks import style
from service.sqlcheck.reading.schema import DatabaseSchema, read_schema
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_GET = """\
-- name: get_status(status)^
-- One of the states.
-- Takes: status from Task.
-- Returns: TaskStatus, no row when there is none.
-- Plan: seq scan of task_statuses.
SELECT status, is_done, position
FROM task_statuses
WHERE status = :status;
"""


@pytest.fixture
def schema(scratch: Connection) -> DatabaseSchema:
    """The schema of the service."""
    return read_schema(scratch)


def _told(tmp_path: Path, schema: DatabaseSchema, text: str) -> list[str]:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "a.sql").write_text(text)
    return [str(diagnostic) for diagnostic in style.check(read_statements(tmp_path / "sql"), schema)]


def test_the_statements_of_the_service_are_written_as_the_rules_have_it(schema: DatabaseSchema) -> None:
    assert list(style.check(read_statements(resource_folder("sql")), schema)) == []


def test_a_statement_that_keeps_to_the_rules_is_no_fault(tmp_path: Path, schema: DatabaseSchema) -> None:
    assert _told(tmp_path, schema, _GET) == []


_BROKEN = {
    "a verb that is none": (
        ("get_status(", "find_status("),
        ("1 find_status: Begins with find_: begin with count_, create_, delete_, get_, list_, lock_, purge_, update_."),
    ),
    "an operator that the verb does not have": (
        (")^", ")"),
        "1 get_status: Ends with nothing, but get_ ends with ^: see the table of operators.",
    ),
    "two statements": (
        ("= :status;", "= :status;\n\nSELECT 1;"),
        "1 get_status: Holds 2 statements: give each a name of its own.",
    ),
    "no semicolon": (("= :status;", "= :status"), "1 get_status: Does not end: put a semicolon behind it."),
    "no sentence": (
        ("-- One of the states.\n", ""),
        "1 get_status: Does not say what it is for: write a sentence below its name.",
    ),
    "no Returns": (
        ("-- Returns: TaskStatus, no row when there is none.\n", ""),
        "1 get_status: Does not say what it promises: add a line `-- Returns:`.",
    ),
    "no Plan": (
        ("-- Plan: seq scan of task_statuses.\n", ""),
        "1 get_status: Does not say what it promises: add a line `-- Plan:`.",
    ),
    "labels out of order": (
        (
            "-- Takes: status from Task.\n-- Returns: TaskStatus, no row when there is none.\n",
            "-- Returns: TaskStatus, no row when there is none.\n-- Takes: status from Task.\n",
        ),
        "3 get_status: Has its labels out of order: write Takes, Returns, Plan.",
    ),
    "a label without an end": (
        ("there is none.", "there is none"),
        "4 get_status: Does not end its Returns: put a full stop behind it.",
    ),
    "a label that is none": (
        ("-- Takes:", "-- Note: see above.\n-- Takes:"),
        "3 get_status: Has no label Note: it is one of Takes, Returns, Raises, Plan, Scope.",
    ),
    "a long line": (
        ("-- One of the states.", f"-- One of the {'very ' * 25}many states."),
        "2 get_status: Has a line of 151 characters: 120 are enough.",
    ),
    "an odd indent": (
        ("WHERE status", "WHERE true\n  AND status"),
        "9 get_status: Is not indented by 4 spaces for each level: do so.",
    ),
    "a tab": (
        ("WHERE status", "WHERE\tstatus"),
        "8 get_status: Is not indented by 4 spaces for each level: do so.",
    ),
    "a comment beside SQL": (
        ("FROM task_statuses", "FROM task_statuses -- the states"),
        "7 get_status: Has a comment beside SQL, where :word and apostrophes are read as SQL: give it a line.",
    ),
    "a keyword that whispers": (("WHERE", "where"), "8 get_status: Has the keyword where: write it WHERE."),
    "a word of a statement that whispers": (
        ("WHERE status = :status", "ORDER by status"),
        "8 get_status: Has the keyword by: write it BY.",
    ),
    "a name that shouts": (("is_done,", "Is_Done,"), "6 get_status: Has the name Is_Done: write it is_done."),
    "every column": (
        ("SELECT status, is_done, position", "SELECT *"),
        "6 get_status: Takes every column there is, and will be: name those that it needs.",
    ),
    "columns out of order": (
        ("SELECT status, is_done, position", "SELECT status, position, is_done"),
        "6 get_status: Names is_done out of the order of its table: that is status, is_done, position.",
    ),
}


@pytest.mark.parametrize("broken", _BROKEN)
def test_what_breaks_a_rule_is_told_at_its_line(tmp_path: Path, schema: DatabaseSchema, broken: str) -> None:
    (old, new), told = _BROKEN[broken]
    text = _GET.replace(old, new, 1)
    # A parameter that is used no more must not be declared either, which aiosql sees to.
    text = text if ":status" in text else text.replace("(status)", "()")
    assert _told(tmp_path, schema, text) == [f"sql/a.sql:{told}"]


def test_queries_out_of_the_alphabet_and_queries_that_are_one_are_told(tmp_path: Path, schema: DatabaseSchema) -> None:
    twin = _GET.replace("get_status", "get_a_status")
    assert _told(tmp_path, schema, _GET + "\n" + twin) == [
        "sql/a.sql:10 get_a_status: Comes after get_status: put the queries of a file in alphabetical order.",
        "sql/a.sql:10 get_a_status: Is the same statement as get_status in sql/a.sql: keep one of them.",
    ]


_LIST = """\
-- name: list_own_tasks(user_id, page_size)
-- Some tasks.
-- Returns: TaskKey, many.
-- Plan: tasks_pkey, no sort.
SELECT user_id, id
FROM tasks
WHERE user_id = :user_id
ORDER BY id
LIMIT :page_size;
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ORDER BY id\n", "", "1 list_own_tasks: Lists rows in no order: add ORDER BY."),
        (
            "LIMIT :page_size",
            "",
            (
                "1 list_own_tasks: Lists rows without end: add a LIMIT, or a Plan `seq scan of` a table that stays a "
                "handful."
            ),
        ),
        (
            "LIMIT :page_size",
            "LIMIT 10\nOFFSET :page_size",
            "10 list_own_tasks: Skips rows by OFFSET, which reads them all: go on from a position.",
        ),
    ],
    ids=["no order", "no end", "an offset"],
)
def test_a_list_has_an_order_and_an_end(tmp_path: Path, schema: DatabaseSchema, old: str, new: str, told: str) -> None:
    text = _LIST.replace(old, new)
    text = text if ":page_size" in text else text.replace(", page_size)", ")")
    assert _told(tmp_path, schema, text) == [f"sql/a.sql:{told}"]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("INSERT INTO tasks (user_id, title, version)\nVALUES (:user_id, 'x', 1)", "5 create_it: Writes version"),
        ("INSERT INTO tasks\nVALUES (:user_id)", "5 create_it: Inserts without naming columns"),
        ("UPDATE tasks\nSET updated_at = now()\nWHERE user_id = :user_id", "6 create_it: Writes updated_at"),
        ("UPDATE tasks\nSET status = 'x', title = 'x'\nWHERE user_id = :user_id", "6 create_it: Names title out of"),
    ],
)
def test_what_is_written_is_named_in_order_and_left_to_the_triggers_where_they_keep_it(
    tmp_path: Path, schema: DatabaseSchema, sql: str, told: str
) -> None:
    head = "-- name: create_it(user_id)^\n-- Make it.\n-- Returns: TaskKey, exactly one row.\n-- Plan: insert.\n"
    (diagnostic,) = _told(tmp_path, schema, f"{head}{sql}\nRETURNING user_id, id;\n")
    assert diagnostic.startswith(f"sql/a.sql:{told}")
