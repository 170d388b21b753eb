"""What docs/sql-checks.md shows is what happens: each plant in it is planted here, and told as it says."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.database import embedded
from service.migrate.files import write_checksums
from service.resources import resource_folder
from service.sqlcheck.checks import migrations
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.run import CHECKS, check, run_checks
from service.sqlcheck.trial.scratch import Connection
from tests.sharing import on_one_postgresql

_DOCUMENT = Path(__file__).parents[2] / "docs" / "sql-checks.md"
_PLANT = re.compile(
    r"^### (?P<check>\w+): (?P<title>.+)\n(?:(?!###|```)[^\n]*\n)*```diff\n(?P<diff>(?:(?!```).*\n)+)```\n\n"
    r"```text\n(?P<told>(?:(?!```).*\n)+)```$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Plant:
    """A fault that is planted: which check is to find it, the change, and what is told of it."""

    check: str
    title: str
    diff: str
    told: str

    def __str__(self) -> str:  # noqa: D105 -- as its heading
        return f"{self.check}: {self.title}"

    def plant(self, folder: Path) -> None:
        """Make the change in a copy of `sql/` and `migrations/`."""
        for part in re.split(r"^(?=--- (?:sql|migrations)/)", self.diff, flags=re.MULTILINE)[1:]:
            header, *lines = part.replace("\n\n", "\n \n").splitlines(keepends=True)
            file = folder / header.removeprefix("--- ").strip()
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            text = file.read_text()
            assert text.count(before) == 1, f"{self}: {file.name} has this {text.count(before)} times:\n{before}"
            file.write_text(text.replace(before, after))
        # The runner applies what has not changed since this was written.
        applied = folder / "migrations"
        write_checksums(applied)


# The other needs a last release, which its own tests make: no folder here is a repository.
_WITHOUT_RELEASE = [name for name in CHECKS if name != "compatibility"]
PLANTS = [Plant(**found.groupdict()) for found in _PLANT.finditer(_DOCUMENT.read_text())]
_LINTED = [plant for plant in PLANTS if plant.check == "migrations"]
_MIGRATED = [plant for plant in PLANTS if plant not in _LINTED and "--- migrations/" in plant.diff]
_PREPARED = [plant for plant in PLANTS if plant not in _LINTED + _MIGRATED]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what is checked."""
    for name in ("sql", "migrations"):
        shutil.copytree(resource_folder(name), tmp_path / name)
    return tmp_path


def test_the_document_has_a_plant_for_every_check() -> None:
    text = _DOCUMENT.read_text()
    assert {plant.check for plant in PLANTS} == set(_WITHOUT_RELEASE)
    assert len(PLANTS) == text.count("\n```diff\n") == text.count("\n### ")


@on_one_postgresql
@pytest.mark.parametrize("plant", _PREPARED, ids=str)
def test_a_fault_in_a_statement_is_told_as_the_document_shows(plant: Plant, folder: Path, scratch: Connection) -> None:
    plant.plant(folder)
    (result,) = check([plant.check], read_statements(folder / "sql"), scratch, folder / "migrations")
    assert "".join(f"{diagnostic}\n" for diagnostic in result.diagnostics) == plant.told


@on_one_postgresql
@pytest.mark.parametrize("plant", _MIGRATED, ids=str)
def test_a_fault_in_what_migrations_make_is_told_as_the_document_shows(
    plant: Plant, folder: Path, postgres: embedded.Server
) -> None:
    plant.plant(folder)
    report = run_checks([plant.check], folder / "sql", folder / "migrations", server=postgres.dsn)
    assert "".join(f"{diagnostic}\n" for diagnostic in report.diagnostics) == plant.told


@pytest.mark.parametrize("plant", _LINTED, ids=str)
def test_a_fault_in_a_migration_is_told_as_the_document_shows(plant: Plant, folder: Path) -> None:
    plant.plant(folder)
    assert "".join(f"{diagnostic}\n" for diagnostic in sorted(migrations.check(folder / "migrations"))) == plant.told


@on_one_postgresql
def test_the_query_that_contributing_adds_keeps_its_promises(folder: Path, scratch: Connection) -> None:
    text = (_DOCUMENT.parents[1] / "CONTRIBUTING.md").read_text()
    example = re.search(r"```sql\n(-- name: .+?)```", text, re.DOTALL)
    assert example
    tasks = folder / "sql" / "tasks.sql"
    tasks.write_text(f"{example[1]}\n{tasks.read_text()}")
    results = list(check(_WITHOUT_RELEASE, read_statements(folder / "sql"), scratch, folder / "migrations"))
    assert [result.check for result in results] == _WITHOUT_RELEASE
    assert [str(diagnostic) for result in results for diagnostic in result.diagnostics] == []
