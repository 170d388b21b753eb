"""The files of named queries, read: each query that they hold, and every mistake that keeps one from being loaded."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from aiosql import SQLParseException
from aiosql.query_loader import QueryLoader
from aiosql.types import QueryDatum, SQLOperationType

OPERATORS = {SQLOperationType.SELECT: "", SQLOperationType.SELECT_ONE: "^", SQLOperationType.SELECT_VALUE: "$"}
"""The operators that are in use, and what aiosql calls them."""

_HEADER = re.compile(r"^-- name: *(?P<name>[\w-]*)", re.MULTILINE)
_HEADER_LIKE = re.compile(r"^[^\S\n]*--\s*name\s*:", re.MULTILINE | re.IGNORECASE)
# Characters that end a line, or stand for nothing, to Python, but not to PostgreSQL and to editors.
_ODD = re.compile("[\0\v\f\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)")
# A number in the place of a name, and first what may hold one that is none: comments, texts, and names in quotes.
_NUMBERED = re.compile(
    r"""--[^\n]*|/\*.*?\*/|\b[Ee]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"[^"]*"|\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$"""
    r"""|(?<![\w$])\$(?P<number>\d+)""",
    re.DOTALL,
)
# The faults that aiosql finds in a query, in its words, and what to do about each.
_ADVICE = (
    (
        r"invalid query name|list index out of range",
        "Has a name that cannot be read: write `-- name: verb_words(parameter, …)^`, with $ for one value, or nothing.",
    ),
    (
        r"missing mandatory parameter list",
        "Does not list its parameters: write them in brackets behind its name, and () where it has none.",
    ),
    (r"empty (query|sql)", "Has no SQL: write its statement below its comment."),
    (
        r"undeclared parameter name in query \w+: (?P<name>\w+)",
        "Uses :{name}, which its name does not list: add it there, or correct it.",
    ),
    (
        r"unused declared parameter in query \w+: \[(?P<name>.*)\]",
        "Lists {name}, which its statement does not use: remove that, or use it.",
    ),
)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """A place in a file of named queries that keeps the file from being loaded.

    Attributes:
        file: the file.
        line: the line, from 1.
        name: the name of the query; empty where it is none's.
        message: one sentence on what is wrong, and what to do.
    """

    file: Path
    line: int
    name: str
    message: str

    def __str__(self) -> str:
        """Write it as a compiler would: `sql/tasks.sql:14 delete_task: …`."""
        place = f"{self.file.parent.name}/{self.file.name}:{self.line}"
        return f"{place} {self.name}: {self.message}" if self.name else f"{place}: {self.message}"


_Read: TypeAlias = QueryDatum | Mistake


class QueryError(Exception):
    """Named queries cannot be loaded. The message is one line about the first mistake.

    Attributes:
        mistakes: every mistake.
        queries: those queries that could be read.
    """

    def __init__(self, mistakes: Sequence[Mistake], queries: Sequence["Query"] = ()) -> None:
        more = f" ({len(mistakes) - 1} more: `sql check` tells of all.)" if len(mistakes) > 1 else ""
        super().__init__(f"{mistakes[0]}{more}")
        self.mistakes = mistakes
        self.queries = queries


@dataclass(frozen=True, slots=True)
class Query:
    """A query, as its file has it.

    Attributes:
        name: its name.
        operator: `^` one row or none, `$` one value, nothing a list.
        declared: its parameters as they stand behind the name.
        parameters: the same in the order of their numbers: `:user_id` is `$1` where it comes first.
        sql: the statement as it runs, with numbers for names, and its tag.
        about: the comment below its name.
        file, line: where its name stands.
    """

    name: str
    operator: str
    declared: tuple[str, ...]
    parameters: tuple[str, ...]
    sql: str
    about: str
    file: Path
    line: int


def read_files(folder: Path, adapter: Any) -> tuple[list[QueryDatum], list[Mistake]]:  # noqa: ANN401 -- aiosql's
    """Read every query of a folder for an adapter of aiosql, in the order of the files and of the lines.

    Returns:
        The queries that can be loaded, and the mistakes of the others.
    """
    loader = QueryLoader(adapter, record_classes=None)
    found: dict[str, QueryDatum] = {}
    mistakes: list[Mistake] = []
    files = sorted(folder.glob("*.sql"))
    if not files:
        mistakes.append(Mistake(folder, 1, "", "Has no file of queries: name the folder that has."))
    for file in files:
        for one in _read_file(loader, file):
            if isinstance(one, Mistake):
                mistakes.append(one)
            elif one.query_name in found:
                other, line = found[one.query_name].floc
                told = f"Has a name that is taken by {Path(other).name}:{line}: give it another."
                mistakes.append(Mistake(file, one.floc[1], one.query_name, told))
            else:
                found[one.query_name] = one
    return list(found.values()), mistakes


def _read_file(loader: QueryLoader, file: Path) -> Iterator[_Read]:
    """Yield each query of a file, and each mistake in it, by the lines on which they stand."""
    try:
        content = file.read_bytes()
        text = content.decode()
    except OSError as error:
        yield Mistake(file, 1, "", f"Cannot be read: {error.strerror}.")
    except UnicodeDecodeError as error:
        yield Mistake(file, _line(content[: error.start]), "", "Is not UTF-8 here: save the file so.")
    else:
        if odd := _ODD.search(text):
            told = f"Has the character U+{ord(odd[0]):04X}, which is no line break to everybody: write another."
            yield Mistake(file, _line(text[: odd.start()]), "", told)
        else:
            yield from _outside(file, text)
            yield from _queries(loader, file, text)


def _outside(file: Path, text: str) -> Iterator[Mistake]:
    """Yield the mistakes outside of queries, which aiosql passes over: a line like a name, and SQL above the first."""
    for like in _HEADER_LIKE.finditer(text):
        if like[0] != "-- name:":
            told = "Resembles a name, and is not read as one: begin the line with `-- name: `."
            yield Mistake(file, _line(text[: like.start()]), "", told)
    first = _HEADER.search(text)
    before = text[: first.start()] if first else text
    for number, line in enumerate(before.removeprefix("\ufeff").splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("--"):
            yield Mistake(file, number, "", "Stands under no name: write `-- name: verb_words(parameter, …)` above it.")
            return


def _queries(loader: QueryLoader, file: Path, text: str) -> Iterator[_Read]:
    headers = list(_HEADER.finditer(text))
    starts = [header.start() for header in headers]
    for header, (start, end) in zip(headers, pairwise([*starts, len(text)]), strict=True):
        name, line = header["name"], _line(text[:start])
        if numbered := next((one for one in _NUMBERED.finditer(text, start, end) if one["number"]), None):
            told = f"Uses ${numbered['number']}, which no name stands for: write :name, and list that behind the name."
            yield Mistake(file, _line(text[: numbered.start()]), name, told)
            continue
        try:
            query, *others = loader.load_query_data_from_sql(text[start:end], [], file)
        except (SQLParseException, IndexError) as error:  # the latter where a file ends in place of a name
            yield Mistake(file, line, name, _advice(str(error)))
            continue
        if others:
            yield Mistake(file, line, name, "Has a second `-- name:` in a line: begin a line with it.")
        elif query.operation_type not in OPERATORS:
            told = "Has an operator that is not in use here: write ^ (one row), $ (one value) or nothing (a list)."
            yield Mistake(file, line, name, told)
        else:
            yield query._replace(floc=(file, line))


def _line(before: str | bytes) -> int:
    """Return the number of the line that a text leads to."""
    return (before.count("\n") if isinstance(before, str) else before.count(b"\n")) + 1


def _advice(said: str) -> str:
    """Return the advice on a fault that aiosql has found in a query."""
    for pattern, advice in _ADVICE:
        if found := re.search(pattern, said):
            return advice.format(**found.groupdict()).replace("'", "")
    return f"Cannot be loaded: {' '.join(said.split())}."
