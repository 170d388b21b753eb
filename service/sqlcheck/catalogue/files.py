"""The files of the catalogue: what they should say, and whether they do."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Final

from service.sqlcheck.catalogue.gathering import gather
from service.sqlcheck.catalogue.markdown import as_markdown
from service.sqlcheck.catalogue.model import Catalogue
from service.sqlcheck.catalogue.page import as_html
from service.sqlcheck.faults import CheckError
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


def save(contents: Mapping[str, str], folder: Path) -> list[Path]:
    """Write each file into a folder, and return where.

    Raises:
        CheckError: it cannot be written.
    """
    paths = [folder / name for name in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CheckError(f"Cannot write {path}: {error.strerror}.") from error
    return paths


def drifted(contents: Mapping[str, str], folder: Path) -> list[str]:
    """Return a line for each file of a folder that says something else than it should."""
    lines = []
    for name, text in contents.items():
        path = folder / name
        if not path.is_file():
            lines.append(f"{path} is missing: run `make catalogue`.")
        elif (kept := path.read_text("utf-8")) != text:
            pairs = zip_longest(kept.split("\n"), text.split("\n"))
            number = next(number for number, (one, other) in enumerate(pairs, 1) if one != other)
            lines.append(f"{path}:{number} is not what sql/ and migrations/ make of it: run `make catalogue`.")
    return lines
