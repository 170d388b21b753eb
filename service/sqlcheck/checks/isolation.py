"""Isolation: each statement on a per-user table is limited to the rows of one user, in every scope.

A column is limited when in each row of its query it holds the parameter `:user_id`, or NULL where an outer join found
nothing. An equality with the parameter, or with another limited column, makes it so, in the AND chain of the WHERE, or
of the ON of a join that drops what does not match. So it is when all that it takes its value from is limited: the
output of a sub-select, the value of an INSERT. A reference to a per-user table is proved when the column that says
whose a row is, is limited: then the rows of other users might as well not be there.

That rests on two things that the tree cannot show: triggers leave that column alone, and `=` compares it exactly.
"""

import re
from collections.abc import Iterator, Sequence

from pglast import ast

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.reading.resolver import read
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.scopes import Attribute, Parameter, Relation, Scope, Term
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.reading.trees import words
from service.sqlcheck.subject import Subject

CHECK = "isolation"

FUNCTIONS = frozenset(
    (  # noqa: SIM905 -- a word a line would be a screen
        "abs array_agg array_length avg bool_and bool_or btrim cardinality ceil char_length clock_timestamp "
        "count current_setting date_part date_trunc extract floor gen_random_uuid generate_series "
        "hashtextextended jsonb_agg jsonb_build_object left length lower ltrim make_interval max min now "
        "octet_length pg_try_advisory_xact_lock replace right round row_number rtrim sha256 split_part "
        "starts_with statement_timestamp string_agg strpos substring sum timezone to_char to_jsonb trunc "
        "unnest upper"
    ).split()
)
"""Functions of PostgreSQL that read no table, whatever they are given. Only such a one may be added."""

_KINDS = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt)
_WHY_NOT = "or write in a `Scope:` why the statement is not limited to one user."


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield a fault for each reference to a per-user table that is not proved to be limited to one user."""
    for statement in subject.statements:
        yield from dict.fromkeys(_check(statement, subject))


def limits(statement: Statement, schema: DatabaseSchema) -> list[ast.Node]:
    """Return what limits a statement to one user, each node once.

    Returns:
        The predicates (a join where it is USING), and the outputs and values that hand the parameter on. Empty where
        there is nothing to limit, or nothing that does.
    """
    if _refused(statement):
        return []
    scope, _ = read(statement.tree, schema)
    proof = _Proof(scope, statement.parameters)
    found: dict[int, ast.Node] = {}
    for relation in proof.relations:
        found |= {id(node): node for node in proof.trace(relation.owner)}
    return list(found.values())


def functions_of(statement: Statement) -> list[str]:
    """Return the name of every function that a statement calls, in alphabetical order."""
    return sorted({_name(call) for call in statement.nodes(ast.FuncCall)})


def _check(statement: Statement, subject: Subject) -> Iterator[Diagnostic]:
    refused = _refused(statement)
    if refused:
        yield statement.diagnostic(
            CHECK,
            f"{_kind(refused)} is refused, since nothing proves whose rows it touches. Use SELECT, INSERT, UPDATE or"
            " DELETE.",
            refused,
        )
        return
    if len(statement.trees) > 1:
        yield statement.diagnostic(
            CHECK, "More than one statement stands here, and only the first is proved. Give each a name."
        )
    yield from _calls(statement, subject)
    scope, problems = read(statement.tree, subject.schema)
    diagnostics = [statement.diagnostic(CHECK, problem.message, problem.node) for problem in problems]
    diagnostics += _unlimited(statement, scope)
    label = statement.labels.get("Scope")
    if not label:
        yield from diagnostics
    elif not label.text.strip():
        yield statement.diagnostic(
            CHECK, "Its `Scope:` gives no reason. Write why the statement is not limited to one user.", label
        )
    elif not diagnostics:
        yield statement.diagnostic(
            CHECK, "Its `Scope:` excuses nothing: no row of another user is in reach. Remove the label.", label
        )


def _refused(statement: Statement) -> ast.Node | None:
    """Return what makes a statement one of a kind that is not followed."""
    for node in statement.nodes(ast.Node):
        if isinstance(node, ast.IntoClause) or (type(node).__name__.endswith("Stmt") and not isinstance(node, _KINDS)):
            return node
    return None


def _calls(statement: Statement, subject: Subject) -> Iterator[Diagnostic]:
    """Yield a fault for each call of what may read a table by itself."""
    # A function of the schema takes the place of one of PostgreSQL's that has its name.
    harmless = (FUNCTIONS - subject.schema.functions.keys()) | subject.project.harmless_functions
    for node in statement.nodes(ast.Node):
        match node:
            case ast.FuncCall() if _name(node) not in harmless:
                yield statement.diagnostic(
                    CHECK,
                    f"{_name(node)}() is not known to read no table, and no predicate limits what it reads. Look at"
                    " it, and if it reads none, name it under harmless_functions in [tool.sqlcheck] of"
                    f" {subject.project.names['configuration']}.",
                    node,
                )
            case ast.A_Expr(name=names) | ast.SubLink(operName=names) | ast.SortBy(useOp=names):
                if len(words(names)) > 1 and words(names)[0] != "pg_catalog":
                    operator = ".".join(words(names))
                    yield statement.diagnostic(
                        CHECK,
                        f"OPERATOR({operator}) is not PostgreSQL's own, and may read anything. Use one that is.",
                        node,
                    )
            case ast.A_Indirection(indirection=parts) if words(parts):
                field_name = words(parts)[0]
                yield statement.diagnostic(
                    CHECK,
                    f"(…).{field_name} may be a call of a function. Name the column as alias.{field_name}.",
                    node,
                )


def _unlimited(statement: Statement, root: Scope) -> Iterator[Diagnostic]:
    proof = _Proof(root, statement.parameters)
    for scope in root.walk():
        for relation in scope.relations:
            if relation.owner and not proof.holds(relation.owner):
                yield statement.diagnostic(CHECK, _message(scope, relation, proof.parameter), relation.node)
        added, changed = scope.inserted, scope.changed
        if added and added.owner and not proof.holds(added.owner):
            message = f"{_owner(added)} is not given {proof.parameter} in each row that is inserted. Give it that"
            yield statement.diagnostic(CHECK, f"{message}, {_WHY_NOT}", added.node)
        given = scope.assignments.get(changed.owner.position) if changed and changed.owner else None
        if changed and given and not proof.holds(given.term):
            message = f"{_owner(changed)} is set to something else than {proof.parameter}. Leave it as it is"
            yield statement.diagnostic(CHECK, f"{message}, {_WHY_NOT}", given.node)


def _message(scope: Scope, relation: Relation, parameter: str) -> str:
    """Say what is not limited, and what would limit it."""
    table, owner = _owner(relation).split(".")
    limit = f"{relation.name}.{owner} = {parameter}"
    if scope.inserted:
        key = ", ".join(scope.conflict) or "no column"
        return (
            f"ON CONFLICT may change a row of another user: it compares {key}, and not {owner}. Use a key that holds"
            f" {owner}, write {limit} into its WHERE, {_WHY_NOT}"
        )
    name = table if relation.name == table else f"{table} (as {relation.name})"
    return (
        f"{name} is not limited to one user in its scope. Write {limit} into the AND chain of the WHERE, or of the ON"
        f" of a join that drops what does not match, {_WHY_NOT}"
    )


def _owner(relation: Relation) -> str:
    """Return what a message calls the column that says whose a row is: `tasks.user_id`."""
    return f"{relation.table.name}.{relation.table.owner}" if relation.table else ""


class _Proof:
    """What is limited in a statement.

    Attributes:
        items: the references to per-user tables.
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
            wrong = {column for column in own if not self._all_hold(column)}
            if not wrong:
                break
            own -= wrong

    def holds(self, term: Term) -> bool:
        """Tell whether a term is the parameter, or a column that is limited."""
        if isinstance(term, Parameter):
            return term.number == self._number
        if term is None:
            return False
        return term in self._limited or (not term.relation.itself and self._all_hold(term))

    def trace(self, term: Term) -> Iterator[ast.Node]:
        """Yield what makes a term limited, from the term back to the parameter."""
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

    def _all_hold(self, column: Attribute) -> bool:
        sources = column.relation.sources(column.position)
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


def _name(call: ast.FuncCall) -> str:
    """Return the name of a function, without the schema of PostgreSQL's own."""
    return ".".join(words(call.funcname)).removeprefix("pg_catalog.")


def _kind(node: ast.Node) -> str:
    """Return what a kind of statement is called: CREATE TABLE AS."""
    name = "SelectInto" if isinstance(node, ast.IntoClause) else type(node).__name__.removesuffix("Stmt")
    return re.sub(r"\B(?=[A-Z])", " ", name).upper()
