"""SQL in pieces, each with what a reader should see that it is; PostgreSQL's own scanner tells them apart."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pglast import scan
from pglast.parser import Token

_KINDS: Final = {
    "BCONST": "number",
    "C_COMMENT": "comment",
    "FCONST": "number",
    "ICONST": "number",
    "SCONST": "string",
    "SQL_COMMENT": "comment",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a statement. `kind` is comment, function, keyword, number, parameter, string, table, or nothing."""

    text: str
    kind: str


def pieces(sql: str, tables: Collection[str]) -> list[Piece]:
    """Return a statement in pieces, which together are the statement.

    Args:
        sql: the statement, with `:names` for its parameters.
        tables: the tables that it uses.
    """
    return list(_pieces(sql, tables))


def _pieces(sql: str, tables: Collection[str]) -> Iterator[Piece]:
    found = scan(sql)
    end = 0
    colon: Token | None = None
    for token, following in pairwise([*found, None]):
        if token is None:
            break
        if token.name == "ASCII_58" and following and following.start == token.end + 1:
            colon = token  # of a parameter, whose name comes next
            continue
        start = colon.start if colon else token.start
        if start > end:
            yield Piece(sql[end:start], "")
        end = token.end + 1
        kind = "parameter" if colon else _kind(token, sql, tables)
        yield Piece(sql[start:end], kind)
        colon = None
    if end < len(sql):
        yield Piece(sql[end:], "")


def _kind(token: Token, sql: str, tables: Collection[str]) -> str:
    text, after = sql[token.start : token.end + 1], sql[token.end + 1 : token.end + 2]
    if token.name in _KINDS:
        return _KINDS[token.name]
    if token.kind != "NO_KEYWORD" and text.isupper():
        return "keyword"
    if after == "(" and text.isidentifier():
        return "function"
    # A column may be called what a table is.
    return "table" if text in tables and sql[max(token.start - 1, 0)] != "." else ""
