"""Contracts: what a statement takes, returns and raises is what PostgreSQL says of it, and what it says of itself.

PostgreSQL prepares each statement and describes its parameters and columns. Whether something can be NULL, and how many
rows there can be, is proved over the parse tree; what cannot be proved counts as possible.
"""

from collections.abc import Iterator
from typing import Any

from pglast import ast
from pglast.enums import SubLinkType

from service.schemas.fields import IsSet
from service.schemas.labels import AT_MOST_ONE, EXACTLY_ONE, ContractError, Returns, Source, read_returns
from service.schemas.promises import fields_of_columns, mismatches_of_columns, mismatches_of_parameter
from service.schemas.types import types_fed_by
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.proofs.cardinality import at_least_one, at_most_one, is_total
from service.sqlcheck.proofs.constraints import check_raises, check_ruled_out
from service.sqlcheck.proofs.null_uses import NullUses
from service.sqlcheck.proofs.nullability import Prover
from service.sqlcheck.proofs.writes import writes
from service.sqlcheck.reading import sources
from service.sqlcheck.reading.resolver import UnreadableError, read
from service.sqlcheck.reading.scopes import Scope
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.reading.trees import Node
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.description import Description, RefusedError, describe

CHECK = "contracts"


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield what breaks the contract of each statement, and what is ruled out without need."""
    yield from check_statements(subject)
    yield from check_ruled_out(subject.project, subject.statements, subject.schema)


def check_statements(subject: Subject) -> Iterator[Diagnostic]:
    """Yield what breaks the contract of each statement."""
    schema = subject.schema
    for statement in subject.statements:
        yield from sources.diagnostics(statement)
        try:
            description = describe(subject.connection, statement)
            scope, _ = read(statement.tree, schema)
        except RefusedError as error:
            yield _refusal(statement, error)
        except UnreadableError as error:
            told = f"Is or has a {error}, of which nothing can be proved: write SELECT, INSERT, UPDATE or DELETE."
            yield statement.diagnostic(CHECK, told, error.node)
        else:
            yield from _Contract(statement, scope, description).diagnostics()
            yield from check_raises(subject.project, statement, scope, schema)


class _Contract:
    """One statement, held against what it promises."""

    def __init__(self, statement: Statement, scope: Scope, description: Description) -> None:
        self._statement = statement
        self._scope = scope
        self._description = description
        self._sources = sources.sources(statement)
        nullable = {
            number
            for number, parameter in enumerate(statement.parameters, 1)
            if parameter in self._sources and self._sources[parameter].is_nullable
        }
        self._prover = Prover(nullable)

    def diagnostics(self) -> Iterator[Diagnostic]:
        """Yield each diagnostic."""
        yield from self._parameters()
        for node, told in NullUses(self._prover, self._named).find(self._scope):
            yield self._diagnostic(told, node)
        yield from self._lengths()
        yield from self._subqueries()
        label = self._statement.labels.get("Returns")
        try:
            promised = read_returns(label.text if label else "", self._statement.operator, self._statement.registry)
        except ContractError as error:
            yield self._statement.diagnostic(CHECK, str(error), label)
            return
        yield from self._columns(promised)
        yield from self._rows(promised)
        yield from self._order()

    def _parameters(self) -> Iterator[Diagnostic]:
        numbered = zip(self._statement.parameters, self._description.parameters, strict=True)
        for number, (parameter, type_) in enumerate(numbered, 1):
            if source := self._sources.get(parameter):
                types = types_fed_by(source.field, source.setting)
                for told in mismatches_of_parameter(parameter, source.name, types, type_.name):
                    yield self._diagnostic(told, self._first_use(number))

    def _lengths(self) -> Iterator[Diagnostic]:
        """Yield each parameter that may be too long for the column where it goes, which the database would refuse."""
        for part in self._scope:
            for write in writes(part):
                limit = write.column.room
                for node in write.parameters if limit else ():
                    source = self._sources.get(self._statement.parameters[node.number - 1])
                    length = _longest(source) if source else limit
                    if length is None or (limit and length > limit):
                        column = f"{write.table.name}.{write.column.name}"
                        has = f"at most {length}" if length else "any number of"
                        yield self._diagnostic(
                            f"Parameter {self._named(node.number)} has {has} characters, but {column}, where it goes,"
                            f" has room for {limit}: give the field a length of at most that.",
                            node,
                        )

    def _subqueries(self) -> Iterator[Diagnostic]:
        """Yield each (SELECT …) that is a value and may have a second row, on which it fails."""
        for link, scope in (one for part in self._scope.walk() for one in part.subqueries):
            if link.subLinkType == SubLinkType.EXPR_SUBLINK and not at_most_one(scope):
                yield self._diagnostic(
                    "Takes the value of a sub-select of which a second row cannot be ruled out, and fails where there"
                    " is one: limit it by every column of a unique index, or by LIMIT 1.",
                    link,
                )

    def _columns(self, promised: Returns) -> Iterator[Diagnostic]:
        columns = [(column.name, column.type.name) for column in self._description.columns]
        is_wrong = False
        for place, told in mismatches_of_columns(promised, columns):
            is_wrong = True
            yield self._statement.diagnostic(CHECK, told, self._label() if place is None else self._place(place))
        if promised.schema is None:
            # A wrong number of columns has been told, and of no row there is NULL as well.
            if not is_wrong:
                yield from self._value(promised)
            return
        expected = fields_of_columns(promised.schema)
        for place, (name, _) in enumerate(columns):
            shown = [field for field in expected.get(name, ()) if not isinstance(field, IsSet)]
            is_set = len(shown) < len(expected.get(name, ()))
            allows_null = is_set or any(field.allow_none for field in shown)
            if not allows_null and not self._is_never_null(place, self._prover):
                yield self._statement.diagnostic(
                    CHECK,
                    f"Returns the column {name}, which may be NULL, but {promised.name}.{name} may not: rule NULL out,"
                    " or give the field allow_none=True.",
                    self._place(place),
                )
            elif name in expected and allows_null and self._is_never_null(place, self._prover.without_conditions()):
                yield self._statement.diagnostic(
                    CHECK,
                    f"Returns the column {name}, which is never NULL, but {promised.name}.{name} may be: take"
                    " allow_none away.",
                    self._place(place),
                )

    def _value(self, promised: Returns) -> Iterator[Diagnostic]:
        is_null = not (at_least_one(self._scope) and self._is_never_null(0, self._prover))
        if is_null and not promised.says_null:
            told = (
                "May give NULL, for want of a row or of a value, and does not say when: add `; NULL when …` to Returns."
            )
            yield self._statement.diagnostic(CHECK, told, self._label())
        elif promised.says_null and not is_null:
            told = "Says when it is NULL, but never is: take that out of Returns."
            yield self._statement.diagnostic(CHECK, told, self._label())

    def _rows(self, promised: Returns) -> Iterator[Diagnostic]:
        operator, told = self._statement.operator, ""
        may_be_many = not at_most_one(self._scope)
        if operator and may_be_many:
            told = (
                f"Is marked {operator}, but a second row cannot be ruled out: limit it by every column of a unique"
                f" index, or take the {operator} away."
            )
        elif not operator and not may_be_many:
            told = "Returns one row at most, but is marked as a list: write ^ behind the name."
        if told:
            yield self._statement.diagnostic(CHECK, told)
        if promised.rows == EXACTLY_ONE and not at_least_one(self._scope):
            told = "Says `exactly one row`, but that there is one cannot be proved: say `no row when …`."
            yield self._statement.diagnostic(CHECK, told, self._label())
        elif promised.rows == AT_MOST_ONE and at_least_one(self._scope):
            told = "Says when there is no row, but there always is one: say `exactly one row`."
            yield self._statement.diagnostic(CHECK, told, self._label())

    def _order(self) -> Iterator[Diagnostic]:
        node = self._scope.node
        if self._statement.operator or not self._scope.is_select:
            return
        if not node.sortClause:
            yield self._diagnostic("Returns a list in no order: add an ORDER BY.", node)
        elif not is_total(self._scope) and (node.limitCount or self._is_ours()):
            effect = "a row can be on two pages or on none" if node.limitCount else "they come now so, now so"
            yield self._diagnostic(
                f"Returns a list in an order in which two rows may be equal, so that {effect}: add columns to ORDER BY,"
                " until they make a row unique and none of them can be NULL.",
                node.sortClause[0].node,
            )

    def _is_ours(self) -> bool:
        # What yoyo keeps has the keys that yoyo gave it.
        return all(relation.table.is_ours for part in self._scope for relation in part.relations if relation.table)

    def _is_never_null(self, place: int, prover: Prover) -> bool:
        return prover.described_column(self._scope, place, len(self._description.columns))

    def _place(self, place: int) -> Node:
        """Return where a column stands; the first of the list where a `*` stands for several."""
        returned = self._scope.returned
        is_known = len(returned) == len(self._description.columns)
        return returned[place if is_known else 0] if returned else None

    def _label(self) -> Any:  # noqa: ANN401 -- what `Statement.diagnostic` takes
        return self._statement.labels.get("Returns")

    def _named(self, number: int) -> str:
        parameter = self._statement.parameters[number - 1]
        source = self._sources.get(parameter)
        return f":{parameter} ({source.name})" if source else f":{parameter}"

    def _first_use(self, number: int) -> Node:
        return next((node for node in self._statement.nodes(ast.ParamRef) if node.number == number), None)

    def _diagnostic(self, told: str, node: Node) -> Diagnostic:
        return self._statement.diagnostic(CHECK, told, node)


def _refusal(statement: Statement, error: RefusedError) -> Diagnostic:
    told = f"PostgreSQL does not prepare it: {error}. Correct it, or the migration that made the schema."
    if error.position is None:
        return statement.diagnostic(CHECK, told)
    return statement.diagnostic(CHECK, told, statement.line_of(error.position - 1))


def _longest(source: Source) -> int | None:
    """Return how many characters a field lets through at most; None where it says nothing."""
    lengths = [getattr(one, "max", None) for one in source.field.validators] if source.field else []
    return min((length for length in lengths if length is not None), default=None)
