"""The files of the catalogue: what they should say."""

from typing import Final

from service.sqlcheck.catalogue.gathering import gather
from service.sqlcheck.catalogue.markdown import as_markdown
from service.sqlcheck.catalogue.model import Catalogue
from service.sqlcheck.catalogue.page import as_html
from service.sqlcheck.project import Project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import scratch_database

NAMES: Final = ("queries.md", "queries.html")
"""The files, which lie in `docs/`."""


def make(project: Project) -> dict[str, str]:
    """Return what each file should say, by its name; a PostgreSQL is started to find out.

    Raises:
        CheckError, EmbeddedError, MigrationError: it cannot be found out.
    """
    statements = read_statements(project)
    with scratch_database(project) as connection:
        return write(gather(Subject.of(project, statements, connection)))


def write(catalogue: Catalogue) -> dict[str, str]:
    """Return what each file should say of a catalogue, by its name."""
    return dict(zip(NAMES, (as_markdown(catalogue), as_html(catalogue)), strict=True))
