"""Gathers what the catalogue says of tables: what they have, what each index is for, and which queries use them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from service.sqlcheck.catalogue.model import (
    VERBS,
    ColumnEntry,
    ConstraintEntry,
    ForeignKey,
    Grant,
    IndexEntry,
    Need,
    QueryEntry,
    TableEntry,
    TriggerEntry,
)
from service.sqlcheck.proofs.privileges import ANY, Privilege, Reason
from service.sqlcheck.reading import schema as live

_KINDS: Final = {"p": "primary key", "u": "unique", "c": "check"}
# What people write, for what the standard calls it.
_USUAL: Final = {
    "character varying": "varchar",
    "double precision": "float8",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}
_VERBS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
# What `indexes.uses` calls the reasons.
_WHY: Final = {
    "plan": "its plan",
    "preparation": "its ON CONFLICT",
    "execution": "a trigger that it fires",
    "Raises": "a rule that it names",
    "contracts": "a proof about its rows",
    "reference": "what it refers to",
    "support": "finds the rows that refer to one",
}
_ON_DELETE: Final = re.compile(r"\bON DELETE (CASCADE|RESTRICT|SET NULL|SET DEFAULT)")
_TRIGGER: Final = re.compile(r"CREATE TRIGGER \S+ (?P<moment>.+?) ON \S+ (?P<rest>.+) EXECUTE FUNCTION ", re.DOTALL)


def read_table(
    table: live.Table,
    schema: live.DatabaseSchema,
    queries: Sequence[QueryEntry],
    used: Mapping[str, Sequence[str]],
    granted: Iterable[Privilege],
) -> TableEntry:
    """Return what the catalogue says of a table.

    Args:
        table: the table.
        schema: the schema.
        queries: every query.
        used: what each index is needed for, as `indexes.uses` says.
        granted: what the queries need, all together.
    """
    needed = [privilege for privilege in granted if privilege.table == table.name]
    return TableEntry(
        name=table.name,
        comment=table.comment or "",
        owner=table.owner or "",
        columns=tuple(_column(column, table) for column in table.columns.values()),
        constraints=tuple(
            ConstraintEntry(one.name, words, one.definition, one.comment or "")
            for kind, words in _KINDS.items()
            for one in table.constraints.values()
            if one.kind == kind
        ),
        foreign_keys=tuple(_foreign_key(one, table) for one in table.foreign_keys),
        indexes=tuple(_index(index, queries, used.get(index.name, ())) for index in table.indexes.values()),
        triggers=tuple(_trigger(one, schema) for one in table.triggers.values()),
        grants=privileges_text(needed, table),
        used_by={verb: found for verb in VERBS if (found := tuple(_users(table.name, verb, queries)))},
    )


def type_name(written: str) -> str:
    """Return what people write for a type: `varchar(200)`, `timestamptz`."""
    for formal, usual in _USUAL.items():
        written = written.replace(formal, usual)
    return written


def grants_of(needed: Mapping[Privilege, Reason], schema: live.DatabaseSchema) -> tuple[Grant, ...]:
    """Return what a query needs: by table, first for itself and then for its triggers."""
    found: dict[tuple[str, str], list[Privilege]] = {}
    for privilege, reason in needed.items():
        found.setdefault((reason.trigger, privilege.table), []).append(privilege)
    return tuple(
        Grant(table, privileges_text(privileges, schema.tables[table]), trigger)
        for (trigger, table), privileges in sorted(found.items(), key=lambda item: item[0])
    )


def privileges_text(privileges: Sequence[Privilege], table: live.Table) -> str:
    """Return privileges on a table as GRANT writes them, without those that another of them serves."""
    order = [None, *table.columns, ANY]
    kept = [one for one in privileges if not any(other != one and other.serves(one) for other in privileges)]
    written = []
    for verb in _VERBS:
        columns = sorted({one.column for one in kept if one.verb == verb}, key=order.index)
        if columns:
            listed = ", ".join(column for column in columns if column)
            written.append(f"{verb} ({listed})" if listed else verb)
    return ", ".join(written)


def _column(column: live.Column, table: live.Table) -> ColumnEntry:
    unique = {index.columns for index in table.unique_indexes if index.predicate is None}
    is_part = {
        "PK": any(one.kind == "p" and column.name in one.columns for one in table.constraints.values()),
        "FK": any(column.name in one.columns for one in table.foreign_keys),
    }
    marks = [mark for mark, holds in is_part.items() if holds]
    if (column.name,) in unique and "PK" not in marks:
        marks.append("UK")
    return ColumnEntry(
        name=column.name,
        type=type_name(column.type),
        is_nullable=not column.not_null,
        default=column.default_value or "",
        comment=column.comment or "",
        keys=tuple(marks),
    )


def _foreign_key(key: live.Constraint, table: live.Table) -> ForeignKey:
    columns = set(key.columns)
    on_delete = _ON_DELETE.search(key.definition)
    support = table.support_of(key)
    return ForeignKey(
        name=key.name,
        columns=key.columns,
        target=key.referenced_table or "",
        target_columns=key.referenced_columns,
        on_delete=on_delete[1] if on_delete else "NO ACTION",
        support=support.name if support else "",
        comment=key.comment or "",
        is_nullable=any(not table.columns[name].not_null for name in columns),
        is_unique=any(set(one.columns) <= columns and one.predicate is None for one in table.unique_indexes),
    )


def _index(index: live.Index, queries: Sequence[QueryEntry], used: Sequence[str]) -> IndexEntry:
    needs = tuple(_needs(used))
    planned = [query.name for query in queries if any(step.index == index.name for step in query.plan.walk())]
    needing = {need.name for need in needs}
    return IndexEntry(
        name=index.name,
        keys=index.definition.partition(" USING ")[2].partition(" WHERE ")[0],
        is_unique=index.is_unique,
        condition=index.predicate or "",
        needs=needs,
        read_by=tuple(name for name in planned if name not in needing),
    )


def _needs(used: Sequence[str]) -> Iterator[Need]:
    reasons: dict[str, list[str]] = {}
    for text in used:
        name, _, why = text.partition(": ")
        reasons.setdefault(name, []).append(_WHY.get(why, f"a proof of its {why}"))
    for name, whys in reasons.items():
        yield Need(name, tuple(whys))


def _trigger(trigger: live.Trigger, schema: live.DatabaseSchema) -> TriggerEntry:
    match = _TRIGGER.match(trigger.definition)
    function = schema.functions.get(trigger.function)
    when = f"{match['moment']} {match['rest']}" if match else trigger.definition
    return TriggerEntry(trigger.name, when, trigger.function, (function.comment if function else None) or "")


def _users(table: str, verb: str, queries: Sequence[QueryEntry]) -> Iterator[tuple[str, str]]:
    """Yield the queries that do something with a table, each with what does it for it."""
    for query in queries:
        for use in query.uses:
            if use.table == table and verb in use.verbs:
                yield query.name, use.trigger
