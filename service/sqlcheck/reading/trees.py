"""The nodes of a parse tree: what is below one, and what its names and its ANDs say."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, SubLinkType
from pglast.stream import RawStream

Node: TypeAlias = Any
"""A node of pglast, whose types say of every member that it may be None, which PostgreSQL's grammar knows better."""

_NO_NAME = "?column?"
_NAMES_OF_LINKS = {SubLinkType.EXISTS_SUBLINK: "exists", SubLinkType.ARRAY_SUBLINK: "array"}


def is_a(node: Node, *kinds: type[ast.Node]) -> bool:
    """Tell whether a node is of one of these classes, without binding mypy to their types."""
    return isinstance(node, kinds)


def children(node: Node, *but: str) -> Iterator[Node]:
    """Yield the nodes right below one, but for what hangs on some of its members."""
    for name in node:
        if name not in but:
            yield from _nodes(getattr(node, name))


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and every one below it, in the order of their members."""
    yield node
    for child in children(node):
        yield from walk(child)


def conjuncts(node: Node) -> Iterator[Node]:
    """Yield what must be true for a condition to be true: the links of its AND chain."""
    if is_a(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        for part in node.args:
            yield from conjuncts(part)
    elif node is not None:
        yield node


def equals(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield each pair that a link of an AND chain says is equal."""
    if not is_a(node, ast.A_Expr) or node.kind != A_Expr_Kind.AEXPR_OP or operator_name(node) != "=":
        return
    left, right = node.lexpr, node.rexpr
    if not (is_a(left, ast.RowExpr) and is_a(right, ast.RowExpr)):
        yield left, right
    elif len(left.args or ()) == len(right.args or ()):
        yield from zip(left.args or (), right.args or (), strict=True)


def assigned_value(value: Node) -> Node:
    """Return the value that goes to one of the columns of `(a, b) = (1, 2)`; any other value is itself."""
    if is_a(value, ast.MultiAssignRef) and is_a(value.source, ast.RowExpr):
        values = value.source.args or ()
        return values[value.colno - 1] if value.colno <= len(values) else value
    return value


def words(names: Iterable[Any] | None) -> tuple[str, ...]:
    """Return the words of a name that may be qualified, or of a list of names."""
    return tuple(str(name.sval) for name in names or () if isinstance(name, ast.String))


def text_of(node: Node) -> str | None:
    """Return the text of a constant that stands there as a text; None of any other expression."""
    return str(node.val.sval) if is_a(node, ast.A_Const) and is_a(node.val, ast.String) else None


def is_type(node: Node, name: str) -> bool:
    """Tell whether the name of a type is that of one of PostgreSQL's own, and not of an array or a set of it."""
    return _own(node.names) == name and not node.arrayBounds and not node.setof


def function_name(call: Node) -> str:
    """Return the name of a function of PostgreSQL's own; empty for one of another schema."""
    return _own(call.funcname)


def operator_name(node: Node) -> str:
    """Return the name of an operator of PostgreSQL's own; empty for one of another schema."""
    return _own(node.name)


def expression_text(node: Node) -> str:
    """Return an expression as SQL; that of a column by itself is its name, without quotes."""
    if is_a(node, ast.ColumnRef) and len(node.fields) == 1:
        return words(node.fields)[0]
    return str(RawStream()(node))


def output_name(value: Node) -> str | None:
    """Return the name that PostgreSQL gives a column which is given none; None where that is not known here."""
    if is_a(value, ast.ColumnRef, ast.FuncCall):
        names = words(value.fields if is_a(value, ast.ColumnRef) else value.funcname)
        return names[-1] if names else None
    if is_a(value, ast.SubLink):
        return _NAMES_OF_LINKS.get(value.subLinkType)
    if is_a(value, ast.TypeCast):
        inner = None if is_a(value.arg, ast.TypeCast) else output_name(value.arg)
        return words(value.typeName.names)[-1] if inner == _NO_NAME else inner
    is_operator = is_a(value, ast.A_Expr) and value.kind != A_Expr_Kind.AEXPR_NULLIF
    if is_operator or is_a(value, ast.ParamRef, ast.A_Const, ast.BoolExpr, ast.NullTest):
        return _NO_NAME
    return "coalesce" if is_a(value, ast.CoalesceExpr) else None


def _own(names: Iterable[Any] | None) -> str:
    *schema, name = words(names)
    return name if schema in ([], ["pg_catalog"]) else ""


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, ast.Node):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _nodes(one)
