"""The files of the catalogue: what they should say."""

from pathlib import Path
from typing import Final

from service.sqlcheck.catalogue.gathering import gather
from service.sqlcheck.catalogue.markdown import as_markdown
from service.sqlcheck.catalogue.model import Catalogue
from service.sqlcheck.catalogue.page import as_html
from service.sqlcheck.scratch import scratch_database
from service.sqlcheck.statements import read_statements

NAMES: Final = ("queries.md", "queries.html")
"""The files, which lie in `docs/`."""


def make(sql: Path, migrations: Path) -> dict[str, str]:
    """Return what each file should say, by its name; a PostgreSQL is started to find out.

    Args:
        sql: the folder of the statements.
        migrations: the folder of the migrations that make their schema.

    Raises:
        CheckError, EmbeddedError, MigrationError: it cannot be found out.
    """
    statements = read_statements(sql)
    with scratch_database(None, migrations) as connection:
        return write(gather(statements, connection))


def write(catalogue: Catalogue) -> dict[str, str]:
    """Return what each file should say of a catalogue, by its name."""
    return dict(zip(NAMES, (as_markdown(catalogue), as_html(catalogue)), strict=True))
