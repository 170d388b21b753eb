"""Ownership: the rows that a statement reaches, as far as they are proved to be limited to those of one owner.

An attribute is limited when in each row of its scope it holds the parameter `:user_id`, or whatever the project calls
it, or NULL where an outer join found nothing. An equality with the parameter, or with another limited attribute, makes
it so, in the AND chain of the WHERE, or of the ON of a join that drops what does not match. So it is when all that it
takes its value from is limited: the output of a sub-select, the value of an INSERT. A reference to a table with an
owner is proved when the column that says whose a row is, is limited: the rows of others might as well not be there.

That rests on two things that the tree cannot show: triggers leave that column alone, and `=` compares it exactly.
"""

from collections.abc import Iterator, Sequence

from pglast import ast

from service.sqlcheck.reading.resolver import UnreadableError, read
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.scopes import Attribute, Parameter, Scope, Term
from service.sqlcheck.reading.statements import Statement


def limits(statement: Statement, schema: DatabaseSchema) -> list[ast.Node]:
    """Return the nodes that limit a statement to one owner, each of them once.

    Returns:
        The predicates (a join where it is USING), and the outputs and values that hand the parameter on. Empty where
        there is nothing to limit, or nothing that does.
    """
    try:
        scope, _ = read(statement.tree, schema)
    except UnreadableError:
        return []
    proof = Ownership(scope, statement.parameters)
    found: dict[int, ast.Node] = {}
    for relation in proof.relations:
        found |= {id(node): node for node in proof.trace(relation.owner)}
    return list(found.values())


class Ownership:
    """The proof of what is limited in a statement.

    Args:
        root: the scope of the statement.
        parameters: the names of its parameters, in the order of their numbers.

    Attributes:
        relations: the references to tables with an owner.
        parameter: the parameter that they are to be limited to, as it is written.
    """

    def __init__(self, root: Scope, parameters: Sequence[str]) -> None:
        scopes = list(root.walk())
        self.relations = [
            relation
            for scope in scopes
            for relation in (*scope.relations, scope.inserted)
            if relation and relation.owner
        ]
        owner = root.schema.owner
        is_about_owners = {relation.table.name for relation in self.relations if relation.table} == {owner.table}
        name = owner.key if is_about_owners and owner.column not in parameters else owner.column
        self.parameter = f":{name}"
        self._number = parameters.index(name) + 1 if name in parameters else None
        self._equalities = [equality for scope in scopes for equality in scope.equalities]
        # What a recursive CTE reads of itself is limited if that makes all that it gives limited: by induction.
        own = {
            Attribute(relation, position)
            for scope in scopes
            for relation in scope.relations
            if relation.itself
            for position in range(len(relation.columns))
        }
        while True:
            self._limited: dict[Attribute, tuple[ast.Node | None, Term]] = dict.fromkeys(own, (None, None))
            self._follow()
            wrong = {attribute for attribute in own if not self._all_hold(attribute)}
            if not wrong:
                break
            own -= wrong

    def holds(self, term: Term) -> bool:
        """Tell whether a term is the parameter, or an attribute that is limited."""
        if isinstance(term, Parameter):
            return term.number == self._number
        if term is None:
            return False
        return term in self._limited or (not term.relation.itself and self._all_hold(term))

    def trace(self, term: Term) -> Iterator[ast.Node]:
        """Yield the nodes that make a term limited, from the term back to the parameter."""
        if not isinstance(term, Attribute) or not self.holds(term):
            return
        if term in self._limited:
            node, other = self._limited[term]
            if node:
                yield node
            yield from self.trace(other)
            return
        for output in term.relation.sources(term.position):
            if output.node:
                yield output.node
            yield from self.trace(output.term)

    def _all_hold(self, attribute: Attribute) -> bool:
        sources = attribute.relation.sources(attribute.position)
        return bool(sources) and all(self.holds(source.term) for source in sources)

    def _follow(self) -> None:
        """Follow the equalities, until they say nothing new."""
        grows = True
        while grows:
            grows = False
            for equality in self._equalities:
                for one, other in (equality.left, equality.right), (equality.right, equality.left):
                    if not isinstance(other, Attribute) or other.relation not in equality.binds or self.holds(other):
                        continue
                    if self.holds(one):
                        self._limited[other] = equality.node, one
                        grows = True
