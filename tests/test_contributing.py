"""The examples of CONTRIBUTING.md are as they have to be."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from service.migrate.files import read_migrations
from service.sqlcheck.checks import migrations
from service.sqlcheck.project import read_project

_CHECKOUT = Path(__file__).parents[1]
_FILES = re.compile(r"`migrations/\d+(\.\S+\.sql)`.*?```sql\n(.+?)```", re.DOTALL)


def test_the_migration_that_contributing_adds_has_no_fault(tmp_path: Path) -> None:
    project = read_project(_CHECKOUT)
    shutil.copytree(project.migrations, tmp_path / "migrations")
    copied = replace(project, folder=tmp_path, names={**project.names, "squawk": str(project.squawk.resolve())})
    last = read_migrations(project.migrations)[-1]
    files = _FILES.findall((_CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(files) == 2
    for name, text in files:
        # Whatever its number there, it is the next one here.
        told = re.sub(r"^-- depends: .*", f"-- depends: {last.id}", text)
        (copied.migrations / f"{last.number + 1:04}{name}").write_text(told, encoding="utf-8")
    assert [str(diagnostic) for diagnostic in migrations.check(copied)] == []
