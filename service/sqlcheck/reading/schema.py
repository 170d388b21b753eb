"""The schema as it is in a database: what the statements are held against."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosql
import psycopg
from pglast import parse_sql
from psycopg.rows import dict_row

from service.sqlcheck.project import Owner, Project
from service.sqlcheck.reading.trees import Node, expression_text

catalog = aiosql.from_path(Path(__file__).with_name("catalog.sql"), "psycopg", mandatory_parameters=True)


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `type` is as PostgreSQL writes it, with its length: `character varying(200)`."""

    name: str
    type: str
    not_null: bool
    default_value: str | None
    comment: str | None

    @property
    def room(self) -> int | None:
        """The number of characters that it has room for; None where that is not limited."""
        name, _, length = self.type.removesuffix(")").partition("(")
        return int(length) if name in ("character varying", "character") and length else None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint. `kind` is that of pg_constraint: c, f, p or u; `columns` are in the order of the constraint."""

    name: str
    kind: str
    columns: tuple[str, ...]
    referenced_table: str | None
    referenced_columns: tuple[str, ...]
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Index:
    """An index. `predicate` makes it partial; `constraint` is the one that it enforces, by its name.

    `columns` are those of its keys that are plain columns; `is_plain` says whether all are.
    """

    name: str
    columns: tuple[str, ...]
    is_plain: bool
    is_unique: bool
    predicate: str | None
    constraint: str | None
    definition: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that it is sorted by, in order; for one that is an expression, the expression."""
        statement: Node = parse_sql(self.definition)[0].stmt
        return tuple(key.name or expression_text(key.expr) for key in statement.indexParams)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger. `events` are those of INSERT, UPDATE and DELETE on which it fires."""

    name: str
    function: str
    events: frozenset[str]
    definition: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the schema, such as that of a trigger."""

    name: str
    language: str
    is_security_definer: bool
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table, with what hangs on it; each mapping is by name.

    `owner` is the column that says whose a row is, None where rows are nobody's in particular. `is_ours` says whether
    migrations made it, and not the runner or yoyo for itself.
    """

    name: str
    comment: str | None
    columns: Mapping[str, Column]
    constraints: Mapping[str, Constraint]
    indexes: Mapping[str, Index]
    triggers: Mapping[str, Trigger]
    owner: str | None
    is_ours: bool

    @property
    def foreign_keys(self) -> list[Constraint]:
        """Its foreign keys."""
        return [constraint for constraint in self.constraints.values() if constraint.kind == "f"]

    @property
    def unique_indexes(self) -> list[Index]:
        """Its unique indexes on plain columns, partial ones too."""
        return [index for index in self.indexes.values() if index.is_unique and index.is_plain]

    def support_of(self, foreign_key: Constraint) -> Index | None:
        """Return the index that finds the rows which refer to one row: it begins with their columns, in any order."""
        columns = foreign_key.columns
        for index in self.indexes.values():
            is_searched = index.predicate is None and " USING btree " in index.definition
            if is_searched and set(index.keys[: len(columns)]) == set(columns):
                return index
        return None


@dataclass(frozen=True, slots=True)
class DatabaseSchema:
    """Every table and function, by name, and whose the rows of tables are."""

    tables: Mapping[str, Table]
    functions: Mapping[str, Function]
    owner: Owner


def read_schema(project: Project, conn: psycopg.Connection[Any]) -> DatabaseSchema:
    """Read the schema of a project's database: the tables of the current schema, in alphabetical order."""
    columns = _by_table(_rows(conn, catalog.list_columns))
    constraints = _by_table(_rows(conn, catalog.list_constraints))
    indexes = _by_table(_rows(conn, catalog.list_indexes))
    triggers = _by_table(_rows(conn, catalog.list_triggers))
    tables = {
        row["name"]: Table(
            name=row["name"],
            comment=row["comment"],
            columns={column["name"]: Column(**column) for column in columns.get(row["name"], [])},
            constraints={one["name"]: _constraint(one) for one in constraints.get(row["name"], [])},
            indexes={one["name"]: _index(one) for one in indexes.get(row["name"], [])},
            triggers={one["name"]: _trigger(one) for one in triggers.get(row["name"], [])},
            owner=_owner(project.owner, row["name"], columns.get(row["name"], [])),
            is_ours=project.makes(row["name"]),
        )
        for row in _rows(conn, catalog.list_tables)
    }
    functions = {row["name"]: Function(**row) for row in _rows(conn, catalog.list_functions)}
    return DatabaseSchema(tables, functions, project.owner)


def _rows(conn: psycopg.Connection[Any], query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- aiosql's
    """Run a query of the catalog, with rows by the names of their columns."""
    made, conn.row_factory = conn.row_factory, dict_row
    try:
        return list(query(conn))
    finally:
        conn.row_factory = made


def _by_table(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row.pop("table_name"), []).append(row)
    return found


def _owner(owner: Owner, table: str, columns: list[dict[str, Any]]) -> str | None:
    if table == owner.table:
        return owner.key
    return owner.column if any(column["name"] == owner.column for column in columns) else None


def _constraint(row: dict[str, Any]) -> Constraint:
    return Constraint(
        row["name"],
        row["kind"] if isinstance(row["kind"], str) else row["kind"].decode(),
        tuple(row["columns"]),
        row["referenced_table"],
        tuple(row["referenced_columns"]),
        row["definition"],
        row["comment"],
    )


def _index(row: dict[str, Any]) -> Index:
    return Index(
        row["name"],
        tuple(row["columns"]),
        row["is_plain"],
        row["is_unique"],
        row["predicate"],
        row["constraint_name"],
        row["definition"],
    )


def _trigger(row: dict[str, Any]) -> Trigger:
    events = {"INSERT": row["on_insert"], "UPDATE": row["on_update"], "DELETE": row["on_delete"]}
    fired = frozenset(event for event, fires in events.items() if fires)
    return Trigger(row["name"], row["function_name"], fired, row["definition"])
