"""A migration that is tried, behind one that has no fault, and what is told of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.migrate.files import write_checksums
from service.sqlcheck.checks import migrations
from service.sqlcheck.project import Project

HEADER = """\
-- depends: 0001.create-notes
-- Purpose: try it.
-- Locks: none.
-- Order: before the code that reads it.

"""
AFTER = HEADER.replace("before the code that reads it", "after the code that read it")
DOWN = "-- Loses: what was tried.\n"
COMMENT = "COMMENT ON TABLE others IS 'Others.';\n"


@dataclass(frozen=True, slots=True)
class Case:
    """A migration, and how each diagnostic of it begins: `sql:6: …`, or `rollback.sql:3: …`."""

    up: str
    down: str | None
    told: Sequence[str]

    def write(self, project: Project) -> None:
        """Write a migration that has no fault, and behind it the one that is tried."""
        folder = project.migrations
        folder.mkdir(exist_ok=True)
        first = HEADER.replace("0001.create-notes", "").replace("depends: ", "depends:")
        (folder / "0001.create-notes.sql").write_text(
            f"{first}CREATE TABLE notes (text text NOT NULL);\n\nCOMMENT ON TABLE notes IS 'Notes.';\n\n"
            "CREATE FUNCTION count_notes() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM notes);\n\n"
            "COMMENT ON FUNCTION count_notes() IS 'How many there are.';\n"
        )
        (folder / "0001.create-notes.rollback.sql").write_text(
            "-- Loses: every note.\n\nDROP FUNCTION count_notes();\nDROP TABLE notes;\n"
        )
        (folder / "0002.try-it.sql").write_text(self.up)
        if self.down is not None:
            (folder / "0002.try-it.rollback.sql").write_text(self.down)
        write_checksums(folder)

    def holds(self, project: Project) -> None:
        """Hold what is told of the migration, by all rules, against what is to be told."""
        self.write(project)
        diagnostics = sorted(migrations.check(project))
        assert {diagnostic.check for diagnostic in diagnostics} <= {"migrations"}
        told = [str(diagnostic).removeprefix("migrations/0002.try-it.") for diagnostic in diagnostics]
        assert len(told) == len(self.told), told
        for message, beginning in zip(sorted(told), sorted(self.told), strict=True):
            assert message.startswith(beginning)


def up(sql: str, *told: str, header: str = HEADER) -> Case:
    """A migration that says something, with a rollback that is right."""
    return Case(header + sql, DOWN, told)


def down(sql: str, *told: str, loses: str = "-- Loses: nothing.\n") -> Case:
    """A rollback that says something, of a migration that is right."""
    return Case(HEADER, loses + "\n" + sql, told)


def header(old: str, new: str, *told: str) -> Case:
    """A migration with another header than that which is right."""
    assert HEADER.count(old) == 1
    return Case(HEADER.replace(old, new), DOWN, told)
