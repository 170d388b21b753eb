"""The rules of squawk, and where they are held against what."""

import sysconfig
from pathlib import Path

import pytest

from service.sqlcheck.checks import migrations
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import Project
from tests.sqlcheck.lint.cases import AFTER, Case, down, up

CASES = {
    "a rollback that squawk would not let pass": down("CREATE INDEX notes_text_idx ON notes (text);\n"),
    "a change that rewrites the table": up(
        "ALTER TABLE notes ALTER COLUMN text TYPE bytea USING text::bytea;\n",
        (
            "sql:6: Changing a column type requires an `ACCESS EXCLUSIVE` lock on the table which blocks reads and"
            " writes while the table is rewritten. Changing the type of the column may also break other clients reading"
            " from the table (squawk: changing-column-type). Do it another way, or write why not in a comment above it,"
            " and `-- squawk-ignore changing-column-type` below that."
        ),
    ),
    "a drop before the code": up(
        "ALTER TABLE notes DROP COLUMN text;\n",
        (
            "sql:6: Dropping a column may break existing clients (squawk: ban-drop-column). Do so in a migration whose"
            " `Order:` says `after the code …`, when no running release uses it any more."
        ),
    ),
    "a drop after the code": up(
        "ALTER TABLE notes DROP COLUMN text;\nDROP FUNCTION f();\nALTER TABLE notes DROP CONSTRAINT notes_check;\n",
        header=AFTER,
    ),
    "a new name after the code": up(
        "ALTER TABLE notes RENAME COLUMN text TO body;\n",
        "sql:6: Renaming a column may break existing clients (squawk: renaming-column).",
        header=AFTER,
    ),
    "squawk is silenced by a word that it does not know": up(
        "-- Why.\n-- squawk-ignore ban-drop-colum\nCOMMENT ON TABLE notes IS 'x';\n",
        "sql:7: unknown name ban-drop-colum (squawk: unused-ignore). Do it another way",
    ),
    "squawk is silenced, and why": up(
        "-- Nothing was ever written to it.\n-- squawk-ignore ban-drop-column\nALTER TABLE notes DROP COLUMN text;\n"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_squawk_is_heard_where_its_rule_matters(folder: Project, case: Case) -> None:
    case.holds(folder)


def test_where_squawk_is_not_installed_one_line_says_how_it_comes_there(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(CheckError) as caught:
        list(migrations.check(project))
    assert str(caught.value) == "squawk is not installed: pip install -e '.[sqlcheck]' installs what checks need."


def test_what_stops_squawk_is_told_in_one_line(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squawk = tmp_path / "squawk"
    squawk.write_text("#!/bin/sh\necho 'Configuration error:\n  invalid rule' >&2\nexit 1\n")
    squawk.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(CheckError) as caught:
        list(migrations.check(project))
    assert str(caught.value) == "squawk failed: Configuration error: invalid rule"
