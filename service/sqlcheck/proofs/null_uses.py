"""Uses of NULL: conditions that find nothing where a parameter is NULL, and tests for a NULL that never comes.

A condition that compares with NULL is neither true nor false, and finds nothing, so IS NULL has to come before it.
Where a value is only handed on, NULL is one, and the column that it goes to says whether it may.
"""

from collections.abc import Callable, Iterator

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, NullTestType, SubLinkType

from service.sqlcheck.proofs.nullability import NOTHING, Facts, Prover, if_true, unless_false, unless_true
from service.sqlcheck.proofs.writes import writes
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.trees import Node, children, function_name, is_a, words

NullUse = tuple[Node, str]
"""A node, and a sentence on what is wrong there and what to do."""


class NullUses:
    """Finds the places of a statement that do not do right by NULL.

    Args:
        prover: the prover, which knows the parameters that may be NULL.
        named: tells the name of a parameter by its number.
    """

    def __init__(self, prover: Prover, named: Callable[[int], str]) -> None:
        self._prover = prover
        self._named = named
        # WHERE may rule NULL out of what is tested elsewhere, and rightly so.
        self._declared = prover.without_conditions()

    def find(self, scope: Scope, known: Facts = NOTHING, *, in_condition: bool = False) -> Iterator[NullUse]:
        """Yield what is wrong in a query and in all that it is put together from.

        Args:
            scope: the scope of the query.
            known: all that is not NULL where the query stands.
            in_condition: whether something has to be true of the rows that it gives.
        """
        for part in scope:
            yield from self._in_part(part, known, in_condition=in_condition and part is scope)
            for write in writes(part):
                if write.column.not_null and not write.is_never_null(self._prover):
                    yield write.node, self._unwritable(write.node, f"{write.table.name}.{write.column.name}")

    def _in_part(self, scope: Scope, known: Facts, *, in_condition: bool) -> Iterator[NullUse]:
        node = scope.node
        for name in ("limitCount", "limitOffset", "havingClause", "whereClause"):
            if getattr(node, name, None) is not None:
                yield from self._condition(getattr(node, name), scope, known)
        for quals in _join_conditions(
            (*(getattr(node, "fromClause", None) or ()), *(getattr(node, "usingClause", None) or ()))
        ):
            yield from self._condition(quals, scope, known)
        conflict = getattr(node, "onConflictClause", None)
        if conflict and conflict.whereClause:
            yield from self._condition(conflict.whereClause, scope, known)
        values = [target.val for target in (*scope.returned, *_assignments(node))] + [
            value for row in scope.values for value in row
        ]
        values += [sort.node for sort in getattr(node, "sortClause", None) or ()]
        for value in values:
            yield from self._condition(value, scope, known) if in_condition else self._value(value, scope, known)

    def _value(self, node: Node, scope: Scope, known: Facts) -> Iterator[NullUse]:
        """Look at what is handed on: only conditions in it are wrong to be NULL."""
        yield from self._tests(node, scope)
        if is_a(node, ast.CaseExpr):
            yield from self._case(node, scope, known, self._value)
        elif is_a(node, ast.SubLink):
            yield from self.find(scope.subquery(node), known)
        elif is_a(node, ast.FuncCall) and node.agg_filter:
            yield from self._condition(node.agg_filter, scope, known)
        elif not is_a(node, ast.ParamRef):
            for child in children(node):
                yield from self._value(child, scope, known)

    def _condition(  # noqa: C901, PLR0912 -- one a kind of node
        self, node: Node, scope: Scope, known: Facts
    ) -> Iterator[NullUse]:
        """Look at what has to be true for something to be found: a parameter that is NULL here finds nothing."""
        yield from self._tests(node, scope)
        if is_a(node, ast.ParamRef):
            if not self._prover.expression(node, scope, known):
                yield node, self._unguarded(node.number)
        elif is_a(node, ast.BoolExpr) and node.boolop != BoolExprType.NOT_EXPR:
            # A side of OR decides only where no other is true, and one of AND where none is false.
            learn = unless_true if node.boolop == BoolExprType.OR_EXPR else unless_false
            for one in node.args:
                others = (learn(other, scope) for other in node.args if other is not one)
                yield from self._condition(one, scope, known.union(*others))
        elif is_a(node, ast.CaseExpr):
            yield from self._case(node, scope, known, self._condition)
        elif _copes_with_null(node) or (is_a(node, ast.CoalesceExpr) and self._prover.expression(node, scope, known)):
            for child in children(node):
                yield from self._value(child, scope, known)
        elif is_a(node, ast.CoalesceExpr):
            *firsts, last = node.args
            for one in firsts:
                yield from self._value(one, scope, known)
            yield from self._condition(last, scope, known)
        elif is_a(node, ast.SubLink):
            is_compared = node.subLinkType not in (SubLinkType.EXISTS_SUBLINK, SubLinkType.ARRAY_SUBLINK)
            yield from self.find(scope.subquery(node), known, in_condition=is_compared)
            if node.testexpr:
                yield from self._condition(node.testexpr, scope, known)
        else:
            for child in children(node):
                yield from self._condition(child, scope, known)

    def _case(
        self, node: Node, scope: Scope, known: Facts, look: Callable[[Node, Scope, Facts], Iterator[NullUse]]
    ) -> Iterator[NullUse]:
        if node.arg:
            yield from self._condition(node.arg, scope, known)
        for when in node.args:
            yield from self._condition(when.expr, scope, known)
            yield from look(when.result, scope, known if node.arg else known | if_true(when.expr, scope))
            known |= NOTHING if node.arg else unless_true(when.expr, scope)
        if node.defresult:
            yield from look(node.defresult, scope, known)

    def _tests(self, node: Node, scope: Scope) -> Iterator[NullUse]:
        """Yield a test for a NULL that never comes."""
        if is_a(node, ast.NullTest):
            if self._declared.expression(node.arg, scope):
                test = "IS NULL" if node.nulltesttype == NullTestType.IS_NULL else "IS NOT NULL"
                yield node, f"Asks with {test} of {self._called(node.arg)}, which never is: remove the test."
        elif is_a(node, ast.CoalesceExpr):
            for one in node.args[:-1]:
                if self._declared.expression(one, scope):
                    told = f"Takes something else with coalesce() where {self._called(one)} is NULL, which it never is"
                    yield node, f"{told}: take just that."

    def _unguarded(self, number: int) -> str:
        return (
            f"Parameter {self._named(number)} may be NULL, and then this is not true of any row: write"
            " `… IS NULL OR …` before it, or let it not be NULL."
        )

    def _unwritable(self, node: Node, column: str) -> str:
        return (
            f"Writes {self._called(node)}, which may be NULL, into {column}, which is NOT NULL: give something in its"
            " place, or let it not be NULL."
        )

    def _called(self, node: Node) -> str:
        if is_a(node, ast.ParamRef):
            return f"parameter {self._named(node.number)}"
        if is_a(node, ast.TypeCast, ast.CollateClause):
            return self._called(node.arg)
        if is_a(node, ast.ColumnRef):
            return f"column {name[0]}" if (name := words(node.fields[-1:])) else "a whole row"
        return f"{function_name(node)}()" if is_a(node, ast.FuncCall) else "an expression"


def _copes_with_null(node: Node) -> bool:
    """Tell whether an operator says something definite of NULL."""
    return is_a(node, ast.NullTest, ast.BooleanTest) or (
        is_a(node, ast.A_Expr) and node.kind in (A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT)
    )


def _join_conditions(sources: tuple[Node, ...]) -> Iterator[Node]:
    for source in sources:
        if is_a(source, ast.JoinExpr):
            yield from _join_conditions((source.larg, source.rarg))
            if source.quals:
                yield source.quals


def _assignments(node: Node) -> Iterator[Node]:
    """Yield what UPDATE, or ON CONFLICT DO UPDATE, sets."""
    conflict = getattr(node, "onConflictClause", None)
    if conflict:
        yield from conflict.targetList or ()
    elif is_a(node, ast.UpdateStmt):
        yield from node.targetList
