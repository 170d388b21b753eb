"""The faults that docs/sql-checks.md plants in the example, and what is said of each.

    python -m tests.sqlcheck.plants

plants each of them, and writes into the document what is said of it: `make diagnostics`.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.migrate.files import read_migrations
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import read_project
from service.sqlcheck.reading.statements import UnreadableStatementsError, read_statements
from service.sqlcheck.run import check
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import scratch_database
from tests.edits import EditError, edit

DOCUMENT = Path(__file__).parents[2] / "docs" / "sql-checks.md"
EXAMPLE = Path(__file__).parent / "example"

_PLANT = re.compile(
    r"^### (?P<check>\w+): (?P<title>.+)\n(?:(?!###|```)[^\n]*\n)*```diff\n(?P<diff>(?:(?!```).*\n)+)```\n\n"
    r"```text\n(?P<told>(?:(?!```).*\n)*)```$",
    re.MULTILINE,
)
_FILE = re.compile(r"^--- (\S+)\n", re.MULTILINE)


class PlantError(Exception):
    """A fault cannot be planted; the message is one line."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A fault that is planted.

    Attributes:
        check: the check that is to find it.
        title: what it is.
        diff: the change of the example that makes it.
        told: what the document says is said of it, a line for each diagnostic.
    """

    check: str
    title: str
    diff: str
    told: str

    def __str__(self) -> str:
        """Write it as its heading does."""
        return f"{self.check}: {self.title}"

    def change(self, folder: Path) -> None:
        """Make the change in a copy of the example.

        Raises:
            PlantError: what is to be changed is not there, or is there twice.
        """
        _, *parts = _FILE.split(self.diff)
        for name, change in zip(parts[::2], parts[1::2], strict=True):
            file = folder / name
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            try:
                file.write_text(edit(text, change), encoding="utf-8")
            except EditError as error:
                raise PlantError(f"{self}: {name} {error}.") from error


Tell = Callable[[Plant], str]
"""A function that returns what is said of a plant."""


def read_plants(text: str) -> list[Plant]:
    """Return the plants of a document."""
    return [Plant(**found.groupdict()) for found in _PLANT.finditer(text)]


def tell(plant: Plant, subject: Subject) -> str:
    """Plant a fault in a copy of the example, and return what its check says: a line for each diagnostic.

    Args:
        plant: the fault.
        subject: the example, with its database.
    """
    with tempfile.TemporaryDirectory() as folder, rolled_back(subject.connection):
        copy = Path(folder) / "example"
        shutil.copytree(subject.project.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        plant.change(copy)
        project = read_project(copy)
        for migration in read_migrations(project.migrations, check=False):
            if not (subject.project.migrations / migration.path.name).exists():
                # What is undone is done in a transaction, which nobody else waits for.
                subject.connection.execute(migration.text.replace(" CONCURRENTLY", "").encode())
        try:
            changed = Subject.of(project, read_statements(project), subject.connection)
        except UnreadableStatementsError as error:
            diagnostics = sorted(error.diagnostics)
        else:
            (result,) = check(changed, [plant.check])
            diagnostics = result.diagnostics
    return "".join(f"{diagnostic}\n" for diagnostic in diagnostics)


def rewrite(text: str, tell: Tell) -> str:
    """Return a document with what is said of each of its plants by now."""

    def _told(found: re.Match[str]) -> str:
        plant = Plant(**found.groupdict())
        return found[0].removesuffix(f"{plant.told}```") + f"{tell(plant)}```"

    return _PLANT.sub(_told, text)


def main() -> None:
    """Write into the document what is said of its plants, and a line if that is something new."""
    project = read_project(EXAMPLE)
    text = DOCUMENT.read_text(encoding="utf-8")
    with scratch_database(project) as connection:
        subject = Subject.of(project, read_statements(project), connection)
        try:
            told = rewrite(text, lambda plant: tell(plant, subject))
        except (PlantError, CheckError) as error:
            sys.exit(str(error))
    if told != text:
        DOCUMENT.write_text(told, encoding="utf-8")
        sys.stdout.write(f"Wrote {DOCUMENT.relative_to(DOCUMENT.parents[1])}.\n")


if __name__ == "__main__":
    main()
