"""Style: the rules of how a statement is written that a program can hold it to."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from pglast import ast, fingerprint
from pglast.parser import scan

from service.schemas.labels import LABELS
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.reading.schema import Table
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject

_CHECK: Final = "style"

_VERBS: Final = {
    "count": ("$",),
    "create": ("^", ""),
    "delete": ("^", ""),
    "get": ("^",),
    "list": ("",),
    "lock": ("^",),
    "purge": ("$",),
    "update": ("^", ""),
}
"""The verbs that names begin with, and the operators that each can have."""

_MAX_COLUMNS: Final = 120
_INDENT: Final = 4
_LABEL_LIKE: Final = re.compile(r"([A-Z]\w+): ")
_SHOUTED: Final = frozenset({"RESERVED_KEYWORD", "TYPE_FUNC_NAME_KEYWORD"})
# Of the words that PostgreSQL lets be names, those that are none here.
_STATEMENT_WORDS: Final = frozenset(
    {
        "by",
        "conflict",
        "delete",
        "insert",
        "locked",
        "materialized",
        "nothing",
        "over",
        "partition",
        "recursive",
        "set",
        "share",
        "skip",
        "update",
        "values",
    }
)
# Of the words that PostgreSQL reserves, those that read like functions or values.
_QUIET: Final = frozenset({"false", "null", "true"})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield what is not written as the rules have it."""
    yield from _order(subject.statements)
    yield from _twins(subject.statements)
    for statement in subject.statements:
        for rule in _RULES:
            yield from rule(statement)
        yield from _columns(statement, subject)


def _order(statements: Sequence[Statement]) -> Iterator[Diagnostic]:
    for before, statement in pairwise(statements):
        if before.file == statement.file and before.name > statement.name:
            yield statement.diagnostic(
                _CHECK, f"Comes after {before.name}: put the queries of a file in alphabetical order."
            )


def _twins(statements: Sequence[Statement]) -> Iterator[Diagnostic]:
    first: dict[str, Statement] = {}
    for statement in statements:
        twin = first.setdefault(fingerprint(statement.sql), statement)
        if twin is not statement:
            yield statement.diagnostic(
                _CHECK, f"Is the same statement as {twin.name} in {twin.file}: keep one of them."
            )


def _name(statement: Statement) -> Iterator[Diagnostic]:
    verb = statement.name.partition("_")[0]
    operators = _VERBS.get(verb)
    if operators is None:
        yield statement.diagnostic(_CHECK, f"Begins with {verb}_: begin with {', '.join(f'{one}_' for one in _VERBS)}.")
    elif statement.operator not in operators:
        found = statement.operator or "nothing"
        wanted = " or ".join(operator or "nothing" for operator in operators)
        yield statement.diagnostic(
            _CHECK, f"Has {found} behind its name, but {verb}_ goes with {wanted}: change the one or the other."
        )


def _end(statement: Statement) -> Iterator[Diagnostic]:
    if not statement.sql.endswith(";"):
        yield statement.diagnostic(_CHECK, "Does not end: put a semicolon behind it.")


def _comments(statement: Statement) -> Iterator[Diagnostic]:
    if not re.search(r"[.!]$", statement.about):
        yield statement.diagnostic(_CHECK, "Does not say what it is for: write a sentence below its name.")
    for needed in ("Returns", "Plan"):
        if needed not in statement.labels:
            yield statement.diagnostic(_CHECK, f"Does not say what it promises: add a line `-- {needed}:`.")
    order = [label for label in LABELS if label in statement.labels]
    if order != list(statement.labels):
        yield statement.diagnostic(
            _CHECK, f"Has its labels out of order: write {', '.join(order)}.", next(iter(statement.labels.values()))
        )
    for name, label in statement.labels.items():
        if not label.text.endswith("."):
            yield statement.diagnostic(_CHECK, f"Does not end its {name}: put a full stop behind it.", label)


def _lines(statement: Statement) -> Iterator[Diagnostic]:
    in_head = True
    for number, text in statement.source.items():
        comment = text.lstrip().startswith("--")
        in_head = in_head and comment
        found = _LABEL_LIKE.match(text.lstrip("- ")) if in_head else None
        if found and found[1] not in LABELS:
            yield statement.diagnostic(_CHECK, f"Has no label {found[1]}: it is one of {', '.join(LABELS)}.", number)
        if len(text) > _MAX_COLUMNS:
            yield statement.diagnostic(
                _CHECK, f"Has a line of {len(text)} characters: {_MAX_COLUMNS} are enough.", number
            )
        if "\t" in text or (len(text) - len(text.lstrip(" "))) % _INDENT:
            yield statement.diagnostic(_CHECK, f"Is not indented by {_INDENT} spaces for each level: do so.", number)
        if not comment and (re.search(r"--", re.sub(r"'[^']*'", "", text)) or "/*" in text):
            yield statement.diagnostic(
                _CHECK, "Has a comment beside SQL, where :word and apostrophes are read as SQL: give it a line.", number
            )


def _case(statement: Statement) -> Iterator[Diagnostic]:
    for token in scan(statement.sql):
        word = statement.sql[token.start : token.end + 1]
        is_keyword = token.kind in _SHOUTED or word.lower() in _STATEMENT_WORDS
        line = statement.line_of(token.start)
        if is_keyword and word.lower() not in _QUIET and word != word.upper() and word.isalpha():
            yield statement.diagnostic(_CHECK, f"Has the keyword {word}: write it {word.upper()}.", line)
        elif token.name == "IDENT" and word != word.lower() and not word.startswith('"'):
            yield statement.diagnostic(_CHECK, f"Has the name {word}: write it {word.lower()}.", line)


def _stars(statement: Statement) -> Iterator[Diagnostic]:
    for star in statement.nodes(ast.A_Star):
        yield statement.diagnostic(_CHECK, "Takes every column there is, and will be: name those that it needs.", star)


def _inserts(statement: Statement) -> Iterator[Diagnostic]:
    for insert in statement.nodes(ast.InsertStmt):
        if not insert.cols:
            yield statement.diagnostic(
                _CHECK, "Inserts without naming columns: name those that it gives.", insert.relation
            )


def _pages(statement: Statement) -> Iterator[Diagnostic]:
    for select in statement.nodes(ast.SelectStmt):
        if select.limitOffset is not None:
            yield statement.diagnostic(
                _CHECK, "Skips rows by OFFSET, which reads them all: go on from a position.", select.limitOffset
            )
    tree = statement.tree
    handful = "Plan" in statement.labels and "seq scan of" in statement.labels["Plan"].text
    if statement.name.startswith("list_") and isinstance(tree, ast.SelectStmt):
        if not tree.sortClause:
            yield statement.diagnostic(_CHECK, "Lists rows in no order: add ORDER BY.")
        if tree.limitCount is None and not handful:
            yield statement.diagnostic(
                _CHECK, "Lists rows without end: add a LIMIT, or a Plan `seq scan of` a table that stays a handful."
            )


_RULES: Final[tuple[Callable[[Statement], Iterator[Diagnostic]], ...]] = (
    _name,
    _end,
    _comments,
    _lines,
    _case,
    _stars,
    _inserts,
    _pages,
)


def _columns(statement: Statement, subject: Subject) -> Iterator[Diagnostic]:
    """Yield where columns are out of the order of their table, and where what triggers keep is written."""
    for select in statement.nodes(ast.SelectStmt):
        sources = select.fromClause or ()
        if len(sources) == 1 and isinstance(sources[0], ast.RangeVar):
            yield from _in_order(statement, select.targetList, subject.schema.tables.get(sources[0].relname or ""))
    for insert in statement.nodes(ast.InsertStmt):
        conflict = insert.onConflictClause
        written = [insert.cols, conflict.targetList if conflict else None]
        yield from _written(statement, insert, written, subject)
    for update in statement.nodes(ast.UpdateStmt):
        yield from _written(statement, update, [update.targetList], subject)
    for delete in statement.nodes(ast.DeleteStmt):
        yield from _written(statement, delete, [], subject)


def _written(
    statement: Statement,
    node: ast.InsertStmt | ast.UpdateStmt | ast.DeleteStmt,
    written: Sequence[Sequence[ast.Node] | None],
    subject: Subject,
) -> Iterator[Diagnostic]:
    table = subject.schema.tables.get((node.relation and node.relation.relname) or "")
    returned = node.returningClause.exprs if node.returningClause else None
    for targets in (*written, returned):
        yield from _in_order(statement, targets, table)
    for target in (target for targets in written for target in targets or ()):
        if isinstance(target, ast.ResTarget) and target.name in subject.project.kept_by_triggers:
            yield statement.diagnostic(_CHECK, f"Writes {target.name}, which the triggers keep: leave it out.", target)


def _in_order(statement: Statement, targets: Sequence[ast.Node] | None, table: Table | None) -> Iterator[Diagnostic]:
    places = {name: place for place, name in enumerate(table.columns)} if table else {}
    last = -1
    for target in targets or ():
        name = _column_of(target)
        if name in places:
            if places[name] < last:
                yield statement.diagnostic(
                    _CHECK, f"Names {name} out of the order of its table: that is {', '.join(places)}.", target
                )
            last = max(last, places[name])


def _column_of(target: ast.Node) -> str:
    """Return the column that is written, or that is read as it is; nothing where it is neither."""
    if not isinstance(target, ast.ResTarget):
        return ""
    if isinstance(target.val, ast.ColumnRef) and target.val.fields:
        last = target.val.fields[-1]
        return (target.name or last.sval or "") if isinstance(last, ast.String) else ""
    return target.name or ""
