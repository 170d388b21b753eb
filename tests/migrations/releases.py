"""The releases of the example in migrations/README.md: copies of this checkout, each one step further."""

import re
from pathlib import Path
from typing import Final

from service.migrate.files import read_migrations, write_checksums
from service.resources import resource_folder
from tests.checkouts import copy_checkout
from tests.edits import edit_everywhere

_DOCUMENT: Final = resource_folder("migrations") / "README.md"
_FILE: Final = re.compile(
    r"^`(?P<name>(?P<id>\d{4}\.[a-z0-9-]+)(?:\.rollback)?\.sql)`\n\n```sql\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_BATCH: Final = re.compile(r"^```sql\n(?P<text>WITH batch AS .*?)^```$", re.MULTILINE | re.DOTALL)
_DIFF: Final = re.compile(r"^```diff\n(?P<lines>(?:[-+].*\n)+)```$", re.MULTILINE)
_EXPAND, _MIGRATE, _CONTRACT = 2, 4, 5


class Example:
    """The example of the document, which replaces a column, numbered to follow the migrations that there are.

    Attributes:
        ids: of its migrations, in their order.
        batch: the statement that copies some rows by hand.
    """

    def __init__(self) -> None:
        document = _DOCUMENT.read_text()
        found = list(_FILE.finditer(document))
        written = sorted({file["id"] for file in found})
        assert len(found) == 2 * len(written) == 2 * _CONTRACT
        last = read_migrations(resource_folder("migrations"))[-1]
        self.ids = [f"{last.number + index:04}{id_[4:]}" for index, id_ in enumerate(written, 1)]
        self._files = dict[str, str]()
        for file in found:
            name, text = file["name"], file["text"]
            if name == f"{written[0]}.sql":
                text = re.sub(r"\A-- depends: .*", f"-- depends: {last.id}", text)
            for id_, new_id in zip(written, self.ids, strict=True):
                name, text = name.replace(id_, new_id), text.replace(id_, new_id)
            self._files[name] = text
        (self.batch,) = _BATCH.findall(document)
        (self._diff,) = _DIFF.findall(document)

    def old_release_expanded(self, folder: Path) -> Path:
        """Make the release whose code is that of this checkout, and whose schema has both columns."""
        return self._release(folder, _EXPAND)

    def new_release(self, folder: Path) -> Path:
        """Make the release that reads and writes the new column alone."""
        return self._change_queries(self._release(folder, _MIGRATE))

    def release_after_it(self, folder: Path) -> Path:
        """Make the release whose schema has the new column alone."""
        return self._change_queries(self._release(folder, _CONTRACT))

    def _release(self, folder: Path, count: int) -> Path:
        """Copy the checkout, with the first migrations of the example."""
        migrations = copy_checkout(folder) / "migrations"
        for name, text in self._files.items():
            if name.startswith(tuple(self.ids[:count])):
                (migrations / name).write_text(text)
        write_checksums(migrations)
        return folder

    def _change_queries(self, release: Path) -> Path:
        """Make the change of the document wherever it can be made."""
        file = release / "sql" / "tasks.sql"
        file.write_text(edit_everywhere(file.read_text(), self._diff))
        return release
