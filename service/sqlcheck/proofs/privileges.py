"""Privileges: those that a statement needs, for itself and for the triggers that it fires, as its parse tree tells.

A trigger may do what may who fires it, unless its function is SECURITY DEFINER, so the bodies of the functions are read
as well. What a foreign key does by itself, its checks and its cascades, is done as the owner of the table; but up to
PostgreSQL 17 the AFTER triggers that a cascade fires are run as whoever began it. WHEN is taken to be true.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from pglast import ast, parse_plpgsql, parse_sql
from pglast.parser import ParseError, scan

from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.reading.resolver import UnreadableError, read
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.reading.trees import Node, children, is_a, walk

ANY: Final = "any column"
"""The column of a privilege that is needed on some column, no matter which."""

_QUERIES: Final = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt)
_MERGE: Final = "Cannot tell what a MERGE needs to be granted: write INSERT, UPDATE or DELETE."
_VERBS: Final = {ast.InsertStmt: "INSERT", ast.UpdateStmt: "UPDATE", ast.DeleteStmt: "DELETE"}
_SYSTEM_COLUMNS: Final = frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"})
_ACTION_EVENTS: Final = {"c": "DELETE", "n": "UPDATE", "d": "UPDATE"}
_DYNAMIC: Final = frozenset({"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors", "dynquery"})
# How PL/pgSQL would parse a text: as a statement, as an expression, and otherwise as `target := expression`.
_STATEMENT, _EXPRESSION = 0, 2
_ASSIGNS: Final = frozenset({"COLON_EQUALS", "ASCII_61"})
# Brackets and parentheses, by the names that the scanner has for them, and how much deeper it is behind one.
_DEPTHS: Final = {"ASCII_40": 1, "ASCII_41": -1, "ASCII_91": 1, "ASCII_93": -1}


@dataclass(frozen=True, slots=True)
class Privilege:
    """A thing that may be done with a table: `UPDATE (title) ON tasks`.

    Attributes:
        table: the table.
        verb: SELECT, INSERT, UPDATE, DELETE, or another that PostgreSQL grants.
        column: one of its columns, `ANY` of them, or None for the table as a whole.
    """

    table: str
    verb: str
    column: str | None = None

    def __str__(self) -> str:
        """Write it as GRANT does."""
        return f"{self.verb} ({self.column}) ON {self.table}" if self.column else f"{self.verb} ON {self.table}"

    def __lt__(self, other: "Privilege") -> bool:
        """Put tables, verbs and columns in alphabetical order, and the table as a whole first."""
        return (self.table, self.verb, self.column or "") < (other.table, other.verb, other.column or "")

    def serves(self, need: "Privilege") -> bool:
        """Tell whether who has this privilege has what is needed."""
        covers = self.column is None or need.column in (self.column, ANY)
        return covers and (self.table, self.verb) == (need.table, need.verb)


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason for which a statement needs a privilege.

    Attributes:
        node: the part of the statement that needs it.
        trigger: the trigger that needs it, `sessions_revoke of sessions`; empty where the statement itself does.
    """

    node: Node
    trigger: str


def needed(statement: Statement, schema: DatabaseSchema) -> set[Privilege]:
    """Return the privileges that a role needs to run a statement: by table, and INSERT and UPDATE by column.

    Raises:
        CheckError: it cannot be known, and why.
    """
    return set(reasons(statement, schema))


def reasons(statement: Statement, schema: DatabaseSchema) -> dict[Privilege, Reason]:
    """Return the privileges that `needed` does, each with the first reason for it.

    Raises:
        CheckError: it cannot be known, and why.
    """
    reader = _Reader(schema)
    reader.read(statement.tree, _Place())
    return reader.found


@dataclass(frozen=True, slots=True)
class _Place:
    """The place where something is read: in a query, maybe that of a trigger, which a node of the statement fires.

    Attributes:
        tables: the tables that the query reads, by the ids of their nodes; None outside of a query.
        node: the node that fires the trigger; None for the statement itself.
        trigger: the trigger; empty for the statement itself.
    """

    tables: frozenset[int] | None = None
    node: Node = None
    trigger: str = ""

    def reads(self, node: Node) -> bool:
        """Tell whether a name in a FROM is a table's, and not a CTE's."""
        return self.tables is None or id(node) in self.tables


@dataclass(slots=True)
class _Reader:
    schema: DatabaseSchema
    found: dict[Privilege, Reason] = field(default_factory=dict)
    _fired: set[object] = field(default_factory=set)

    def read(self, node: Node, place: _Place) -> None:
        """Find the privileges that a node needs, with all below it."""
        if is_a(node, ast.LockingClause):
            return  # it repeats aliases
        if is_a(node, *_QUERIES) and place.tables is None:
            place = replace(place, tables=self._tables(node))
        if clause := getattr(node, "withClause", None):
            self.read(clause, place)
        self._read_alone(node, place)
        done = ("withClause", "intoClause", "relation") if type(node) in _VERBS else ("withClause", "intoClause")
        for child in children(node, *done):
            self.read(child, place)

    def _read_alone(self, node: Node, place: _Place) -> None:
        """Find those that a node needs by itself."""
        if is_a(node, ast.MergeStmt):
            raise CheckError(_MERGE)
        if is_a(node, ast.RangeVar):
            if place.reads(node):
                self._need(Privilege(node.relname, "SELECT"), node, place)
        elif is_a(node, ast.SelectStmt):
            for clause in node.lockingClause or ():
                self._lock(node.fromClause, {table.relname for table in clause.lockedRels or ()}, place)
        elif type(node) in _VERBS:
            self._write(node, place)
        elif is_a(node, ast.FuncCall):
            self._call(node.funcname[-1].sval, replace(place, node=place.node or node))

    def _tables(self, query: Node) -> frozenset[int]:
        """Return the tables that a query reads with all that is in it, and not the CTEs, by the ids of their nodes."""
        try:
            scope, _ = read(query, self.schema)
        except UnreadableError as error:
            raise CheckError(_MERGE) from error
        return frozenset(id(node) for part in scope.walk() for node in part.reads)

    def _write(self, node: Node, place: _Place) -> None:
        table, verb = node.relation, _VERBS[type(node)]
        conflict = getattr(node, "onConflictClause", None)
        if verb == "INSERT":
            self._change(table, verb, _targets(node.cols) or self._all_columns(node), place)
            if conflict and conflict.targetList:
                self._change(table, "UPDATE", _targets(conflict.targetList), place)
        elif verb == "UPDATE":
            self._change(table, verb, _targets(node.targetList), place)
        else:
            self._need(Privilege(table.relname, verb), table, place)
            self._fire(table.relname, verb, frozenset(), replace(place, node=place.node or table))
        if (conflict and conflict.infer) or self._names_its_target(node):
            self._need(Privilege(table.relname, "SELECT"), table, place)

    def _all_columns(self, insert: Node) -> dict[str, Node]:
        """Return the columns that an INSERT without a list of them writes: all, but with DEFAULT VALUES none."""
        table = self.schema.tables.get(insert.relation.relname)
        return dict.fromkeys(table.columns if table and insert.selectStmt else (ANY,), insert.relation)

    def _change(self, table: Node, verb: str, targets: dict[str, Node], place: _Place) -> None:
        for column, node in targets.items():
            self._need(Privilege(table.relname, verb, column), node, place)
        self._fire(table.relname, verb, frozenset(targets), replace(place, node=place.node or table))

    def _names_its_target(self, node: Node) -> bool:
        """Tell whether a column of what is written is read.

        In a sub-select a bare name may be another table's column: more is found then than is needed, which shows when
        the privilege is revoked.
        """
        target = node.relation
        aliases = {target.alias.aliasname if target.alias else target.relname, "excluded", "new", "old"}
        table = self.schema.tables.get(target.relname)
        bare = aliases | _SYSTEM_COLUMNS | set(table.columns if table else ())
        members = ("onConflictClause", "targetList", "whereClause", "returningClause")
        parts = children(node, *(name for name in node if name not in members))
        references: Iterator[Node] = (one for part in parts for one in walk(part) if is_a(one, ast.ColumnRef))
        for column in references:
            *qualifier, last = (getattr(one, "sval", "*") for one in column.fields)
            if (qualifier[-1] in aliases) if qualifier else (last == "*" or last in bare):
                return True
        return False

    def _lock(self, sources: object, names: set[str], place: _Place) -> None:
        """Find the privileges for FOR UPDATE and the like: UPDATE on some column of each table that they lock."""
        for source in _sources(sources):
            name = source.alias.aliasname if source.alias else getattr(source, "relname", "")
            if names and name not in names:
                continue
            if isinstance(source, ast.RangeSubselect):
                self._lock(getattr(source.subquery, "fromClause", None), set(), place)
            elif place.reads(source):
                self._need(Privilege(source.relname, "UPDATE", ANY), source, place)

    def _fire(
        self, table: str, event: str, columns: frozenset[str], place: _Place, *, only_after: bool = False
    ) -> None:
        """Find the privileges for the triggers of a table, and of the tables that its foreign keys take along."""
        key = (table, event, columns, only_after)
        if table not in self.schema.tables or key in self._fired:
            return
        self._fired.add(key)
        for trigger in self.schema.tables[table].triggers.values():
            definition = _parsed(trigger.definition)
            of = {name.sval for name in definition.columns or ()} if event == "UPDATE" else set[str]()
            is_after = definition.timing == 0
            if event in trigger.events and (not of or of & columns) and (is_after or not only_after):
                own = replace(place, trigger=place.trigger or f"{trigger.name} of {table}")
                self._call(trigger.function, own)
        for other in self.schema.tables.values():
            for key_ in other.foreign_keys:
                if key_.referenced_table != table:
                    continue
                definition = _parsed(f"ALTER TABLE t ADD {key_.definition}").cmds[0].def_
                if event == "DELETE":
                    following = _ACTION_EVENTS.get(definition.fk_del_action)
                else:
                    changed = event == "UPDATE" and columns & set(key_.referenced_columns)
                    following = "UPDATE" if changed and definition.fk_upd_action in _ACTION_EVENTS else None
                if following:
                    self._fire(other.name, following, frozenset(key_.columns), place, only_after=True)

    def _call(self, name: str, place: _Place) -> None:
        """Find the privileges for a function that the migrations have made."""
        function = self.schema.functions.get(name)
        if function is None or function.is_security_definer or name in self._fired:
            return
        self._fired.add(name)
        if function.language != "plpgsql":
            raise CheckError(f"Cannot tell what {name}() needs to be granted: write it in PL/pgSQL.")
        for statement in _statements_of(name, function.definition):
            self.read(statement, replace(place, tables=None))

    def _need(self, privilege: Privilege, node: Node, place: _Place) -> None:
        if privilege.table in self.schema.tables:
            self.found.setdefault(privilege, Reason(place.node or node, place.trigger))


def _targets(nodes: Node) -> dict[str, Node]:
    """Return the columns that are written, each with the node that names it."""
    return {node.name: node for node in nodes or ()}


def _sources(value: object) -> Iterator[Node]:
    """Yield the tables and sub-selects of a FROM."""
    if isinstance(value, tuple):
        for part in value:
            yield from _sources(part)
    elif isinstance(value, ast.JoinExpr):
        yield from _sources((value.larg, value.rarg))
    elif isinstance(value, ast.RangeTableSample):
        yield from _sources(value.relation)
    elif isinstance(value, ast.RangeVar | ast.RangeSubselect):
        yield value


@cache
def _parsed(sql: str) -> Node:
    return parse_sql(sql)[0].stmt


@cache
def _statements_of(name: str, definition: str) -> tuple[Node, ...]:
    """Return the statements of a function in PL/pgSQL, and its expressions as SELECTs.

    Raises:
        CheckError: it puts a statement together when it runs, or cannot be read.
    """
    try:
        return tuple(_read_statements(name, definition))
    except ParseError as error:
        raise CheckError(
            f"Cannot tell what {name}() needs to be granted: {error.args[0]}. Write it otherwise."
        ) from error


def _read_statements(name: str, definition: str) -> Iterator[Node]:
    for kind, part in _plpgsql_parts(parse_plpgsql(definition)):
        if kind in _DYNAMIC:
            raise CheckError(
                f"Cannot tell what {name}() needs to be granted, since it puts a statement together when it runs:"
                " write the statement out."
            )
        if kind == "PLpgSQL_expr":
            text, mode = part["query"], part["parseMode"]
            if mode == _STATEMENT:
                yield _parsed(text)
            else:
                yield _parsed(f"SELECT {text if mode == _EXPRESSION else _both_sides(text)}")


def _both_sides(assignment: str) -> str:
    """Return `target, expression` for `target := expression`: a subscript of the target is an expression as well."""
    depth = 0
    for token in scan(assignment):
        depth += _DEPTHS.get(token.name, 0)
        if depth == 0 and token.name in _ASSIGNS:
            return f"{assignment[: token.start]}, {assignment[token.end + 1 :]}"
    return assignment


def _plpgsql_parts(value: object) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a function in PL/pgSQL, as libpg_query writes them: of which kind, and what is in it."""
    if isinstance(value, dict):
        for kind, part in value.items():
            yield kind, part
            yield from _plpgsql_parts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _plpgsql_parts(part)
