"""Syntax: a file is SQL, to PostgreSQL and to yoyo."""

from collections.abc import Iterator

import sqlparse
from pglast import parse_sql
from pglast.parser import ParseError

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield where PostgreSQL cannot read a file, or where yoyo, which splits it by sqlparse, cuts a statement."""
    if script.unreadable:
        yield script.unreadable
        return
    end = 0
    for piece in sqlparse.split(script.text):
        end = script.text.index(piece, end) + len(piece)
        try:
            parse_sql(piece)
        except ParseError:
            yield script.diagnostic(
                script.line_of(end),
                "Is cut through here by yoyo, which takes this for the end of a statement: write it otherwise, such as"
                " without a comment in a comment.",
            )
            return
