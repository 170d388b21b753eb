"""The origins of what a schema has: the lines of the migrations that made it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pglast import ast
from pglast.enums import ObjectType

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script, ScriptStatement, read_scripts
from service.sqlcheck.project import Project
from service.sqlcheck.proofs.privileges import Privilege
from service.sqlcheck.reading.trees import Node, is_a, words

PUBLIC: Final = "PUBLIC"
"""The role that everybody has."""

# What `GRANT ALL` grants on a column, and on a table.
_COLUMN_VERBS: Final = ("INSERT", "REFERENCES", "SELECT", "UPDATE")
_TABLE_VERBS: Final = (*_COLUMN_VERBS, "DELETE", "MAINTAIN", "TRIGGER", "TRUNCATE")
_RENAMED: Final = {ObjectType.OBJECT_INDEX, ObjectType.OBJECT_TABCONSTRAINT}


@dataclass(frozen=True, slots=True)
class Origin:
    """A line of a migration, whose file is named from the top of the project."""

    file: str
    line: int

    def diagnostic(self, check: str, message: str) -> Diagnostic:
        """Return a diagnostic of a check on this line."""
        return Diagnostic(self.file, self.line, "", check, message)


class Origins:
    """The lines that made indexes and constraints, and that granted privileges; of several lines the last.

    Args:
        project: the project, whose migrations are read.

    Raises:
        MigrationError: a file cannot be read, or is not named or headed as a migration is.
    """

    def __init__(self, project: Project) -> None:
        # Of what no migration makes by name, all that is known is that none does.
        self._nowhere = Origin(project.names["migrations"], 1)
        self._texts: dict[str, str] = {}
        self._named: dict[str, Origin] = {}
        self._granted: dict[tuple[str, Privilege], Origin] = {}
        for script in read_scripts(project):
            if not script.is_rollback:
                self._add(project.place(script.path), script)

    def of(self, name: str) -> Origin:
        """Return where an index or a constraint was made."""
        return self._named.get(name, self._nowhere)

    def of_grant(self, role: str, privilege: Privilege) -> Origin:
        """Return where a role was granted a privilege, or else the migration that names the role first."""
        return self._granted.get((role, privilege)) or self.of_role(role)

    def of_role(self, role: str) -> Origin:
        """Return the migration that names a role first."""
        named = re.compile(rf"\b{re.escape(role)}\b")
        return next((Origin(file, 1) for file, text in self._texts.items() if named.search(text)), self._nowhere)

    def _add(self, file: str, script: Script) -> None:
        self._texts[file] = script.text
        for statement in script.statements:
            for name, node in _names(statement):
                self._named[name] = Origin(file, script.line_of_node(statement, node))
            for grant, node in _grants(statement.node):
                self._granted[grant] = Origin(file, script.line_of_node(statement, node))


def _names(statement: ScriptStatement) -> Iterator[tuple[str, Node]]:
    """Yield the name of each index and constraint that a statement makes, and the node that does."""
    for node in statement.nodes(ast.Constraint, ast.IndexStmt, ast.RenameStmt):
        if is_a(node, ast.RenameStmt):
            name = node.newname if node.renameType in _RENAMED else None
        else:
            name = node.idxname if is_a(node, ast.IndexStmt) else node.conname
        if name:
            yield name, node


def _grants(grant: Node) -> Iterator[tuple[tuple[str, Privilege], Node]]:
    """Yield each role and privilege on a table that a GRANT names, and the node of the table."""
    if not is_a(grant, ast.GrantStmt) or not grant.is_grant:
        return
    for table in grant.objects or ():
        for verb, column in _granted(grant) if is_a(table, ast.RangeVar) else ():
            for role in grant.grantees:
                yield (role.rolename or PUBLIC, Privilege(table.relname, verb, column)), table


def _granted(grant: Node) -> Iterator[tuple[str, str | None]]:
    """Yield each verb that a GRANT names, or that its ALL stands for, and the column, if it names any."""
    for verb, columns in [(part.priv_name, words(part.cols)) for part in grant.privileges or ()] or [(None, ())]:
        for column in columns or [None]:
            for each in [verb.upper()] if verb else _COLUMN_VERBS if column else _TABLE_VERBS:
                yield each, column
