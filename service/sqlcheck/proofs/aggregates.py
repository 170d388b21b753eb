"""Aggregates: what a SELECT makes of the rows that its conditions leave it, one row of all or one of each."""

from collections.abc import Callable

from pglast import ast

from service.sqlcheck.proofs.functions import AGGREGATES, SCALAR
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.trees import Node, children, function_name, is_a


def makes_row_of_none(scope: Scope) -> bool:
    """Tell whether a SELECT may give a row though its conditions leave it none, as one with an aggregate does."""
    node = scope.node
    if not scope.is_select:
        return False
    if node.groupClause:
        return any(is_a(group, ast.GroupingSet) for group in node.groupClause)
    parts = children(node, "withClause", "fromClause", "whereClause", "larg", "rarg")
    return node.havingClause is not None or any(_calls(part, _may_aggregate) for part in parts)


def is_aggregate(scope: Scope) -> bool:
    """Tell whether a SELECT makes one row of all."""
    node = scope.node
    if scope.arms or scope.values or node.groupClause:
        return False
    return any(_calls(target, _is_aggregating) for target in (*scope.returned, node.havingClause) if target)


def _is_aggregating(call: Node) -> bool:
    return function_name(call) in AGGREGATES and call.over is None


def _may_aggregate(call: Node) -> bool:
    return call.over is None and function_name(call) not in SCALAR - AGGREGATES


def gives_one_each(scope: Scope) -> bool:
    """Tell whether no function in the list of a SELECT can give a set."""
    return not any(_calls(target, lambda call: function_name(call) not in SCALAR) for target in scope.returned)


def _calls(node: Node, is_such: Callable[[Node], bool]) -> bool:
    """Tell whether an expression calls such a function, not counting its sub-queries."""
    if is_a(node, ast.SubLink):
        return False
    return (is_a(node, ast.FuncCall) and is_such(node)) or any(_calls(child, is_such) for child in children(node))
