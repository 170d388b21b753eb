"""The resolver: it makes scopes of the parse tree of a statement, and finds what names mean as PostgreSQL does.

What a statement reads is in `selects`; here is what it writes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pglast import ast
from pglast.enums import OnConflictAction

from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.scopes import Attribute, Equality, Names, Output, Relation, Scope
from service.sqlcheck.reading.selects import Ctes, SelectResolver, Unsupported
from service.sqlcheck.reading.trees import Node, assigned_value, children, is_a


class UnreadableError(Exception):
    """A statement is of a kind of which nothing is known here; `node` is where it stands."""

    def __init__(self, node: Node) -> None:
        super().__init__(type(node).__name__)
        self.node = node


def read(tree: Node, schema: DatabaseSchema) -> tuple[Scope, list[Unsupported]]:
    """Make the scope of a SELECT, INSERT, UPDATE or DELETE, with those inside it.

    Returns:
        The scope of the statement, and what of it is not followed: of that nothing is known.

    Raises:
        UnreadableError: it is of another kind, or such a one stands in it.
    """
    resolver = _Resolver(schema)
    return resolver.scope(tree, None, {}), resolver.unsupported


class _Resolver(SelectResolver):
    """Makes scopes of one statement."""

    def scope(self, node: Node, outer: Names | None, ctes: Ctes) -> Scope:
        """Make the scope of a query, within what is around it.

        Raises:
            UnreadableError: it is of a kind of which nothing is known.
        """
        match node:
            case ast.SelectStmt():
                return self._select(node, outer, ctes)
            case ast.InsertStmt():
                return self._insert(node, ctes)
            case ast.UpdateStmt():
                return self._change(node, node.fromClause, ctes)
            case ast.DeleteStmt():
                return self._change(node, node.usingClause, ctes)
        raise UnreadableError(node)

    # These see nothing of what is around them but CTEs.

    def _insert(self, node: ast.InsertStmt, ctes: Ctes) -> Scope:
        scope = Scope(node, self._schema)
        ctes = self._with(node.withClause, scope, None, ctes)
        target = self._target(node.relation)
        written = _assigned(target, node.cols) if node.cols else [one for _, one in Names.of(target).columns]
        given: dict[int, tuple[Output, ...]] = {}
        if node.selectStmt:
            source = scope.source = self.scope(node.selectStmt, None, ctes)
            scope.scopes.append(source)
            for place, attribute in enumerate(written):
                if attribute and source.is_complete and all(place < len(row) for row in source.rows):
                    given[attribute.position] = tuple(row[place] for row in source.rows)
        scope.inserted = replace(target, name="excluded", given=given)
        self._expressions(scope, node.cols or (), Names(), ctes)
        if node.onConflictClause:
            given = self._on_conflict(scope, node.onConflictClause, target, scope.inserted, ctes)
        returned = replace(target, given=given)
        self._return(scope, node.returningClause, Names.of(returned), ctes)
        return scope

    def _on_conflict(
        self, scope: Scope, clause: ast.OnConflictClause, target: Relation, inserted: Relation, ctes: Ctes
    ) -> dict[int, tuple[Output, ...]]:
        """Read what becomes of a row that is there already, and return the values that RETURNING may then give."""
        names = Names.of(target) + Names.of(inserted)
        given = dict(inserted.given)
        if clause.action == OnConflictAction.ONCONFLICT_UPDATE:
            scope.relations.append(target)
            scope.changed = target
            scope.conflict = self._conflict_columns(clause.infer, target)
            for name in scope.conflict:
                terms = target.attribute(name), inserted.attribute(name)
                scope.equalities.append(Equality(*terms, clause, frozenset({target})))
            self._filter(scope, clause.whereClause, names, frozenset({target}), is_where=True)
            self._assign(scope, target, clause.targetList, names)
            kept = scope.written(target)
            given = {position: given.get(position, (Output(None, None, None),)) + kept[position] for position in kept}
        self._expressions(scope, children(clause), names, ctes)
        return given

    def _conflict_columns(self, infer: ast.InferClause | None, target: Relation) -> tuple[str, ...]:
        """Return the columns in which a row that is in the way has the same values as the row that is inserted."""
        if not infer or not target.table:
            return ()
        if infer.conname:
            constraint = target.table.constraints.get(str(infer.conname))
            return constraint.columns if constraint else ()
        elements: Iterable[Node] = infer.indexElems or ()
        return tuple(str(one.name) for one in elements if one.name and not one.collation and not one.opclass)

    def _change(self, node: Node, sources: Node, ctes: Ctes) -> Scope:
        """Read an UPDATE or a DELETE."""
        scope = Scope(node, self._schema)
        ctes = self._with(node.withClause, scope, None, ctes)
        target = returned = scope.changed = self._target(node.relation)
        scope.relations.append(target)
        others = self._from(scope, sources, None, ctes)
        names = Names.of(target) + others
        self._filter(scope, node.whereClause, names, frozenset(scope.relations), is_where=True)
        if is_a(node, ast.UpdateStmt):
            self._assign(scope, target, node.targetList, names)
            returned = replace(target, given=scope.written(target))
        parts = children(node, "relation", "withClause", "fromClause", "usingClause", "returningClause")
        self._expressions(scope, parts, names, ctes)
        self._return(scope, node.returningClause, Names.of(returned) + others, ctes)
        return scope

    def _assign(self, scope: Scope, relation: Relation, targets: Node, names: Names) -> None:
        """Read the assignments of a SET."""
        for target, attribute in zip(targets or (), _assigned(relation, targets), strict=True):
            if attribute:
                value = names.term(assigned_value(target.val))
                scope.assignments[attribute.position] = Output(target.name, value, target)
            else:
                self._unsupported(target, f"An assignment to a part of {target.name} is not followed. Assign it whole.")

    def _return(self, scope: Scope, clause: ast.ReturningClause | None, names: Names, ctes: Ctes) -> None:
        if clause:
            self._give(scope, clause.exprs, names)
            self._expressions(scope, [clause], names, ctes)


def _assigned(relation: Relation, targets: Node) -> Iterator[Attribute | None]:
    """Yield the attribute that each target of an INSERT or a SET is; None where it is a part of one."""
    for target in targets or ():
        yield None if target.indirection else relation.attribute(target.name)
