"""The statements of `sql/`, as the checks read them: what is promised, what runs, and where each word of it stands."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar, cast

from pglast import ast, parse_sql
from pglast.parser import ParseError

from service.database.queries import read_queries
from service.database.query_files import Mistake, Query, QueryError
from service.schemas.labels import LABELS
from service.schemas.registry import Registry
from service.sqlcheck.diagnostics import CheckError, Diagnostic
from service.sqlcheck.project import Project
from service.sqlcheck.reading.trees import walk

NodeT = TypeVar("NodeT", bound=ast.Node)

_LABEL = re.compile(rf"({'|'.join(LABELS)}): ")


CHECK: Final = "reading"
"""The check that tells of what cannot be read."""


class UnreadableStatementsError(CheckError):
    """Statements cannot be read, so that nothing can be said of them; `diagnostics` says of each why."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n".join(map(str, sorted(diagnostics))))
        self.diagnostics = diagnostics


@dataclass(frozen=True, slots=True)
class Label:
    """The text behind one label, its lines joined by spaces, and the line on which it begins."""

    text: str
    line: int


@dataclass(frozen=True, eq=False)
class Statement:
    """A named query.

    Attributes:
        file: where it stands, from the top of the checkout: `sql/tasks.sql`.
        line: the line of its name.
        name: its name.
        operator: `^` one row or none, `$` one value, nothing a list.
        declared: the parameters as its name lists them.
        parameters: the parameters in the order of their numbers: `:user_id` is `$1` where it comes first.
        about: what it is for.
        labels: what it promises, by label.
        sql: what runs.
        sql_lines: the line of the file on which each line of `sql` stands.
        source: the lines of the file behind the name, by their numbers, comments included.
        registry: the schemas and settings that its labels may name.
    """

    file: str
    line: int
    name: str
    operator: str
    declared: tuple[str, ...]
    parameters: tuple[str, ...]
    about: str
    labels: dict[str, Label]
    sql: str
    sql_lines: tuple[int, ...] = field(repr=False)
    source: dict[int, str] = field(repr=False)
    registry: Registry = field(repr=False)

    @cached_property
    def tree(self) -> ast.Node:
        """The statement as PostgreSQL's own parser reads it."""
        return self.trees[0]

    @cached_property
    def trees(self) -> list[ast.Node]:
        """Every statement that stands under the name; `read_statements` refuses all but one."""
        return [cast(ast.Node, raw.stmt) for raw in parse_sql(self.sql)]

    def nodes(self, kind: type[NodeT]) -> list[NodeT]:
        """Return every node of one kind, in the order in which they are met."""
        return [node for node in walk(self.tree) if isinstance(node, kind)]

    def line_of(self, node: ast.Node | int | None) -> int:
        """Return the line of the file on which a node of the tree, or a character of `sql`, stands.

        A node that does not know where it stands is where the statement begins.
        """
        offset = node if isinstance(node, int) else getattr(node, "location", None) or 0
        # PostgreSQL counts bytes, and pglast makes characters of them.
        breaks = self.sql[: max(offset, 0)].count("\n")
        return self.sql_lines[min(breaks, len(self.sql_lines) - 1)]

    def diagnostic(self, check: str, message: str, at: "ast.Node | Label | int | None" = None) -> Diagnostic:
        """Return a diagnostic of this statement: at a node, a label or a line of the file, or of the whole."""
        if isinstance(at, Label):
            at = at.line
        line = self.line_of(at) if isinstance(at, ast.Node) else at or self.line
        return Diagnostic(self.file, line, self.name, check, message)


def read_statements(project: Project) -> list[Statement]:
    """Read every statement of a project, in the order of the files and of the lines.

    Raises:
        UnreadableStatementsError: a file cannot be read as named queries, or a query as SQL.
    """
    queries: Sequence[Query]
    try:
        queries, wrong = read_queries(project.sql), []
    except QueryError as error:
        queries, wrong = error.queries, [_diagnostic(mistake, project) for mistake in error.mistakes]
    statements = [_read(query, project) for query in queries]
    wrong += [diagnostic for statement in statements for diagnostic in _unparsable(statement)]
    if wrong:
        raise UnreadableStatementsError(wrong)
    return statements


def _diagnostic(mistake: Mistake, project: Project) -> Diagnostic:
    return Diagnostic(project.place(mistake.file), mistake.line, mistake.name, CHECK, mistake.message)


def _unparsable(statement: Statement) -> Iterator[Diagnostic]:
    """Yield a diagnostic where PostgreSQL's parser does not read a statement, or reads no statement or several."""
    try:
        count = len(statement.trees)
    except ParseError as error:
        said, offset = error.args
        # At the end of the input it has no place.
        at = statement.line_of(len(statement.sql) if offset is None else offset)
        yield statement.diagnostic(CHECK, f"PostgreSQL cannot read it: {said}. Correct it.", at)
        return
    if count != 1:
        yield statement.diagnostic(CHECK, f"Holds {count} statements: give each a name of its own.")


def _read(query: Query, project: Project) -> Statement:
    file, line = query.file, query.line
    numbered = list(_source(file, line))
    comments = []
    for number, text in numbered:
        if not text.lstrip().startswith("--"):
            break
        comments.append((number, text.lstrip().removeprefix("--").strip()))
    # What runs has no comments, and neither blank lines nor comments come before its first word.
    rest = [number for number, text in numbered[len(comments) :] if not text.lstrip().startswith("--")]
    blank = {number for number, text in numbered if not text.strip()}
    while rest and rest[0] in blank:
        rest.pop(0)
    labels = dict(_read_labels(comments))
    first_label = min((label.line for label in labels.values()), default=line + len(comments) + 1)
    return Statement(
        file=project.place(file),
        line=line,
        name=query.name,
        operator=query.operator,
        declared=query.declared,
        parameters=query.parameters,
        about=" ".join(text for number, text in comments if number < first_label),
        labels=labels,
        sql=query.sql,
        sql_lines=tuple(rest),
        source=dict(numbered),
        registry=project.registry,
    )


def _source(file: Path, line: int) -> Iterator[tuple[int, str]]:
    """Yield the lines behind the name on `line`, up to the next name."""
    for number, text in list(enumerate(file.read_text(encoding="utf-8").splitlines(), 1))[line:]:
        if text.startswith("-- name:"):
            return
        yield number, text


def _read_labels(comments: list[tuple[int, str]]) -> Iterator[tuple[str, Label]]:
    """Yield each label with what stands behind it, down to the next one."""
    name, line = "", 0
    texts: list[str] = []
    for number, text in comments:
        match = _LABEL.match(text)
        if match:
            if name:
                yield name, Label(" ".join(texts), line)
            name, line, texts = match[1], number, [text[match.end() :]]
        elif name:
            texts.append(text)
    if name:
        yield name, Label(" ".join(texts), line)
