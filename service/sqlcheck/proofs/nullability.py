"""Nullability: a small prover over the parse tree. Whatever it does not prove never to be NULL may be NULL."""

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from pglast import ast
from pglast.enums import (
    A_Expr_Kind,
    BoolExprType,
    BoolTestType,
    NullTestType,
    SetOperation,
    SQLValueFunctionOp,
    SubLinkType,
)

from service.sqlcheck.proofs.aggregates import makes_row_of_none
from service.sqlcheck.proofs.cardinality import at_least_one
from service.sqlcheck.proofs.functions import AGGREGATES, NEVER_NULL, STRICT
from service.sqlcheck.reading.scopes import Attribute, Scope
from service.sqlcheck.reading.trees import Node, function_name, is_a, operator_name, text_of

Fact: TypeAlias = Attribute | int
"""A thing that is known not to be NULL: an attribute, or a parameter by its number."""

Facts: TypeAlias = frozenset[Fact]

NOTHING: Facts = frozenset()

# Of operands that are not NULL these never make NULL.
_STRICT_OPERATORS = frozenset(
    {"=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "~", "~*", "!~", "!~*", "@>", "<@"}
)
_OPERAND_KINDS = frozenset(
    {
        A_Expr_Kind.AEXPR_LIKE,
        A_Expr_Kind.AEXPR_ILIKE,
        A_Expr_Kind.AEXPR_BETWEEN,
        A_Expr_Kind.AEXPR_NOT_BETWEEN,
        A_Expr_Kind.AEXPR_IN,
    }
)
_DISTINCT_KINDS = frozenset({A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT})


class Prover:
    """Proves that something is never NULL.

    Args:
        nullable: the numbers of the parameters that may be NULL.
        with_conditions: whether to learn from WHERE: `a` is not NULL where `a = 1` is true of each row.
    """

    def __init__(self, nullable: Collection[int], *, with_conditions: bool = True) -> None:
        self._nullable = nullable
        self._with_conditions = with_conditions

    def without_conditions(self) -> "Prover":
        """Return one that does not learn from WHERE."""
        return Prover(self._nullable, with_conditions=False)

    def column(self, scope: Scope, place: int) -> bool:
        """Tell whether a column that a query gives is never NULL, by its place in the list."""
        if scope.arms:
            arms = scope.arms if scope.node.op == SetOperation.SETOP_UNION else scope.arms[:1]
            return all(self.column(arm, place) for arm in arms)
        if scope.values:
            return all(self.expression(row[place], scope) for row in scope.values)
        if any(is_a(group, ast.GroupingSet) for group in getattr(scope.node, "groupClause", None) or ()):
            return False
        # After a write a row is another, which a trigger may have had its hand in, and an aggregate makes one of none.
        is_written = is_a(scope.node, ast.UpdateStmt, ast.InsertStmt)
        is_another = is_written or makes_row_of_none(scope)
        output, known = scope.outputs[place], NOTHING if is_another else self.facts(scope)
        if output.attribute:
            return self._reference(output.attribute, known)
        return self.expression(output.value, scope, known)

    def described_column(self, scope: Scope, place: int, count: int) -> bool:
        """Tell whether a column is never NULL, of the so many that PostgreSQL says a query gives.

        Where the parse tree has another list than PostgreSQL, nothing is known of any.
        """
        return len(scope.outputs) == count and self.column(scope, place)

    def facts(self, scope: Scope) -> Facts:
        """Return what the conditions of a query make sure of in the rows that it reads."""
        if not self._with_conditions:
            return NOTHING
        return NOTHING.union(*(if_true(one.node, scope) for one in scope.conditions if one.is_sure))

    def expression(self, node: Node, scope: Scope, known: Facts = NOTHING) -> bool:  # noqa: C901, PLR0911 -- one a kind of node
        """Tell whether an expression of a query is never NULL where some things are known not to be."""
        if is_a(node, ast.A_Const):
            return not node.isnull
        if is_a(node, ast.ParamRef):
            return node.number in known or node.number not in self._nullable
        if is_a(node, ast.ColumnRef):
            found = scope.find(node)
            return found is not None and self._reference(found, known)
        if is_a(node, ast.TypeCast, ast.CollateClause, ast.NamedArgExpr):
            return self.expression(node.arg, scope, known)
        if is_a(node, ast.NullTest, ast.BooleanTest, ast.A_ArrayExpr):
            return True
        if is_a(node, ast.BoolExpr, ast.RowExpr):
            return self._all(node.args or (), scope, known)
        if is_a(node, ast.CoalesceExpr, ast.MinMaxExpr):
            return any(self.expression(one, scope, known) for one in node.args)
        if is_a(node, ast.SQLValueFunction):
            return bool(node.op != SQLValueFunctionOp.SVFOP_CURRENT_SCHEMA)
        if is_a(node, ast.A_Expr):
            return self._operation(node, scope, known)
        if is_a(node, ast.CaseExpr):
            return self._case(node, scope, known)
        if is_a(node, ast.FuncCall):
            return self._call(node, scope, known)
        return is_a(node, ast.SubLink) and self._subquery(node, scope)

    def _all(self, nodes: Iterable[Node], scope: Scope, known: Facts) -> bool:
        return all(self.expression(one, scope, known) for one in nodes)

    def _reference(self, attribute: Attribute, known: Facts) -> bool:
        if attribute in known:
            return True
        relation, position = attribute
        # A row of which one column is not NULL is none that an outer join has made up.
        if relation.is_optional and not any(
            isinstance(fact, Attribute) and fact.relation is relation for fact in known
        ):
            return False
        if relation.scope:
            return self.column(relation.scope, position)
        return attribute.column is not None and attribute.column.not_null

    def _operation(self, node: Node, scope: Scope, known: Facts) -> bool:
        if node.kind in _DISTINCT_KINDS:
            return True
        is_strict = node.kind in _OPERAND_KINDS or (
            node.kind == A_Expr_Kind.AEXPR_OP and operator_name(node) in _STRICT_OPERATORS
        )
        return is_strict and self._all(operands(node), scope, known)

    def _case(self, node: Node, scope: Scope, known: Facts) -> bool:
        if node.defresult is None:
            return False
        for when in node.args:
            is_true = NOTHING if node.arg else if_true(when.expr, scope)
            if not self.expression(when.result, scope, known | is_true):
                return False
            known |= NOTHING if node.arg else unless_true(when.expr, scope)
        return self.expression(node.defresult, scope, known)

    def _call(self, node: Node, scope: Scope, known: Facts) -> bool:
        name, args = function_name(node), list[Node](node.args or ())
        if name in NEVER_NULL:
            return True
        if name == "current_setting":  # With a second argument it may be that there is no such setting.
            return len(args) == 1 and self._all(args, scope, known)
        if name == "extract":  # Of infinity most other fields are NULL.
            return text_of(next(iter(args), None)) == "epoch" and self._all(args, scope, known)
        if name in AGGREGATES:
            has_rows = bool(scope.node.groupClause) and not node.agg_filter and not node.over
            return has_rows and self._all(args, scope, known)
        return name in STRICT and self._all(args, scope, known)

    def _subquery(self, link: Node, scope: Scope) -> bool:
        if link.subLinkType == SubLinkType.EXPR_SUBLINK:
            found = scope.subquery(link)
            return at_least_one(found) and self.column(found, 0)
        return link.subLinkType in (SubLinkType.EXISTS_SUBLINK, SubLinkType.ARRAY_SUBLINK)


def operands(node: Node) -> list[Node]:
    """Return the operands of an operator, one of them a list or not."""
    right: Node = node.rexpr
    return [side for side in (node.lexpr, *(right if isinstance(right, tuple) else (right,))) if side is not None]


def if_true(node: Node, scope: Scope) -> Facts:  # noqa: PLR0911 -- one a kind of node
    """Return what is not NULL where a condition is true."""
    if is_a(node, ast.BoolExpr):
        return _of_parts(node, scope, if_true, _if_false, every=BoolExprType.AND_EXPR)
    if is_a(node, ast.NullTest):
        return _of_test(node, scope, NullTestType.IS_NOT_NULL)
    if is_a(node, ast.BooleanTest):
        is_known = node.booltesttype in (BoolTestType.IS_TRUE, BoolTestType.IS_FALSE, BoolTestType.IS_NOT_UNKNOWN)
        return _strict(node.arg, scope) if is_known else NOTHING
    if is_a(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_BETWEEN:
        return _all_strict(operands(node), scope)
    if is_a(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_OP_ANY and operator_name(node) == "=":
        return _strict(node.lexpr, scope)
    if is_a(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_OP and operator_name(node) == "=":
        sides = [side.args or () if is_a(side, ast.RowExpr) else (side,) for side in operands(node)]
        return NOTHING.union(*(_all_strict(side, scope) for side in sides))
    return _strict(node, scope)


def unless_true(node: Node, scope: Scope) -> Facts:
    """Return what is not NULL where a condition is false or NULL."""
    if is_a(node, ast.BoolExpr):
        return _of_parts(node, scope, unless_true, unless_false, every=BoolExprType.OR_EXPR)
    return _of_test(node, scope, NullTestType.IS_NULL)


def unless_false(node: Node, scope: Scope) -> Facts:
    """Return what is not NULL where a condition is true or NULL."""
    if is_a(node, ast.BoolExpr):
        return _of_parts(node, scope, unless_false, unless_true, every=BoolExprType.AND_EXPR)
    return _of_test(node, scope, NullTestType.IS_NOT_NULL)


def _if_false(node: Node, scope: Scope) -> Facts:
    """Return what is not NULL where a condition is false."""
    return unless_true(node, scope) | _strict(node, scope)


_Learn: TypeAlias = Callable[[Node, Scope], Facts]


def _of_parts(node: Node, scope: Scope, learn: _Learn, negated: _Learn, *, every: BoolExprType) -> Facts:
    """Return what is not NULL where an AND, an OR or a NOT has some outcome.

    Args:
        node: the expression.
        scope: its scope.
        learn: says what is not NULL where a part has that outcome.
        negated: the same of the opposite outcome.
        every: the operator that has the outcome only if every part has it; one part is enough for the other.
    """
    if node.boolop == BoolExprType.NOT_EXPR:
        return negated(node.args[0], scope)
    parts = [learn(one, scope) for one in node.args]
    return NOTHING.union(*parts) if node.boolop == every else parts[0].intersection(*parts)


def _of_test(node: Node, scope: Scope, test: NullTestType) -> Facts:
    """Return what is not NULL where an IS NULL is false, or an IS NOT NULL is true; of all else nothing."""
    return _strict(node.arg, scope) if is_a(node, ast.NullTest) and node.nulltesttype == test else NOTHING


def _all_strict(nodes: Iterable[Node], scope: Scope) -> Facts:
    return NOTHING.union(*(_strict(one, scope) for one in nodes))


def _strict(node: Node, scope: Scope) -> Facts:  # noqa: PLR0911 -- one a kind of node
    """Return what makes an expression NULL by being NULL."""
    if is_a(node, ast.ParamRef):
        return frozenset({node.number})
    if is_a(node, ast.ColumnRef):
        found = scope.find(node)
        return frozenset({found}) if found else NOTHING
    if is_a(node, ast.TypeCast, ast.CollateClause, ast.NamedArgExpr):
        return _strict(node.arg, scope)
    if is_a(node, ast.FuncCall):
        is_strict = function_name(node) in STRICT or function_name(node) == "extract"
        return _all_strict(node.args or (), scope) if is_strict else NOTHING
    if not is_a(node, ast.A_Expr):
        return NOTHING
    if node.kind in _OPERAND_KINDS:
        return _strict(node.lexpr, scope)
    # NULL at the end of an array makes an array, and (a, NULL) = (b, c) is false where a is not b.
    sides, operator = operands(node), operator_name(node)
    if node.kind != A_Expr_Kind.AEXPR_OP or operator not in _STRICT_OPERATORS - {"||"}:
        return NOTHING
    if any(is_a(side, ast.RowExpr) for side in sides):
        firsts = [side.args[0] for side in sides if is_a(side, ast.RowExpr) and side.args]
        return _all_strict(firsts, scope) if operator not in ("=", "<>") else NOTHING
    return _all_strict(sides, scope)
