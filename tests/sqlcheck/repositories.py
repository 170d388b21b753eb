"""A git repository of a test's own: what is checked, with few rows, and releases of it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from service.database import embedded
from service.migrate.files import CHECKSUMS, read_migrations, write_checksums
from service.sqlcheck.project import Project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.run import Result, check
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import Connection

__all__ = ["Checkout", "checkout", "make_checkout", "own_git", "server", "unreleased"]


@pytest.fixture(scope="module", autouse=True)
def own_git() -> Iterator[None]:
    """Let git read nothing that belongs to whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
            patch.setenv(name, "/dev/null")
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            patch.delenv(name, raising=False)
        yield


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree, and the subject that it is, with a server to check it on."""

    subject: Subject

    @property
    def project(self) -> Project:
        return self.subject.project

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def connection(self) -> Connection:
        return self.subject.connection

    @property
    def migrations(self) -> Path:
        return self.project.migrations

    def git(self, *args: str) -> None:
        author = ("-c", "user.name=Anybody", "-c", "user.email=anybody@example.com")
        subprocess.run(["git", "-C", self.folder, *author, *args], check=True, capture_output=True)

    def release(self, *tags: str) -> None:
        if (self.migrations / CHECKSUMS).exists():
            self.write_checksums()
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Release")
        for tag in tags:
            self.git("tag", tag)

    def write_checksums(self) -> None:
        write_checksums(self.migrations)

    def migrate(self, words: str, sql: str, order: str = "before the code") -> str:
        """Add the next migration, and return its id."""
        last = read_migrations(self.migrations, check=False)[-1]
        id_ = f"{last.number + 1:04}.{words}"
        header = f"-- depends: {last.id}\n-- Purpose: a test.\n-- Locks: some.\n-- Order: {order}.\n"
        (self.migrations / f"{id_}.sql").write_text(f"{header}\n{sql}\n")
        (self.migrations / f"{id_}.rollback.sql").write_text("-- Loses: nothing.\n")
        return id_

    def edit(self, file: str, before: str, after: str) -> None:
        text = (self.folder / file).read_text()
        assert text.count(before) == 1, (file, before)
        (self.folder / file).write_text(text.replace(before, after))

    def check(self, against: str | None = None) -> Result:
        subject = replace(self.subject, statements=read_statements(self.project), against=against)
        (result,) = check(subject, ["compatibility"])
        return result

    def diagnostics(self) -> list[str]:
        return [str(diagnostic) for diagnostic in self.check().diagnostics]


@pytest.fixture(scope="module")
def server(postgres: embedded.Server) -> Iterator[Connection]:
    with psycopg.connect(postgres.dsn.libpq_url, autocommit=True) as connection:
        yield connection


def make_checkout(folder: Path, subject: Subject, server: Connection) -> Checkout:
    """Make a repository of the example, with few rows, and nothing released."""
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    original, project = subject.project, subject.project.at(folder)
    shutil.copytree(original.folder, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    rows = re.sub(r"generate_series\(1, \d{3,}\)", "generate_series(1, 20)", original.rows.read_text())
    # Whom the examples are about is the last of the members.
    project.rows.write_text(rows.replace("generate_series(1, 20)", "generate_series(985, 1000)", 1))
    checkout = Checkout(replace(subject, project=project, connection=server))
    checkout.git("init", "--quiet", "--initial-branch=main")
    return checkout


@pytest.fixture
def unreleased(tmp_path: Path, subject: Subject, server: Connection) -> Checkout:
    """A repository with one commit and no tag, and not every statement, since each takes its time."""
    checkout = make_checkout(tmp_path, subject, server)
    for file in checkout.project.sql.iterdir():
        if file.name not in {"members.sql", "notes.sql", "topics.sql"}:
            file.unlink()
    checkout.release()
    return checkout


@pytest.fixture
def checkout(unreleased: Checkout) -> Checkout:
    """A repository that is at v1.0.0, with nothing new."""
    unreleased.git("tag", "v1.0.0")
    return unreleased
