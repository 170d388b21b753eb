"""The example product, and the database that the checks make for it, once for each version of PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.database import embedded
from service.sqlcheck.project import Project, read_project
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.reading.statements import Statement, read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import Connection, scratch_database

EXAMPLE = Path(__file__).parent / "example"

Plant = Callable[[str], list[Statement]]


@pytest.fixture(scope="session")
def project() -> Project:
    """The example, as it lies in the repository."""
    return read_project(EXAMPLE)


@pytest.fixture
def copy(project: Project, tmp_path: Path) -> Project:
    """A copy of the example, for a test that changes its files."""
    shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("__pycache__"))
    return project.at(tmp_path / "example")


@pytest.fixture(scope="session")
def scratch(postgres: embedded.Server, project: Project) -> Iterator[Connection]:
    """A connection to the example's database. It is everybody's: what a test changes it rolls back."""
    with scratch_database(project, postgres.dsn) as connection:
        yield connection


@pytest.fixture(scope="session")
def subject(project: Project, scratch: Connection) -> Subject:
    """The example with its database."""
    return Subject(project, read_statements(project), read_schema(project, scratch), scratch)


@pytest.fixture
def plant(project: Project, tmp_path: Path) -> Plant:
    """Read statements as if they stood in the example's sql/planted.sql; a blank line first is the file's first."""

    def _plant(text: str) -> list[Statement]:
        planted = project.at(tmp_path / "planted")
        planted.sql.mkdir(parents=True, exist_ok=True)
        (planted.sql / "planted.sql").write_text(text, encoding="utf-8")
        return read_statements(planted)

    return _plant
