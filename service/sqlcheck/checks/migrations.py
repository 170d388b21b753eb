"""Migrations: each says what it does, names what it makes, and does nothing that stops those who use the database."""

from collections.abc import Iterator

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.rules import RULES
from service.sqlcheck.lint.scripts import read_scripts
from service.sqlcheck.lint.squawk import check_with_squawk
from service.sqlcheck.project import Project


def check(project: Project) -> Iterator[Diagnostic]:
    """Yield what is wrong with the migrations of a project.

    Raises:
        CheckError: squawk is not installed, or fails.
        MigrationError: a file cannot be read, or is not named or headed as a migration is.
    """
    scripts = list(read_scripts(project))
    for script in scripts:
        for rule in RULES:
            yield from rule(script)
    yield from check_with_squawk(scripts, project.squawk)
