"""The style of statements: each rule that a program can hold them to."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.sqlcheck.checks import style
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.subject import Subject
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_GET = """\
-- name: get_topic(topic)^
-- One of the topics.
-- Takes: topic from Note.
-- Returns: Topic, no row when there is none.
-- Plan: seq scan of topics.
SELECT topic, is_closed, position
FROM topics
WHERE topic = :topic;
"""


def _told(tmp_path: Path, subject: Subject, text: str) -> list[str]:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "a.sql").write_text(text)
    statements = read_statements(subject.project.at(tmp_path))
    return [str(diagnostic) for diagnostic in style.check(replace(subject, statements=statements))]


def test_a_statement_that_keeps_to_the_rules_is_no_fault(tmp_path: Path, subject: Subject) -> None:
    assert _told(tmp_path, subject, _GET) == []


_BROKEN = {
    "a verb that is none": (
        ("get_topic(", "find_topic("),
        ("1 find_topic: Begins with find_: begin with count_, create_, delete_, get_, list_, lock_, purge_, update_."),
    ),
    "an operator that the verb does not have": (
        (")^", ")"),
        "1 get_topic: Has nothing behind its name, but get_ goes with ^: change the one or the other.",
    ),
    "no semicolon": (("= :topic;", "= :topic"), "1 get_topic: Does not end: put a semicolon behind it."),
    "no sentence": (
        ("-- One of the topics.\n", ""),
        "1 get_topic: Does not say what it is for: write a sentence below its name.",
    ),
    "no Returns": (
        ("-- Returns: Topic, no row when there is none.\n", ""),
        "1 get_topic: Does not say what it promises: add a line `-- Returns:`.",
    ),
    "no Plan": (
        ("-- Plan: seq scan of topics.\n", ""),
        "1 get_topic: Does not say what it promises: add a line `-- Plan:`.",
    ),
    "labels out of order": (
        (
            "-- Takes: topic from Note.\n-- Returns: Topic, no row when there is none.\n",
            "-- Returns: Topic, no row when there is none.\n-- Takes: topic from Note.\n",
        ),
        "3 get_topic: Has its labels out of order: write Takes, Returns, Plan.",
    ),
    "a label without an end": (
        ("there is none.", "there is none"),
        "4 get_topic: Does not end its Returns: put a full stop behind it.",
    ),
    "a label that is none": (
        ("-- Takes:", "-- Note: see above.\n-- Takes:"),
        "3 get_topic: Has no label Note: it is one of Takes, Returns, Raises, Plan, Scope.",
    ),
    "a long line": (
        ("-- One of the topics.", f"-- One of the {'very ' * 25}many topics."),
        "2 get_topic: Has a line of 151 characters: 120 are enough.",
    ),
    "an odd indent": (
        ("WHERE topic", "WHERE true\n  AND topic"),
        "9 get_topic: Is not indented by 4 spaces for each level: do so.",
    ),
    "a tab": (
        ("WHERE topic", "WHERE\ttopic"),
        "8 get_topic: Is not indented by 4 spaces for each level: do so.",
    ),
    "a comment beside SQL": (
        ("FROM topics", "FROM topics -- the topics"),
        "7 get_topic: Has a comment beside SQL, where :word and apostrophes are read as SQL: give it a line.",
    ),
    "a keyword that whispers": (("WHERE", "where"), "8 get_topic: Has the keyword where: write it WHERE."),
    "a word of a statement that whispers": (
        ("WHERE topic = :topic", "ORDER by topic"),
        "8 get_topic: Has the keyword by: write it BY.",
    ),
    "a name that shouts": (("is_closed,", "Is_Closed,"), "6 get_topic: Has the name Is_Closed: write it is_closed."),
    "every column": (
        ("SELECT topic, is_closed, position", "SELECT *"),
        "6 get_topic: Takes every column there is, and will be: name those that it needs.",
    ),
    "columns out of order": (
        ("SELECT topic, is_closed, position", "SELECT topic, position, is_closed"),
        "6 get_topic: Names is_closed out of the order of its table: that is topic, is_closed, position.",
    ),
}


@pytest.mark.parametrize("broken", _BROKEN)
def test_what_breaks_a_rule_is_told_at_its_line(tmp_path: Path, subject: Subject, broken: str) -> None:
    (old, new), told = _BROKEN[broken]
    text = _GET.replace(old, new, 1)
    # A parameter that is used no more must not be declared either, which aiosql sees to.
    text = text if ":topic" in text else text.replace("(topic)", "()")
    assert _told(tmp_path, subject, text) == [f"sql/a.sql:{told}"]


def test_queries_out_of_the_alphabet_and_queries_that_are_one_are_told(tmp_path: Path, subject: Subject) -> None:
    twin = _GET.replace("get_topic", "get_a_topic")
    assert _told(tmp_path, subject, _GET + "\n" + twin) == [
        "sql/a.sql:10 get_a_topic: Comes after get_topic: put the queries of a file in alphabetical order.",
        "sql/a.sql:10 get_a_topic: Is the same statement as get_topic in sql/a.sql: keep one of them.",
    ]


_LIST = """\
-- name: list_own_notes(member_id, page_size)
-- Some notes.
-- Returns: NoteKey, many.
-- Plan: notes_pkey, no sort.
SELECT member_id, id
FROM notes
WHERE member_id = :member_id
ORDER BY id
LIMIT :page_size;
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ORDER BY id\n", "", "1 list_own_notes: Lists rows in no order: add ORDER BY."),
        (
            "LIMIT :page_size",
            "",
            (
                "1 list_own_notes: Lists rows without end: add a LIMIT, or a Plan `seq scan of` a table that stays a "
                "handful."
            ),
        ),
        (
            "LIMIT :page_size",
            "LIMIT 10\nOFFSET :page_size",
            "10 list_own_notes: Skips rows by OFFSET, which reads them all: go on from a position.",
        ),
    ],
    ids=["no order", "no end", "an offset"],
)
def test_a_list_has_an_order_and_an_end(tmp_path: Path, subject: Subject, old: str, new: str, told: str) -> None:
    text = _LIST.replace(old, new)
    text = text if ":page_size" in text else text.replace(", page_size)", ")")
    assert _told(tmp_path, subject, text) == [f"sql/a.sql:{told}"]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("INSERT INTO notes (member_id, title, version)\nVALUES (:member_id, 'x', 1)", "5 create_it: Writes version"),
        ("INSERT INTO notes\nVALUES (:member_id)", "5 create_it: Inserts without naming columns"),
        ("UPDATE notes\nSET updated_at = now()\nWHERE member_id = :member_id", "6 create_it: Writes updated_at"),
        ("UPDATE notes\nSET topic = 'x', title = 'x'\nWHERE member_id = :member_id", "6 create_it: Names title out of"),
    ],
)
def test_what_is_written_is_named_in_order_and_left_to_the_triggers_where_they_keep_it(
    tmp_path: Path, subject: Subject, sql: str, told: str
) -> None:
    head = "-- name: create_it(member_id)^\n-- Make it.\n-- Returns: NoteKey, exactly one row.\n-- Plan: insert.\n"
    (diagnostic,) = _told(tmp_path, subject, f"{head}{sql}\nRETURNING member_id, id;\n")
    assert diagnostic.startswith(f"sql/a.sql:{told}")
