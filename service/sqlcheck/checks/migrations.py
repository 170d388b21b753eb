"""Migrations: each says what it does, names what it makes, and does nothing that stops those who use the database."""

from collections.abc import Iterator

from service.migrate.files import read_migrations
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.comments import Named, check_comments, commented
from service.sqlcheck.lint.header import check_has_rollback, check_header, check_rollback_header
from service.sqlcheck.lint.names import check_names
from service.sqlcheck.lint.scripts import read_scripts
from service.sqlcheck.lint.squawk import check_with_squawk
from service.sqlcheck.lint.statements import check_statements
from service.sqlcheck.project import Project


def check(project: Project) -> Iterator[Diagnostic]:
    """Yield what is wrong with the migrations of a project.

    Raises:
        CheckError: squawk is not installed, or fails.
        MigrationError: a file cannot be read, or is not named or headed as a migration is.
    """
    # Whether a file has changed since it was applied is for the runner to say.
    migrations = read_migrations(project.migrations, check=False)
    scripts = [script for migration in migrations for script in read_scripts(project, migration)]
    previous = {later.id: earlier for earlier, later in zip([None, *migrations], migrations, strict=False)}
    with_comment = set[Named]()
    for script in scripts:
        if script.unreadable:
            yield script.unreadable
        if script.is_rollback:
            yield from check_rollback_header(script)
        else:
            yield from check_header(script, previous[script.migration.id])
            yield from check_has_rollback(script)
        yield from check_statements(script)
        yield from check_names(script)
        yield from check_comments(script, with_comment)
        if not script.is_rollback:
            with_comment |= commented(script)
    yield from check_with_squawk(scripts, project.squawk)
