"""Indexes and foreign keys: each index is needed, and each foreign key has an index or a reason to have none.

What an index is needed for is found by dropping it, in a transaction that is rolled back. It is needed if then

- a statement is planned otherwise than it promises, cannot be prepared (its ON CONFLICT has no unique index) or fails
  (that of a trigger has none);
- the contract of a statement is broken: what says that it gives one row, that its order is total, or what it raises;
- a foreign key has lost the key that it refers to, or the index that supports it.

That a unique constraint is a rule about the data is not enough. If a statement can break the rule, it has to name it
under `Raises:`, and so needs it; if none can, and no proof rests on it, none relies on it either.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import psycopg
from psycopg.sql import SQL, Identifier

from service.sqlcheck.checks import contracts
from service.sqlcheck.checks.origins import Origins
from service.sqlcheck.checks.plans import broken_promises_of_plan
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.reading.schema import Constraint, DatabaseSchema, Index, Table, read_schema
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import ExampleError, explain, rolled_back, run
from service.sqlcheck.trial.plan_trees import nodes
from service.sqlcheck.trial.scratch import Connection

CHECK = "indexes"

Proof: TypeAlias = Callable[[Subject], Iterable[Diagnostic]]
"""A check of statements that may rest on unique indexes."""

PROOFS: Final[tuple[Proof, ...]] = (contracts.check_statements,)
"""The checks whose proofs may rest on a unique index."""

_NO_INDEX = "No index"
_WORD = re.compile(r"\w+")


def check(subject: Subject, proofs: Sequence[Proof] = PROOFS) -> Iterator[Diagnostic]:
    """Yield the indexes that nothing needs, and the foreign keys that need one.

    Args:
        subject: what is checked.
        proofs: the checks that may rest on a unique index.
    """
    origins = Origins(subject.project)
    for name, needed_by in uses(subject, proofs).items():
        if not needed_by:
            message = (
                f"No statement needs {name}, and no foreign key: drop it, or name it under `Raises:` where it can fail."
            )
            yield origins.of(name).diagnostic(CHECK, message)
    for table in _tables(subject.schema):
        for foreign_key in table.foreign_keys:
            for message in _broken_promises_of_foreign_key(table, foreign_key):
                yield origins.of(foreign_key.name).diagnostic(CHECK, message)


def uses(subject: Subject, proofs: Sequence[Proof] = PROOFS) -> dict[str, list[str]]:
    """Return what each index is needed for, by its name: `get_task: plan`, `tasks_user_id_fkey: support`.

    The arguments are those of `check`. While an index is dropped, nobody else can use its table.
    """
    statements, schema, connection = subject.statements, subject.schema, subject.connection
    before = {*_failures(statements, schema, connection, runs=True), *_disproved(subject, proofs)}
    reach = _reach(schema)
    found = {}
    for table in _tables(schema):
        naming = [one for one in statements if table.name in _words(one.sql)]
        touching = [one for one in statements if any(table.name in reach[word] for word in _words(one.sql))]
        for index in table.indexes.values():
            with rolled_back(connection):
                _drop(connection, table, index)
                left = read_schema(subject.project, connection)
                after = list(_failures(touching, schema, connection, runs=index.is_unique))
                if index.is_unique:
                    after += _disproved(replace(subject, statements=naming, schema=left), proofs)
            broken = [what for what, message in after if (what, message) not in before]
            found[index.name] = list(dict.fromkeys([*_lost(schema, left), *broken]))
    return found


def _tables(schema: DatabaseSchema) -> list[Table]:
    return [table for table in schema.tables.values() if table.is_ours]


def _drop(connection: Connection, table: Table, index: Index) -> None:
    if index.constraint is None:
        connection.execute(SQL("DROP INDEX {}").format(Identifier(index.name)))
    else:
        drop = SQL("ALTER TABLE {} DROP CONSTRAINT {} CASCADE")
        connection.execute(drop.format(Identifier(table.name), Identifier(index.constraint)))


def _failures(
    statements: Iterable[Statement], schema: DatabaseSchema, connection: Connection, *, runs: bool
) -> Iterator[tuple[str, str]]:
    """Yield what PostgreSQL makes of each statement that is wrong: what it is called in `uses`, and the message.

    Args:
        statements: the statements.
        schema: the schema with every index.
        connection: to the database.
        runs: whether to run them, too. For want of an index that is not unique none fails.
    """
    version = connection.info.server_version // 10000
    for statement in statements:
        try:
            with rolled_back(connection):
                plan = explain(connection, statement)
        except psycopg.Error as error:
            yield f"{statement.name}: preparation", str(error)
            continue
        for message in broken_promises_of_plan(statement, plan, schema, version) if "Plan" in statement.labels else ():
            yield f"{statement.name}: plan", message
        # What only reads cannot fail for want of an index at all.
        if runs and any(node["Node Type"] == "ModifyTable" for node in nodes(plan)):
            try:
                with rolled_back(connection):
                    run(connection, statement)
            except (psycopg.Error, ExampleError) as error:
                yield f"{statement.name}: execution", str(error)


def _disproved(subject: Subject, proofs: Iterable[Proof]) -> Iterator[tuple[str, str]]:
    for proof in proofs:
        for diagnostic in proof(subject):
            yield f"{diagnostic.query}: {diagnostic.check}", diagnostic.message


def _lost(schema: DatabaseSchema, left: DatabaseSchema) -> Iterator[str]:
    """Yield what foreign keys lose from one schema to the next."""
    for table in _tables(schema):
        now = left.tables[table.name]
        for foreign_key in table.foreign_keys:
            if foreign_key.name not in now.constraints:
                yield f"{foreign_key.name}: reference"
            elif table.support_of(foreign_key) and not now.support_of(foreign_key):
                yield f"{foreign_key.name}: support"


def _broken_promises_of_foreign_key(table: Table, foreign_key: Constraint) -> Iterator[str]:
    is_supported = table.support_of(foreign_key) is not None
    has_reason = (foreign_key.comment or "").startswith(_NO_INDEX)
    name, columns = foreign_key.name, ", ".join(foreign_key.columns)
    if not is_supported and not has_reason:
        yield (
            f"No index supports {name}, so that to delete a row of {foreign_key.referenced_table} reads the whole of"
            f" {table.name}: have an index that begins with {columns}, or say why there is none:"
            f" COMMENT ON CONSTRAINT {name} ON {table.name} IS '{_NO_INDEX} supports it: …'."
        )
    if is_supported and has_reason:
        yield f"The comment on {name} says that no index supports it, but one does: drop the index or the comment."


def _reach(schema: DatabaseSchema) -> Mapping[str, frozenset[str]]:
    """Return which tables a statement may use that names one: itself, and those of its triggers and foreign keys."""
    bodies = {name: _words(function.definition) for name, function in schema.functions.items()}
    direct = {
        name: {
            other for trigger in table.triggers.values() for other in schema.tables.keys() & bodies[trigger.function]
        }
        | {other.name for other in schema.tables.values() for key in other.foreign_keys if key.referenced_table == name}
        for name, table in schema.tables.items()
    }
    return defaultdict(frozenset, {name: frozenset(_closure(name, direct)) for name in direct})


def _closure(name: str, direct: Mapping[str, set[str]]) -> set[str]:
    found, new = set[str](), {name}
    while new:
        found |= new
        new = {other for one in new for other in direct[one]} - found
    return found


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))
