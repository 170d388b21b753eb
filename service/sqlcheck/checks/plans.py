"""Plans: what `Plan:` promises, held against the generic plan that PostgreSQL makes on a database with realistic rows.

The grammar of `Plan:` is clauses with commas, a remark behind a semicolon where there is something to explain, and a
full stop: `sessions_pkey, seq scan of task_statuses, sort; of at most one page per status.` The clauses are

- the name of an index: the plan uses it, and no index that is not named;
- `seq scan of TABLE`: the plan reads a whole table, which is a handful of rows and stays so;
- `tid scan`: it finds rows by their place, which another part of the statement has looked up;
- `insert`: it adds rows;
- `no table`: it reads none and adds to none;
- `sort`: it sorts; `no sort`: it does not. A list, and whatever has an ORDER BY, says one of them;
- `discards`: it reads rows by an index, or joins them, only to discard more of them than it keeps.

What is not promised is not done. So that nothing passes by luck, two things hold whatever the rows: an index is entered
by its first column, and a statement without `Scope:` reads a table with an owner by an index condition on its owner.
"""

from collections.abc import Iterator

import psycopg
from pglast import ast
from pglast.visitors import Visitor
from psycopg.sql import SQL, Identifier

from service.migrate.errors import reason
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.reading.schema import DatabaseSchema, Table
from service.sqlcheck.reading.sources import sources
from service.sqlcheck.reading.statements import Label, Statement
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import ExampleError, PlanNode, explain, rolled_back, run
from service.sqlcheck.trial.plan_trees import INDEX_SCANS, clauses_of, conditions, nodes

CHECK = "plans"

HANDFUL = 500
"""The number of rows, of those that the checks add, up to which a table may be called a handful."""

_SEQ_SCAN = "seq scan of "
_WORDS = frozenset({"tid scan", "insert", "no table", "sort", "no sort", "discards"})
# Of these the plan itself does not speak.
_SILENT = frozenset({"no sort", "discards"})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield what is wrong with the plans of statements, and with what they find when they run with their examples."""
    for statement in subject.statements:
        label = statement.labels.get("Plan")
        if label is None:
            yield statement.diagnostic(CHECK, "Does not say how it is planned: add a line `-- Plan:`.")
        else:
            for message in _broken_promises(statement, label, subject):
                yield statement.diagnostic(CHECK, message, label)


def broken_promises_of_plan(
    statement: Statement, plan: PlanNode, schema: DatabaseSchema, version: int
) -> Iterator[str]:
    """Yield, as messages, in what a generic plan is not as promised, or not as any plan has to be.

    Args:
        statement: the statement, which has a `Plan:`.
        plan: its plan.
        schema: the schema of the database, with every index that the plan may use.
        version: that of the PostgreSQL which made the plan.
    """
    promised = _clauses(statement.labels["Plan"])
    yield from _check_clauses(promised, plan, version)
    yield from _check_order(statement, promised)
    yield from _check_structure(statement, plan, schema)


def _broken_promises(statement: Statement, label: Label, subject: Subject) -> Iterator[str]:
    schema, connection, rows = subject.schema, subject.connection, subject.project.names["rows"]
    promised = _clauses(label)
    yield from _check_grammar(label.text, promised, schema)
    yield from _check_size(promised, subject)
    try:
        with rolled_back(connection):
            plan = explain(connection, statement)
    except psycopg.Error as error:
        yield f"PostgreSQL cannot plan it ({reason(error)}): mend the statement."
        return
    yield from broken_promises_of_plan(statement, plan, schema, connection.info.server_version // 10000)
    given = ", ".join(source.name for source in sources(statement).values())
    examples = f"the examples of {given}" if given else "no parameters"
    try:
        with rolled_back(connection):
            count, value = run(connection, statement)
        with rolled_back(connection):
            plan = explain(connection, statement, analyse=True)
    except ExampleError as error:
        yield f"Cannot be run: {error}."
        return
    except psycopg.Error as error:
        yield f"Fails with {examples} ({reason(error)}): mend the statement, the examples or {rows}."
        return
    if not count or (statement.operator == "$" and not value):
        found = "nothing" if not count or value is None else value
        yield f"Finds {found} with {examples}: have {rows} add a row that it finds."
    yield from _check_rows_read(plan, may_discard="discards" in promised)


def _clauses(label: Label) -> list[str]:
    return label.text.removesuffix(".").partition(";")[0].split(", ")


def _check_grammar(text: str, promised: list[str], schema: DatabaseSchema) -> Iterator[str]:
    indexes = {name for table in schema.tables.values() for name in table.indexes}
    if not text.endswith("."):
        yield "Plan does not end with a full stop: add it."
    for clause in dict.fromkeys(promised):
        if promised.count(clause) > 1:
            yield f"Plan says `{clause}` more than once: say it once."
        if clause in _WORDS or clause in indexes:
            continue
        table = clause.removeprefix(_SEQ_SCAN)
        if table == clause:
            words = ", ".join(f"`{word}`" for word in sorted(_WORDS))
            yield (
                f"Plan says `{clause}`, but there is no such index: name one, or say `seq scan of TABLE`, {words}; a"
                " remark goes behind a semicolon."
            )
        elif table not in schema.tables:
            yield f"Plan says `{clause}`, but there is no such table: name one."
    if {"sort", "no sort"} <= set(promised):
        yield "Plan says both `sort` and `no sort`: say one."


def _check_size(promised: list[str], subject: Subject) -> Iterator[str]:
    for clause in promised:
        table = clause.removeprefix(_SEQ_SCAN)
        if table != clause and table in subject.schema.tables:
            [(count,)] = subject.connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))).fetchall()
            if count > HANDFUL:
                yield (
                    f"Plan says `{clause}`, but {table} is no handful: {subject.project.names['rows']} gives it"
                    f" {count} rows, and more than {HANDFUL} are too many. Have an index for it."
                )


def _check_clauses(promised: list[str], plan: PlanNode, version: int) -> Iterator[str]:
    done = clauses_of(plan)
    expected = [clause for clause in promised if clause not in _SILENT]
    if set(done) != set(expected):
        promise = f"`{', '.join(expected)}`" if expected else "nothing"
        yield (
            f"Plan promises {promise}, but PostgreSQL {version} plans `{', '.join(done)}`: change the"
            " statement or the indexes until it plans what is promised, or promise what it plans."
        )
    if "discards" in promised and not any(_discards(node) for node in nodes(plan)):
        yield "Plan says `discards`, but nothing in the plan can discard a row that an index has found: remove it."


def _discards(node: PlanNode) -> bool:
    return node["Node Type"] != "Seq Scan" and bool({"Filter", "Join Filter"} & node.keys())


def _check_order(statement: Statement, promised: list[str]) -> Iterator[str]:
    if {"sort", "no sort"} & set(promised):
        return
    orders = _Orders()
    orders(statement.tree)
    if orders.found or statement.name.startswith("list_"):
        why = "It has an ORDER BY" if orders.found else "It is a list"
        yield f"{why}, but Plan does not say whether it is sorted: add `no sort`, or `sort` where that is meant."


class _Orders(Visitor):
    """Looks for an ORDER BY, at whatever depth."""

    found = False

    def visit_SelectStmt(self, _ancestors: object, node: ast.SelectStmt) -> None:  # noqa: N802 -- pglast's name
        self.found |= bool(node.sortClause)

    def visit_WindowDef(self, _ancestors: object, node: ast.WindowDef) -> None:  # noqa: N802 -- pglast's name
        self.found |= bool(node.orderClause)


def _check_structure(statement: Statement, plan: PlanNode, schema: DatabaseSchema) -> Iterator[str]:
    """Yield what is wrong with a plan whatever is promised, and however few rows it reads of those that there are."""
    tables = {name: table for table in schema.tables.values() for name in table.indexes}
    is_limited = "Scope" not in statement.labels
    for node in nodes(plan):
        # What is of no table of the schema has been said already, since it cannot be promised.
        if node["Node Type"] in INDEX_SCANS and node["Index Name"] in tables:
            yield from _check_index_scan(node, tables[node["Index Name"]], is_limited=is_limited)
        elif node["Node Type"] == "Seq Scan" and node["Relation Name"] in schema.tables:
            table = schema.tables[node["Relation Name"]]
            if is_limited and table.owner:
                yield f"Reads the whole of {table.name}, whose rows are each one owner's: {_limit(table)}"


def _check_index_scan(node: PlanNode, table: Table, *, is_limited: bool) -> Iterator[str]:
    index = table.indexes[node["Index Name"]]
    written = node.get("Index Cond", "empty")
    compared = list(conditions(node.get("Index Cond")))
    first = index.keys[0]
    if first not in {key for key, _ in compared}:
        yield (
            f"Reads the whole of {index.name}, which begins with {first}, since its index condition is {written}: limit"
            f" {first}, or have an index that begins with what is limited."
        )
    if is_limited and table.owner and (table.owner, True) not in compared:
        yield (
            f"Reads {table.name} by {index.name} without `{table.owner} =` in its index condition, which is {written}:"
            f" {_limit(table)}"
        )


def _limit(table: Table) -> str:
    return f"limit it by {table.owner}, with an index that begins with it, or give the reason under `Scope:`."


def _check_rows_read(plan: PlanNode, *, may_discard: bool) -> Iterator[str]:
    for node in nodes(plan):
        loops = node["Actual Loops"]
        kept = round(node["Actual Rows"] * loops)
        removed = round(sum(rows for name, rows in node.items() if name.startswith("Rows Removed by ")) * loops)
        # A seq scan is of a handful, and says so.
        if node["Node Type"] != "Seq Scan" and removed > kept and not may_discard:
            name = node.get("Index Name") or node.get("Relation Name")
            scan = f"{node['Node Type']} of {name}" if name else node["Node Type"]
            condition = node.get("Filter") or node.get("Join Filter") or node.get("Recheck Cond")
            yield (
                f"Its {scan} keeps {kept} rows, and discards {removed} for want of {condition}: have an index that"
                " knows, or say `discards` and, behind a semicolon, why."
            )
