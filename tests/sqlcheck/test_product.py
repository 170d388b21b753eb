"""The product's own statements, which `make sql` proves: here are those that its documents add."""

import re
import shutil
from pathlib import Path

from service.database import embedded
from service.resources import resource_folder
from service.sqlcheck.project import read_project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.run import CHECKS, check
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import scratch_database
from tests.sharing import on_one_postgresql

_CHECKOUT = Path(__file__).parents[2]
# The others ask nothing of a statement that is added: no index is needed less, and no migration is new.
_CHECKS = [name for name in CHECKS if name not in {"indexes", "migrations", "compatibility"}]


@on_one_postgresql
def test_the_query_that_contributing_adds_keeps_its_promises(postgres: embedded.Server, tmp_path: Path) -> None:
    text = (_CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    added = re.search(r"In \[`(sql/\S+)`\].+?```sql\n(-- name: (\w+).+?)```", text, re.DOTALL)
    assert added
    name, query = added[1], added[2]
    shutil.copytree(resource_folder("sql"), tmp_path / "sql")
    product = read_project(_CHECKOUT)
    with scratch_database(product, postgres.dsn) as connection:
        file = tmp_path / name
        file.write_text(f"{query}\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
        subject = Subject.of(product, read_statements(product.at(tmp_path)), connection)
        assert added[3] in {statement.name for statement in subject.statements}
        results = list(check(subject, _CHECKS))
    assert [result.check for result in results] == _CHECKS
    assert [str(diagnostic) for result in results for diagnostic in result.diagnostics] == []
