"""All rules together: that each is found, and what is told where a migration cannot even be applied."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import service.sqlcheck.lint
from service.database import embedded
from service.migrate.files import MigrationError
from service.sqlcheck.checks import migrations
from service.sqlcheck.lint.rules import RULES
from service.sqlcheck.project import Project, read_project
from service.sqlcheck.reports import as_text
from service.sqlcheck.run import run_checks
from tests.sharing import on_one_postgresql
from tests.sqlcheck.lint.cases import DOWN, HEADER, Case, up

_PRODUCT = Path(__file__).parents[3]


def test_every_rule_is_in_the_list_and_has_its_test_beside_it() -> None:
    package = service.sqlcheck.lint
    names = {path.stem for folder in package.__path__ for path in Path(folder).glob("[!_]*.py")}
    rules = {
        name: module.check for name in names if hasattr(module := import_module(f"{package.__name__}.{name}"), "check")
    }
    assert len(RULES) == len(set(RULES))
    assert set(RULES) == set(rules.values())
    assert {f"test_{name}.py" for name in rules} <= {path.name for path in Path(__file__).parent.glob("test_*.py")}


def test_of_a_migration_that_keeps_the_rules_nothing_is_told(folder: Project) -> None:
    up("").holds(folder)


@pytest.mark.parametrize("whose", [_PRODUCT, _PRODUCT / "tests" / "sqlcheck" / "example"], ids=["service", "example"])
def test_the_migrations_of_the_service_have_no_fault(whose: Path) -> None:
    assert [str(diagnostic) for diagnostic in migrations.check(read_project(whose))] == []


def test_a_folder_that_the_runner_refuses_is_refused_as_the_runner_does(folder: Project) -> None:
    up("").write(folder)
    (folder.migrations / "3.more.sql").write_text(HEADER)
    with pytest.raises(MigrationError, match=r"^3\.more\.sql is not named like a migration: NNNN\.verb-words\.sql\.$"):
        list(migrations.check(folder))


def _replace(copy: Project, sql: str) -> None:
    """Put migrations in the place of those of the example, the last of which fails."""
    for file in copy.migrations.iterdir():
        file.unlink()
    copy.migrations.rmdir()
    Case(f"{HEADER}{sql}", DOWN, ()).write(copy)


@on_one_postgresql
def test_a_migration_that_fails_is_told_with_its_line_where_the_lint_knows_why(
    copy: Project, postgres: embedded.Server
) -> None:
    _replace(copy, "ALTR TABLE notes;\n")
    told, summary = as_text(run_checks(copy, ["style", "migrations"], server=postgres.dsn)).splitlines()
    assert told == (
        'migrations/0002.try-it.sql:6: PostgreSQL cannot read it: syntax error at or near "ALTR". Correct it.'
    )
    assert re.fullmatch(r"\d+ statements: 1 fault \(migrations \d\.\d s\)\.", summary)


@on_one_postgresql
@pytest.mark.parametrize(
    ("checks", "sql"),
    [(["migrations"], "COMMENT ON TABLE others IS 'x';\n"), (["style"], "ALTR TABLE notes;\n")],
    ids=["the lint does not know why", "the lint is not asked"],
)
def test_a_migration_that_fails_is_what_the_runner_says_otherwise(
    copy: Project, postgres: embedded.Server, checks: list[str], sql: str
) -> None:
    _replace(copy, sql)
    with pytest.raises(MigrationError, match=r"^0002\.try-it, apply: "):
        run_checks(copy, checks, server=postgres.dsn)
