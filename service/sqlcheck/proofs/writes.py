"""Writes: the values that a statement stores, each with the column that it goes to."""

from collections.abc import Iterator
from dataclasses import dataclass

from pglast import ast

from service.sqlcheck.proofs.nullability import Prover
from service.sqlcheck.reading.schema import Column, Table
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.trees import Node, assigned_value, is_a


@dataclass(frozen=True, eq=False, slots=True)
class Write:
    """A value that goes to a column.

    Attributes:
        table: the table.
        column: its column.
        node: the value's expression; None where it is a part of a `*`, or of a UNION.
        scope: the scope that the names in the expression are of.
        place: the place of the value in the list of that scope, where it is a SELECT.
    """

    table: Table
    column: Column
    node: Node
    scope: Scope
    place: int | None = None

    @property
    def parameters(self) -> Iterator[Node]:
        """The parameters that may be written as they are."""
        return _passed_on(self.node)

    def is_never_null(self, prover: Prover) -> bool:
        """Tell whether the value is proved never to be NULL."""
        if self.place is not None:
            return prover.column(self.scope, self.place)
        return prover.expression(self.node, self.scope, prover.facts(self.scope))


def writes(scope: Scope) -> Iterator[Write]:
    """Yield each write of a query by itself, and not of those inside it; a DEFAULT is no value."""
    target, node = scope.target, scope.node
    if target is None or target.table is None:
        return
    table = target.table
    if is_a(node, ast.InsertStmt):
        names = [column.name for column in node.cols or ()] or list(table.columns)
        yield from _inserted(scope, table, names)
    conflict = getattr(node, "onConflictClause", None)
    assigned = conflict.targetList if conflict else getattr(node, "targetList", None)
    for one in assigned or ():
        # A part of an array or of a composite leaves the rest as it is.
        if not one.indirection and not is_a(one.val, ast.SetToDefault):
            yield Write(table, table.columns[one.name], assigned_value(one.val), scope)


def _inserted(scope: Scope, table: Table, names: list[str]) -> Iterator[Write]:
    source = scope.source
    if source is None:  # DEFAULT VALUES
        return
    for row in source.values:
        for name, value in zip(names, row, strict=False):
            if not is_a(value, ast.SetToDefault):
                yield Write(table, table.columns[name], value, source)
    if not source.values:
        for place, (name, output) in enumerate(zip(names, source.outputs, strict=False)):
            yield Write(table, table.columns[name], output.value, source, place)


def _passed_on(node: Node) -> Iterator[Node]:
    if is_a(node, ast.ParamRef):
        yield node
    elif is_a(node, ast.TypeCast, ast.CollateClause):
        yield from _passed_on(node.arg)
    elif is_a(node, ast.CoalesceExpr, ast.MinMaxExpr):
        for one in node.args:
            yield from _passed_on(one)
    elif is_a(node, ast.CaseExpr):
        for one in (*(when.result for when in node.args), node.defresult):
            yield from _passed_on(one)
