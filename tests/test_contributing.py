"""The examples of CONTRIBUTING.md are as they have to be."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from service.database import embedded
from service.migrate.files import read_migrations
from service.sqlcheck.checks import migrations
from service.sqlcheck.project import read_project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.run import CHECKS, check
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import scratch_database
from tests.sharing import on_one_postgresql

_CHECKOUT = Path(__file__).parents[1]
# The others ask nothing of a statement that is added: no index is needed less, and no migration is new.
_CHECKS = [name for name in CHECKS if name not in {"indexes", "migrations", "compatibility"}]
_QUERY = re.compile(r"In \[`(sql/\S+)`\].+?```sql\n(-- name: (\w+).+?)```", re.DOTALL)
_FILES = re.compile(r"`migrations/\d+(\.\S+\.sql)`.*?```sql\n(.+?)```", re.DOTALL)


@on_one_postgresql
def test_the_query_that_contributing_adds_keeps_its_promises(postgres: embedded.Server, tmp_path: Path) -> None:
    project = read_project(_CHECKOUT)
    added = _QUERY.search((_CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert added
    file, text, name = added.groups()
    shutil.copytree(project.sql, tmp_path / "sql")
    (tmp_path / file).write_text(f"{text}\n{(project.folder / file).read_text(encoding='utf-8')}", encoding="utf-8")
    with scratch_database(project, postgres.dsn) as connection:
        subject = Subject.of(project, read_statements(project.at(tmp_path)), connection)
        assert name in {statement.name for statement in subject.statements}
        results = list(check(subject, _CHECKS))
    assert [result.check for result in results] == _CHECKS
    assert [str(diagnostic) for result in results for diagnostic in result.diagnostics] == []


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
