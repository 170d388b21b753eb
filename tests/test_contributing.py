"""Changes of the service, made in a copy of the checkout: the examples of CONTRIBUTING.md word for word, and a comment.

The tests of the tools stand on an example: no change of the service may fail one of them.
"""

import re
from filecmp import cmp
from pathlib import Path

import pytest

from service.migrate.files import read_migrations
from tests.checkouts import TOP, copy_checkout
from tests.instructions import read_steps, run

TOOLS = (
    "tests/migrate",
    "tests/migrations",
    "tests/schemas",
    "tests/sqlcheck",
    "tests/http/test_sql_page.py",
    "tests/test_contract_table.py",
    "tests/test_documents.py",
)
# A version of PostgreSQL changes nothing about it.
PYTEST = 'python -m pytest -q -n auto --dist worksteal -k "not postgresql-15"'
SQL = "make sql POSTGRESQL_15=none"
STEPS = read_steps()
SCHEMA = TOP / "docs" / "schema.sql"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout."""
    return copy_checkout(tmp_path / "checkout")


def test_the_examples_of_contributing_have_their_places_and_are_written_as_the_rest_is(checkout: Path) -> None:
    for step in STEPS:
        if not any(command.startswith("make ") for command in step.commands):
            step.follow(checkout)

    files = " ".join({step.file for step in STEPS if step.file.endswith(".py")})
    run(checkout, f"ruff check {files} && ruff format --check {files}")


@pytest.mark.changes
@pytest.mark.timeout(1500)
def test_the_examples_of_contributing_fail_no_test_when_they_are_followed_word_for_word(checkout: Path) -> None:
    for step in STEPS:
        step.follow(checkout)
    _print_what_a_migration_costs(checkout)

    run(checkout, SQL)
    run(checkout, "make lint")
    run(checkout, f"{PYTEST} {' '.join(TOOLS)} tests/http tests/tasks")


def _print_what_a_migration_costs(checkout: Path) -> None:
    by_hand = {step.path_in(checkout): step.section for step in STEPS if step.file}
    files = {file for file in checkout.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    changed = {file for file in files if not _is_as_before(file, TOP / file.relative_to(checkout))}
    section = STEPS[-1].section
    count = list(by_hand.values()).count(section)
    print(f"{section}: {count} files by hand, {len(changed - by_hand.keys())} generated")  # noqa: T201 -- the figures


def _is_as_before(file: Path, before: Path) -> bool:
    return before.is_file() and cmp(file, before, shallow=False)


@pytest.mark.changes
@pytest.mark.timeout(900)
def test_a_migration_that_only_comments_fails_no_test_of_the_tools(checkout: Path) -> None:
    run(checkout, "python -m service migrate new comment-migrations-of-tasks")
    migration = read_migrations(checkout / "migrations", check=False)[-1]
    comment = "COMMENT ON TABLE tasks IS 'What users want done, as they say it.';\n"
    text = migration.text.replace("Purpose:", "Purpose: say it otherwise.")
    text = text.replace("none on existing tables", "SHARE UPDATE EXCLUSIVE on tasks, for an instant")
    migration.path.write_text(text.replace("before the code that reads it", "at any time") + comment)
    before = re.search(r"^COMMENT ON TABLE public\.(tasks IS '.*';)$", SCHEMA.read_text(), re.MULTILINE)
    assert before
    migration.rollback_path.write_text(f"{migration.rollback}COMMENT ON TABLE {before[1]}\n")
    run(checkout, "make schema catalogue")

    run(checkout, SQL)
    run(checkout, f"{PYTEST} {' '.join(TOOLS)}")
