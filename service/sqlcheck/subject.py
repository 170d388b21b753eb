"""The subject of a check: what of a project is read, and the database that it is tried on."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.sqlcheck.project import Project
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.trial.scratch import Connection


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at.

    Attributes:
        project: the project.
        statements: its statements, or those of them that are checked.
        schema: the schema of the database.
        connection: to that database, as `scratch_database` makes it of the project's migrations.
        against: the revision with which all this has to get along; None for the last release.
    """

    project: Project
    statements: Sequence[Statement]
    schema: DatabaseSchema
    connection: Connection
    against: str | None = None
