"""`python -m service sql check` as people and CI run it: what it says, and how it ends."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import psycopg
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.database import embedded
from service.dsn import Dsn
from service.resources import resource_folder
from service.sqlcheck import run
from service.sqlcheck.diagnostics import CheckError, Diagnostic
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.reports import as_junit, as_text
from service.sqlcheck.run import CHECKS, Report, check
from service.sqlcheck.trial.scratch import Connection, fill
from tests.processes import bare_environ
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_CHECKOUT = Path(__file__).parents[2]
_STAR = "SELECT *\nFROM task_statuses\nORDER"
_TEXT = "Takes every column there is, and will be: name those that it needs."


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the command needs, where a fault can be planted."""
    for name in ("service", "sql", "migrations"):
        shutil.copytree(_CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "sql", "check", *args]
    return subprocess.run(
        command, cwd=folder, env=bare_environ(), capture_output=True, text=True, timeout=100, check=False
    )


def _invoke(*args: str) -> Result:
    """The same, in this process, which costs a second less."""
    return CliRunner().invoke(main, ["sql", "check", *args])


def test_all_checks_pass_on_the_statements_of_the_service_and_a_database_of_their_own(tmp_path: Path) -> None:
    done = _invoke("--junit", str(tmp_path / "report.xml"))
    assert (done.exit_code, done.stderr) == (0, "")
    *notes, line = done.stdout.splitlines()
    assert {note.partition(": ")[0] for note in notes} == {"compatibility"}
    count = len(read_statements(resource_folder("sql")))
    assert line.startswith(f"{count} statements on PostgreSQL 18.")
    assert ": no fault (style " in line
    assert [name for name in CHECKS if f"{name} " in line] == list(CHECKS)
    suites = ET.parse(tmp_path / "report.xml").getroot()
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in suites] == [
        (name, str(count), "0") for name in CHECKS
    ]


def test_a_fault_is_a_line_and_exit_code_1(checkout: Path, postgres: embedded.Server) -> None:
    file = checkout / "sql" / "task_statuses.sql"
    file.write_text(file.read_text().replace("SELECT status, is_done, position\nFROM task_statuses\nORDER", _STAR))
    done = _run(checkout, "style", "--database", postgres.dsn.libpq_url, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert told["postgresql"].startswith("18.")
    assert [one["check"] for one in told["checks"]] == ["style"]
    assert told["faults"] == [
        {"file": "sql/task_statuses.sql", "line": 14, "query": "list_task_statuses", "check": "style", "message": _TEXT}
    ]


def test_a_report_is_lines_for_people_and_failures_for_junit(scratch: Connection, tmp_path: Path) -> None:
    shutil.copytree(resource_folder("sql"), tmp_path / "sql")
    file = tmp_path / "sql" / "task_statuses.sql"
    file.write_text(file.read_text().replace("SELECT status, is_done, position\nFROM task_statuses\nORDER", _STAR))
    statements = read_statements(tmp_path / "sql")
    results = list(check(["style", "isolation"], statements, scratch, resource_folder("migrations")))
    report = Report(statements, "18.6", results)

    diagnostic, summary = as_text(report).splitlines()
    assert diagnostic == f"sql/task_statuses.sql:14 list_task_statuses: {_TEXT}"
    assert ": 1 fault (style " in summary

    style, isolation = ET.fromstring(as_junit(report))
    assert (style.get("failures"), isolation.get("failures")) == ("1", "0")
    assert style.get("tests") == str(len(statements)) == str(len(style))
    (case,) = [case for case in style if case.find("failure") is not None]
    assert (case.get("classname"), case.get("name")) == ("sql/task_statuses.sql", "list_task_statuses")
    failure = case.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == (_TEXT, diagnostic)


def test_a_fault_of_no_statement_is_a_case_of_its_own() -> None:
    diagnostic = Diagnostic("migrations/0003.create-tasks.sql", 38, "", "indexes", "No statement needs it: drop it.")
    report = Report([], "18.6", [run.Result("indexes", 0.1, [diagnostic])])
    assert as_text(report).splitlines()[0] == "migrations/0003.create-tasks.sql:38: No statement needs it: drop it."
    ((case,),) = ET.fromstring(as_junit(report))
    assert case.get("name") == "migrations/0003.create-tasks.sql"


def test_a_statement_that_cannot_be_read_is_one_clear_line(checkout: Path) -> None:
    file = checkout / "sql" / "health.sql"
    file.write_text(file.read_text().replace("AS server_version", "AS server_version FROM"))
    done = _run(checkout, "style")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == 'sql/health.sql:1 get_server_version: PostgreSQL cannot read it: syntax error at or near ";".\n'
    )


def test_rows_that_do_not_suit_the_schema_are_told_in_one_line(dsn: Dsn) -> None:
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE tasks ADD COLUMN due_at timestamptz NOT NULL")
        with pytest.raises(CheckError) as caught:
            fill(connection)
    assert str(caught.value) == (
        'The rows of docs/rows.sql do not suit the schema: null value in column "due_at" of relation'
        ' "tasks" violates not-null constraint. Change them.'
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


_WITHOUT_PGLAST = """
import sys
sys.modules["pglast"] = None
from service.cli import main
main(["sql", "check"])
"""


def test_where_the_parser_is_not_installed_one_line_says_how_it_comes_there() -> None:
    command = [sys.executable, "-c", _WITHOUT_PGLAST]
    done = subprocess.run(
        command, cwd=_CHECKOUT, env=bare_environ(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pglast is not installed: pip install -e '.[sqlcheck]' installs what checks need.\n"


def test_nothing_that_serves_loads_the_parser() -> None:
    code = "import sys, service.cli, service.app, service.workers; print('pglast' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_CHECKOUT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
