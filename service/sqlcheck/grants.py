"""Grants: what the roles may do is what they must.

What `task_app` has been granted is what the statements need, as `service.sqlcheck.privileges` reads it out of them;
each statement runs as `task_app`; and each grant, revoked, breaks one of them. `task_readonly` reads, and no secret.
PUBLIC, who is everybody, has nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiosql
import psycopg
from pglast import ast, parse_sql
from psycopg.sql import SQL, Composed, Identifier

from service.migrate.errors import reason
from service.resources import resource_folder
from service.sqlcheck.execution import ExampleError, explain, rolled_back
from service.sqlcheck.faults import CheckError, Fault
from service.sqlcheck.privileges import ANY, Privilege, Reason, reasons
from service.sqlcheck.schema import Column, Schema, Table
from service.sqlcheck.scratch import Connection
from service.sqlcheck.statements import Statement

APP: Final = "task_app"
READONLY: Final = "task_readonly"
PUBLIC: Final = "PUBLIC"

_CHECK: Final = "grants"
_ROLES: Final = "0011.create-roles.sql"
_roles = aiosql.from_path(Path(__file__).with_name("grants.sql"), "psycopg", mandatory_parameters=True)

# What is secret: bytes, which here are digests, salts and answers, and what the name says is one. So a new column of
# that kind is closed until this says otherwise.
_SECRET_NAME: Final = re.compile(r"(^|_)(hash|key|password|salt|secret|token)$")

_Needs = Mapping[Statement, Mapping[Privilege, Reason]]
# By role and privilege, the file and the line of the GRANT.
_Written = dict[tuple[str, Privilege], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class _Told:
    """What is wrong with a privilege that somebody has."""

    role: str
    privilege: Privilege
    message: str

    def at(self, written: _Written) -> Fault:
        """Return the fault, at the line that grants it; where there is none, at the migration that makes the roles."""
        file, line = written.get((self.role, self.privilege), (_ROLES, 1))
        return Fault(f"migrations/{file}", line, "", _CHECK, self.message)


@dataclass(frozen=True, slots=True)
class _Grant:
    """A privilege that a role has, and whether it may grant it to others."""

    role: str
    privilege: Privilege
    is_grantable: bool


def is_secret(column: Column) -> bool:
    """Tell whether nobody but the service may read a column."""
    return column.type == "bytea" or _SECRET_NAME.search(column.name) is not None


def check(
    statements: Iterable[Statement], schema: Schema, connection: Connection, migrations: Path | None = None
) -> Iterator[Fault]:
    """Hold what has been granted against what is needed.

    Args:
        statements: every statement of the service.
        schema: the schema of the database.
        connection: to the database that the checks make, as a role that may do everything.
        migrations: the folder of the migrations, for the lines that faults are on; by default the service's own.

    Yields:
        Each fault: at the statement that lacks a privilege, or at the GRANT of one that is too much.
    """
    needs: dict[Statement, Mapping[Privilege, Reason]] = {}
    for statement in statements:
        try:
            needs[statement] = reasons(statement, schema)
        except CheckError as error:
            yield statement.fault(_CHECK, str(error))
    grants = [_Grant(role, Privilege(*privilege), may) for role, *privilege, may in _roles.list_grants(connection)]
    granted = {role: {one.privilege for one in grants if one.role == role} for role in (APP, READONLY, PUBLIC)}
    exact = _exact(needs, granted[APP])
    yield from _missing(needs, granted[APP], schema)
    written = _written_grants(migrations or resource_folder("migrations"))
    for told in _superfluous(needs, granted[APP] - exact):
        yield told.at(written)
    with rolled_back(connection):
        _grant_only(connection, exact, schema)
        unproven = list(_unproven(needs, exact, connection))
    for one in unproven:
        yield one.at(written) if isinstance(one, _Told) else one
    for told in (*_of_readonly(granted[READONLY], schema), *_of_anybody(grants)):
        yield told.at(written)
    for role, power in _roles.list_powers(connection):
        message = f"{role} {power}, and may do nothing but what is granted by name: take that away from it."
        yield Fault(f"migrations/{_ROLES}", 1, "", _CHECK, message)


def _exact(needs: _Needs, granted: set[Privilege]) -> set[Privilege]:
    """Return those of the privileges that are needed; of some that would do equally well, one."""
    all_needs = set[Privilege]().union(*needs.values())
    exact = granted & all_needs
    for need in all_needs:
        serving = sorted(one for one in granted if one.column and one.serves(need))
        if serving and exact.isdisjoint(serving):
            exact.add(serving[0])
    return exact


def _missing(needs: _Needs, granted: set[Privilege], schema: Schema) -> Iterator[Fault]:
    """Yield each privilege that task_app lacks, at the first statement that needs it."""
    # Who has one that another statement needs may have what any column would do for.
    served = granted | {need for one in needs.values() for need in one if need.column != ANY}
    told = set[Privilege]()
    for statement, its_reasons in needs.items():
        for need, why_needed in sorted(its_reasons.items()):
            having = served if need.column == ANY else granted
            if need in told or any(one.serves(need) for one in having):
                continue
            told.add(need)
            why = f", for its trigger {why_needed.trigger}" if why_needed.trigger else ""
            why += ", to lock rows" if (need.verb, need.column) == ("UPDATE", ANY) else ""
            # The last column is the least likely to be of a key.
            grant = replace(need, column=[*schema.tables[need.table].columns][-1]) if need.column == ANY else need
            yield statement.fault(
                _CHECK,
                f"Needs {need}{why}, which {APP} has not been granted: add a migration with GRANT {grant} TO {APP}.",
                why_needed.node,
            )


def _superfluous(needs: _Needs, unneeded: set[Privilege]) -> Iterator["_Told"]:
    for privilege in sorted(unneeded):
        needed = {need.column for one in needs.values() for need in one if privilege.serves(need)} - {ANY}
        if privilege.column is None and needed:
            columns = ", ".join(sorted(filter(None, needed)))
            narrow = replace(privilege, column=columns)
            yield _Told(
                APP,
                privilege,
                f"{APP} has {privilege}, of which the statements need some columns only:"
                f" add a migration with {_revoking(privilege, APP)} and GRANT {narrow} TO {APP}.",
            )
        else:
            yield _Told(
                APP,
                privilege,
                f"{APP} has {privilege}, which no statement needs: add a migration with {_revoking(privilege, APP)}.",
            )


def _grant_only(connection: Connection, privileges: Iterable[Privilege], schema: Schema) -> None:
    """Take everything on our tables from task_app and from everybody, and give task_app these."""
    tables = SQL(", ").join(Identifier(name) for name in schema.tables)
    connection.execute(SQL("REVOKE ALL ON {} FROM {}, PUBLIC").format(tables, Identifier(APP)))
    for privilege in privileges:
        connection.execute(SQL("GRANT {} TO {}").format(_composed(privilege), Identifier(APP)))


def _composed(privilege: Privilege) -> Composed:
    columns = SQL(" ({})").format(Identifier(privilege.column)) if privilege.column else SQL("")
    return SQL("{}{} ON {}").format(SQL(privilege.verb), columns, Identifier(privilege.table))


def _unproven(needs: _Needs, exact: set[Privilege], connection: Connection) -> Iterator["Fault | _Told"]:
    """Yield what the database says otherwise: a statement that fails, or a privilege without which none does."""
    working = set()
    for statement, its_needs in needs.items():
        try:
            error = _error(connection, statement)
        except ExampleError:
            continue  # which other checks tell of
        if error is None:
            working.add(statement)
        elif not isinstance(error, psycopg.errors.InsufficientPrivilege):
            yield statement.fault(
                _CHECK, f"Fails with its examples: {reason(error)}. Mend the examples of what its Takes names."
            )
        elif all(any(one.serves(need) for one in exact) for need in its_needs):
            yield statement.fault(
                _CHECK,
                f"Fails as {APP}: {reason(error)}, which is more than what its tables and their triggers need:"
                " do without it.",
            )
    for privilege in sorted(exact):
        # Those that need this very one come first: who locks rows may do so by another column.
        using = [statement for statement in needs if any(privilege.serves(need) for need in needs[statement])]
        using.sort(key=lambda one: privilege not in needs[one])
        # Of one that does not run anyway it cannot be told whether it needs this.
        if working.issuperset(using) and not _breaks_one(connection, privilege, using):
            names = ", ".join(one.name for one in using)
            yield _Told(
                APP,
                privilege,
                f"Without {privilege} no statement fails, though {names} would seem to need it: write an example with"
                f" which one of them does, or add a migration with {_revoking(privilege, APP)}.",
            )


def _breaks_one(connection: Connection, privilege: Privilege, using: Iterable[Statement]) -> bool:
    with rolled_back(connection):
        connection.execute(SQL("REVOKE {} FROM {}").format(_composed(privilege), Identifier(APP)))
        return any(isinstance(_error(connection, one), psycopg.errors.InsufficientPrivilege) for one in using)


def _error(connection: Connection, statement: Statement) -> psycopg.Error | None:
    """Return what happens when task_app runs a statement with its examples; nothing that it does stays.

    Raises:
        ExampleError: a parameter has no example.
    """
    try:
        with rolled_back(connection):
            connection.execute(SQL("SET LOCAL ROLE {}").format(Identifier(APP)))
            explain(connection, statement, analyse=True)
    except psycopg.Error as error:
        return error
    return None


def _of_readonly(granted: set[Privilege], schema: Schema) -> Iterator["_Told"]:
    for privilege in sorted(granted):
        table = schema.tables.get(privilege.table)
        secret = _secret_columns(table) if table and table.is_ours else []
        if privilege.verb != "SELECT":
            told = f"{READONLY} has {privilege}, and may only read: add a migration with "
        elif privilege.column in secret:
            told = f"{READONLY} may read {privilege.table}.{privilege.column}, which is secret: add a migration with "
        elif table and secret and privilege.column is None:
            told = (
                f"{READONLY} may read all of {table.name}, where {', '.join(secret)} is secret: add a migration"
                f" with GRANT {replace(privilege, column=_open_columns(table))} TO {READONLY}, after "
            )
        else:
            continue
        yield _Told(READONLY, privilege, f"{told}{_revoking(privilege, READONLY)}.")


def _secret_columns(table: Table) -> list[str]:
    return [name for name, column in table.columns.items() if is_secret(column)]


def _open_columns(table: Table) -> str:
    return ", ".join(name for name, column in table.columns.items() if not is_secret(column))


def _of_anybody(grants: Iterable[_Grant]) -> Iterator["_Told"]:
    for grant in grants:
        if grant.role == PUBLIC:
            told = f"Everybody has {grant.privilege}: add a migration with {_revoking(grant.privilege, PUBLIC)}."
            yield _Told(PUBLIC, grant.privilege, told)
        elif grant.is_grantable:
            told = f"{grant.role} may grant {grant.privilege} to others: add a migration with REVOKE GRANT OPTION FOR"
            yield _Told(grant.role, grant.privilege, f"{told} {grant.privilege} FROM {grant.role}.")


def _revoking(privilege: Privilege, role: str) -> str:
    return f"REVOKE {privilege} FROM {role}"


def _written_grants(migrations: Path) -> _Written:
    """Return the last place at which the migrations grant each privilege on a table to each role."""
    found: _Written = {}
    for file in sorted(migrations.glob("*.sql")):
        if file.name.endswith(".rollback.sql"):
            continue
        text = file.read_bytes()
        for statement in parse_sql(text.decode()):
            node: Any = statement.stmt
            if isinstance(node, ast.GrantStmt) and node.is_grant and node.privileges:
                for table, part, role in _combined(node):
                    line = text[: table.location].count(b"\n") + 1
                    for column in [one.sval for one in part.cols or ()] or [None]:
                        privilege = Privilege(table.relname, part.priv_name.upper(), column)
                        found[role.rolename or PUBLIC, privilege] = file.name, line
    return found


def _combined(grant: Any) -> Iterator[tuple[Any, Any, Any]]:  # noqa: ANN401 -- pglast's nodes
    """Yield each table of a GRANT with each of its privileges and roles."""
    tables = [one for one in grant.objects or () if isinstance(one, ast.RangeVar)]
    for table in tables:
        for privilege in grant.privileges:
            for role in grant.grantees:
                yield table, privilege, role
