"""Functional dependencies: which attributes of a query have one value where others have."""

from collections.abc import Iterator
from dataclasses import dataclass

from pglast import ast
from pglast.enums import A_Expr_Kind, SubLinkType

from service.sqlcheck.proofs.aggregates import makes_row_of_none
from service.sqlcheck.proofs.functions import SCALAR, VOLATILE
from service.sqlcheck.reading.scopes import Attribute, Relation, Scope
from service.sqlcheck.reading.trees import Node, children, equals, function_name, is_a, operator_name


@dataclass(frozen=True, slots=True)
class Dependency:
    """A functional dependency: an attribute that has one value where the `sources` have one each.

    Attributes:
        attribute: the attribute.
        sources: the attributes that it depends on; none where it is equal to a constant or a parameter.
        narrows: the relations in whose rows that is so.
        is_sure: whether it is so in each row that comes out.
    """

    attribute: Attribute
    sources: frozenset[Attribute]
    narrows: frozenset[Relation]
    is_sure: bool


def dependencies(scope: Scope) -> Iterator[Dependency]:
    """Yield the dependencies that the conditions of a query make."""
    for condition in scope.conditions:
        for left, right in (*equals(condition.node), *_only_one(condition.node)):
            for one, other in ((left, right), (right, left)):
                attribute, sources = scope.find(one), _sources(other, scope)
                if attribute and sources is not None:
                    yield Dependency(attribute, sources, condition.binds, condition.is_sure)
    for equality in scope.equalities:  # Those of a USING, too.
        for one, other in ((equality.left, equality.right), (equality.right, equality.left)):
            if isinstance(one, Attribute) and isinstance(other, Attribute):
                yield Dependency(one, frozenset({other}), equality.binds, is_sure=False)
    for relation in scope.relations:
        # A LATERAL sub-select speaks of the relations before it.
        if relation.scope and not (relation.is_optional or relation.scope.arms or makes_row_of_none(relation.scope)):
            yield from _said_of_others(relation, relation.scope, frozenset(scope.relations))


def _said_of_others(relation: Relation, inner: Scope, relations: frozenset[Relation]) -> Iterator[Dependency]:
    """Yield what the scope of a relation makes sure of for the relations beside it."""
    shown = {output.attribute: place for place, output in enumerate(inner.outputs) if output.attribute}
    for one in dependencies(inner):
        if one.is_sure and one.attribute.relation in relations and all(source in shown for source in one.sources):
            sources = frozenset(Attribute(relation, shown[source]) for source in one.sources)
            yield Dependency(one.attribute, sources, relations, is_sure=True)


def _only_one(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the pair that `a IN (b)` says is equal."""
    is_in = is_a(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_IN and operator_name(node) == "="
    if is_in and len(node.rexpr) == 1:
        yield node.lexpr, node.rexpr[0]


def _sources(node: Node, scope: Scope) -> frozenset[Attribute] | None:
    """Return the attributes that alone decide an expression; None where something else does as well."""
    if is_a(node, ast.SubLink):
        return _sources_of_subquery(node, scope)
    if is_a(node, ast.FuncCall):
        name = function_name(node)
        if name in VOLATILE or name not in SCALAR:
            return None
    if is_a(node, ast.ColumnRef):
        found = scope.find(node)
        return frozenset({found}) if found else None
    below = [_sources(child, scope) for child in children(node)]
    return None if None in below else frozenset().union(*(one for one in below if one is not None))


def _sources_of_subquery(link: Node, scope: Scope) -> frozenset[Attribute] | None:
    """Return the attributes further out that a (SELECT …) depends on; None where it depends on those beside it, too."""
    if link.subLinkType != SubLinkType.EXPR_SUBLINK:
        return None
    found, around = scope.subquery(link).named(), scope.around()
    if None in found or any(one.relation in scope.relations for one in found if one):
        return None
    return frozenset(one for one in found if one and one.relation in around)
