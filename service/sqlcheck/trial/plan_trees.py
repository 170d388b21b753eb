"""Plans as trees: what EXPLAIN tells of a plan, in the words of `Plan:`, and of the condition that enters an index."""

import re
from collections.abc import Iterator
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind
from pglast.parser import ParseError

from service.sqlcheck.reading.trees import expression_text
from service.sqlcheck.trial.execution import PlanNode

INDEX_SCANS = frozenset({"Index Scan", "Index Only Scan", "Bitmap Index Scan"})
"""The nodes that read an index."""

_TID_SCANS = frozenset({"Tid Scan", "Tid Range Scan"})
_SORTS = frozenset({"Sort", "Incremental Sort"})
# What reads the table stands below them.
_ABOVE_A_SCAN = frozenset({"ModifyTable", "Bitmap Heap Scan"})
# What EXPLAIN writes for a value from elsewhere in the plan; before PostgreSQL 17 that is a parameter like any.
_SUB_PLAN = re.compile(r"\((?:Init|Sub)Plan \d+\)(?:\.col\d+)?")


def clauses_of(plan: PlanNode) -> list[str]:
    """Return what a plan does, in the clauses of `Plan:` and in the order in which EXPLAIN writes it."""
    found = list(dict.fromkeys(filter(None, map(_clause_of, nodes(plan)))))
    return found if set(found) - {"sort"} else ["no table", *found]


def nodes(plan: PlanNode) -> Iterator[PlanNode]:
    """Yield every node of a plan, from the top."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def conditions(text: str | None) -> Iterator[tuple[str, bool]]:
    """Yield the column that each part of an index condition is about, and whether it is compared by `=`.

    PostgreSQL writes the column of the index on the left, and without its table. Where it puts a cast around it, as it
    does to compare a varchar, both the cast and the column are yielded. What cannot be read yields nothing.
    """
    if text is None:
        return
    try:
        statement: Any = parse_sql(f"SELECT {_SUB_PLAN.sub('$0', text)}")[0].stmt
    except ParseError:
        return
    condition = statement.targetList[0].val
    parts = condition.args if isinstance(condition, ast.BoolExpr) else (condition,)
    for part in parts or ():
        match part:
            case ast.A_Expr(lexpr=ast.RowExpr(args=[column, *_])) | ast.NullTest(arg=column):
                is_equality = False
            case ast.A_Expr(kind=kind, name=[ast.String(sval=name)], lexpr=column):
                is_equality = (kind, name) == (A_Expr_Kind.AEXPR_OP, "=")
            case _:
                continue
        yield expression_text(column), is_equality
        if isinstance(column, ast.TypeCast):
            yield expression_text(column.arg), is_equality


def _clause_of(node: PlanNode) -> str | None:
    """Return what one node does, if there is a clause for it."""
    kind = node["Node Type"]
    if kind in INDEX_SCANS:
        return str(node["Index Name"])
    if kind in _SORTS:
        return "sort"
    if kind in _TID_SCANS:
        return "tid scan"
    if kind == "ModifyTable" and node["Operation"] == "Insert":
        return "insert"
    if "Relation Name" in node and kind not in _ABOVE_A_SCAN:
        # Any other scan but a Seq Scan is something that cannot be promised.
        return f"{kind.lower()} of {node['Relation Name']}"
    return None
