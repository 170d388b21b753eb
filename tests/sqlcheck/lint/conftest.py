"""A folder of migrations that a test writes itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.sqlcheck.project import Project


@pytest.fixture
def folder(project: Project, tmp_path: Path) -> Project:
    """A project with nothing in it, which squawk looks at as at the example."""
    return replace(project, folder=tmp_path, names={**project.names, "squawk": str(project.squawk.resolve())})
