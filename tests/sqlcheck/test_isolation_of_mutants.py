"""Statements that nobody wrote: whatever is proved of one of them, PostgreSQL shows."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any

import psycopg
from pglast import ast, parse_sql
from pglast.enums import BoolExprType, JoinType
from pglast.parser import ParseError
from pglast.stream import RawStream

from service.sqlcheck.checks import isolation
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject
from tests.sharing import on_one_postgresql
from tests.sqlcheck.corpus import CASES, World, corpus, depends_on_bob, is_repeatable, worlds

__all__ = ["corpus", "worlds"]

pytestmark = on_one_postgresql

MUTANTS = 5
"""The number of them for each statement of the corpus."""


def test_what_is_proved_of_a_mutant_is_so(corpus: Subject, worlds: tuple[World, World]) -> None:
    # Each has the shape of a statement above and other words; what PostgreSQL makes of it is the judge.
    proved, harmful = 0, []
    random = Random(5)
    for case in CASES:
        if case.verdict == "refused":
            continue
        for _ in range(MUTANTS):
            statement = _mutant(case.statement, random)
            try:
                if list(isolation.check(replace(corpus, statements=[statement]))):
                    continue
                depends = depends_on_bob(statement, worlds) and is_repeatable(statement, worlds[0])
            except (ParseError, psycopg.Error):
                continue  # It is no SQL.
            proved += 1
            harmful += [statement.sql] if depends else []
    print(f"{proved} mutants proved and run, {len(harmful)} of them depend on another member")  # noqa: T201 -- the guarantee's figure
    assert proved > MUTANTS * 10
    assert harmful == []


def _mutant(original: Statement, random: Random) -> Statement:
    """Return a statement like another, with one to three of its words changed."""
    tree = parse_sql(original.sql)[0]
    for _ in range(random.randint(1, 3)):
        nodes = list(_nodes(tree))
        _mutate(random.choice(nodes), nodes, random)
    return replace(original, sql=RawStream()(tree))


def _mutate(node: Any, nodes: list[Any], random: Random) -> None:  # noqa: C901 -- a case for each kind of node
    """Change a node into what may stand in its place."""
    match node:
        case ast.JoinExpr():
            node.jointype = random.choice(list(JoinType)[:4])
        case ast.BoolExpr():
            node.boolop = random.choice([BoolExprType.AND_EXPR, BoolExprType.OR_EXPR])
        case ast.A_Expr():
            node.name = (ast.String(sval=random.choice(["=", "=", "<>", "<="])),)
        case ast.ColumnRef() | ast.ParamRef():
            other = random.choice([one for one in nodes if isinstance(one, ast.ColumnRef | ast.ParamRef)])
            if type(other) is type(node):
                for name in node:
                    setattr(node, name, getattr(other, name))
        case ast.RangeVar():
            node.relname = random.choice([one.relname for one in nodes if isinstance(one, ast.RangeVar)])
        case ast.Alias():
            node.aliasname = random.choice([one.aliasname for one in nodes if isinstance(one, ast.Alias)])
        case ast.CommonTableExpr():
            node.ctename = random.choice([one.relname for one in nodes if isinstance(one, ast.RangeVar)])
        case ast.String():
            node.sval = random.choice([one.sval for one in nodes if isinstance(one, ast.String)])
        case ast.RangeSubselect():
            node.lateral = not node.lateral
        case ast.SelectStmt() | ast.UpdateStmt() | ast.DeleteStmt() if node.whereClause:
            wheres = [one.whereClause for one in nodes if isinstance(one, ast.SelectStmt) and one.whereClause]
            node.whereClause = deepcopy(random.choice([*wheres, None]))


def _nodes(value: object) -> Iterator[Any]:
    if isinstance(value, tuple):
        for part in value:
            yield from _nodes(part)
    elif isinstance(value, ast.Node):
        yield value
        for name in value:
            yield from _nodes(getattr(value, name))
