"""The subject of a check: what of a project is read, and the database that it is tried on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.sqlcheck.project import Project
from service.sqlcheck.reading.schema import DatabaseSchema, catalog, read_schema
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.trial.scratch import Connection


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a check.

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

    @classmethod
    def of(
        cls, project: Project, statements: Sequence[Statement], connection: Connection, against: str | None = None
    ) -> "Subject":
        """Return the subject on a database, whose schema is read.

        Raises:
            CheckError: the project is described with what its database does not have.
        """
        subject = cls(project, statements, read_schema(project, connection), connection, against)
        for entry, told in _mismatches(subject):
            raise project.error(entry, told)
        return subject


def _mismatches(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield each entry of a project's description that its database belies, and what is wrong with it."""
    project, tables, connection = subject.project, subject.schema.tables, subject.connection
    owner, columns = project.owner, {column for table in tables.values() for column in table.columns}
    if owner.table not in tables:
        yield "owner.table", f"No migration makes a table {owner.table}."
    elif owner.key not in tables[owner.table].columns:
        yield "owner.key", f"{owner.table} has no column {owner.key}."
    # Misspelled, it would have the rows of all tables be nobody's, and everything proved.
    if owner.column not in columns:
        yield "owner.column", f"No table has a column {owner.column}."
    for name in sorted(project.kept_by_triggers - columns):
        yield "kept_by_triggers", f"No table has a column {name}."
    constraints = {name for (name,) in catalog.list_named_constraints(connection, names=list(project.violations))}
    for name in sorted(project.violations - constraints):
        # A function may raise what bears any name: RAISE … USING CONSTRAINT = 'notes_quota'.
        if not any(f"'{name}'" in function.definition for function in subject.schema.functions.values()):
            yield "violations", f"No table has a constraint {name}."
    functions = {name for (name,) in catalog.list_named_functions(connection, names=list(project.harmless_functions))}
    for name in sorted(project.harmless_functions - functions):
        yield "harmless_functions", f"There is no function {name}."
    roles = {"app": project.roles.app, "readonly": project.roles.readonly}
    there = {name for (name,) in catalog.list_roles(connection, names=list(roles.values()))}
    for part, role in roles.items():
        if role not in there:
            yield f"roles.{part}", f"No migration makes a role {role}."
