"""The files of a migration, as the rules read them: statement by statement, also inside of DO blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pglast import ast, parse_plpgsql, parse_sql
from pglast.parser import ParseError

from service.migrate.files import Migration, read_migrations
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.project import Project
from service.sqlcheck.reading.trees import Node, is_a, walk

CHECK: Final = "migrations"

_STATEMENT: Final = 0
"""The `parseMode` of what is a statement in PL/pgSQL, and not an expression."""


@dataclass(frozen=True, eq=False)
class ScriptStatement:
    """One statement of a script.

    Attributes:
        node: the statement as PostgreSQL's own parser reads it.
        line: the line of the file on which it begins.
        sql: what it says.
        in_block: whether it is part of a DO block.
    """

    node: Node
    line: int
    sql: str
    in_block: bool = False

    @property
    def is_concurrent(self) -> bool:
        """True if it makes or drops an index CONCURRENTLY."""
        return is_a(self.node, ast.IndexStmt, ast.DropStmt) and bool(self.node.concurrent)

    def nodes(self, *kinds: type[ast.Node]) -> list[Node]:
        """Return every node of these kinds, in the order in which they are met; every node where none is named."""
        return [node for node in walk(self.node) if not kinds or isinstance(node, kinds)]


@dataclass(frozen=True, eq=False)
class Script:
    """One file of a migration: what applies it, or what takes it back.

    Attributes:
        migration: the migration.
        path: the file.
        place: the same from the top of the project.
        text: what it says.
        is_rollback: which of the two it is.
        earlier: the files that have been applied before it, in their order.
        statements: its statements, those of a DO block behind the block itself. What a block puts together and hands to
            EXECUTE is not read, nor is what a function does when it is called.
        unreadable: what PostgreSQL cannot read; there are no statements then.
    """

    migration: Migration
    path: Path
    place: str
    text: str
    is_rollback: bool
    earlier: tuple["Script", ...] = field(default=(), repr=False)
    statements: tuple[ScriptStatement, ...] = ()
    unreadable: Diagnostic | None = None

    def line_of(self, offset: int) -> int:
        """Return the line on which a character stands."""
        return self.text.count("\n", 0, offset) + 1

    def line_of_node(self, statement: ScriptStatement, node: Node) -> int:
        """Return the line of a node of a statement; of one that does not know its place, that of the statement."""
        # In a block, a node knows only its place in a statement of it.
        location = None if statement.in_block else getattr(node, "location", None)
        return self.line_of(location) if location else statement.line

    def diagnostic(self, at: ScriptStatement | int, message: str) -> Diagnostic:
        """Return a diagnostic of a statement, or of a line."""
        line = at.line if isinstance(at, ScriptStatement) else at
        return Diagnostic(self.place, line, "", CHECK, message)


def read_scripts(project: Project) -> Iterator[Script]:
    """Yield the file that applies each migration, and the one that takes it back, where it is there.

    Raises:
        MigrationError: a file cannot be read, or is not named or headed as a migration is.
    """
    earlier: tuple[Script, ...] = ()
    # Whether a file has changed since it was applied is for the runner to say.
    for migration in read_migrations(project.migrations, check=False):
        path, place = migration.path, project.place(migration.path)
        script = _read(Script(migration, path, place, migration.text, is_rollback=False, earlier=earlier))
        earlier = (*earlier, script)
        yield script
        if migration.rollback is not None:
            path, place = migration.rollback_path, project.place(migration.rollback_path)
            yield _read(Script(migration, path, place, migration.rollback, is_rollback=True, earlier=earlier))


def _read(script: Script) -> Script:
    try:
        return replace(script, statements=tuple(_statements(script)))
    except ParseError as error:
        said, offset = error.args
        # At the end of the input it has no place.
        line = script.line_of(len(script.text.rstrip()) if offset is None else offset)
        return replace(script, unreadable=script.diagnostic(line, f"PostgreSQL cannot read it: {said}. Correct it."))


def _statements(script: Script) -> Iterator[ScriptStatement]:
    for raw in parse_sql(script.text):
        begin: Any = raw.stmt_location
        end = begin + raw.stmt_len if raw.stmt_len else None
        statement = ScriptStatement(raw.stmt, script.line_of(begin), script.text[begin:end])
        yield statement
        if is_a(statement.node, ast.DoStmt):
            yield from _of_block(script, statement, begin)


def _of_block(script: Script, block: ScriptStatement, begin: int) -> Iterator[ScriptStatement]:
    """Yield the statements that a DO block runs, as far as they are written out."""
    body = next((argument for argument in block.node.args if argument.defname == "as"), None)
    if body is None:  # which PostgreSQL refuses when it runs
        return
    first_line = script.line_of(body.location)
    try:
        for line, sql in _queries(parse_plpgsql(block.sql), 1):
            for raw in parse_sql(sql):
                yield ScriptStatement(raw.stmt, first_line + line - 1, sql, in_block=True)
    except ParseError as error:
        raise ParseError(error.args[0], begin) from error


def _queries(value: Any, line: int) -> Iterator[tuple[int, str]]:  # noqa: ANN401 -- what PL/pgSQL's parser gives is JSON
    """Yield each statement in the JSON of a block, with the line of the block's body that it stands on."""
    if isinstance(value, list):
        for one in value:
            yield from _queries(one, line)
    elif isinstance(value, dict):
        line = value.get("lineno", line)
        if value.get("parseMode") == _STATEMENT:
            yield line, value["query"]
        for one in value.values():
            yield from _queries(one, line)
