"""Grants: what the roles may do is what they must.

What the project's `app` role has been granted is what the statements need, as `proofs.privileges` reads it out of them;
each statement runs as that role; and each grant, revoked, breaks one of them. The `readonly` role reads, and no secret.
PUBLIC, who is everybody, has nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiosql
import psycopg
from psycopg.sql import SQL, Composed, Identifier

from service.migrate.errors import reason
from service.sqlcheck.checks.origins import PUBLIC, Origins
from service.sqlcheck.diagnostics import CheckError, Diagnostic
from service.sqlcheck.proofs.privileges import ANY, Privilege, Reason, reasons
from service.sqlcheck.reading.schema import Column, DatabaseSchema, Table
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import ExampleError, explain, rolled_back
from service.sqlcheck.trial.scratch import Connection

_CHECK: Final = "grants"
_roles = aiosql.from_path(Path(__file__).with_name("grants.sql"), "psycopg", mandatory_parameters=True)

# What is secret: bytes, which here are digests, salts and answers, and what the name says is one. So a new column of
# that kind is closed until this says otherwise.
_SECRET_NAME: Final = re.compile(r"(^|_)(hash|key|password|salt|secret|token)$")

_Needs = Mapping[Statement, Mapping[Privilege, Reason]]


@dataclass(frozen=True, slots=True)
class _Excess:
    """A privilege that somebody has and should not."""

    role: str
    privilege: Privilege
    message: str

    def at(self, origins: Origins) -> Diagnostic:
        """Return the diagnostic, at the line that grants the privilege, or else where the role is first named."""
        return origins.of_grant(self.role, self.privilege).diagnostic(_CHECK, self.message)


@dataclass(frozen=True, slots=True)
class _Grant:
    """A privilege that a role has, and whether it may grant it to others."""

    role: str
    privilege: Privilege
    is_grantable: bool


def is_secret(column: Column) -> bool:
    """Tell whether nobody but the service may read a column."""
    return column.type == "bytea" or _SECRET_NAME.search(column.name) is not None


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Hold what has been granted against what is needed.

    Yields:
        Each diagnostic: at the statement that lacks a privilege, or at the GRANT of one that is too much.
    """
    schema, connection, origins = subject.schema, subject.connection, Origins(subject.project)
    app, readonly = subject.project.roles.app, subject.project.roles.readonly
    needs: dict[Statement, Mapping[Privilege, Reason]] = {}
    for statement in subject.statements:
        try:
            needs[statement] = reasons(statement, schema)
        except CheckError as error:
            yield statement.diagnostic(_CHECK, str(error))
    roles = [app, readonly]
    listed = _roles.list_grants(connection, roles=roles)
    grants = [_Grant(role, Privilege(*privilege), may) for role, *privilege, may in listed]
    granted = {role: {one.privilege for one in grants if one.role == role} for role in (*roles, PUBLIC)}
    exact = _exact(needs, granted[app])
    yield from _missing(needs, granted[app], schema, app)
    for excess in _superfluous(needs, granted[app] - exact, app):
        yield excess.at(origins)
    with rolled_back(connection):
        _grant_only(connection, exact, schema, app)
        unproven = list(_unproven(needs, exact, connection, app))
    for one in unproven:
        yield one.at(origins) if isinstance(one, _Excess) else one
    for excess in (*_of_readonly(granted[readonly], schema, readonly), *_of_anybody(grants)):
        yield excess.at(origins)
    for role, power in _roles.list_powers(connection, roles=roles):
        message = f"{role} {power}, and may do nothing but what is granted by name: take that away from it."
        yield origins.of_role(role).diagnostic(_CHECK, message)


def _exact(needs: _Needs, granted: set[Privilege]) -> set[Privilege]:
    """Return those of the privileges that are needed; of some that would do equally well, one."""
    all_needs = set[Privilege]().union(*needs.values())
    exact = granted & all_needs
    for need in all_needs:
        serving = sorted(one for one in granted if one.column and one.serves(need))
        if serving and exact.isdisjoint(serving):
            exact.add(serving[0])
    return exact


def _missing(needs: _Needs, granted: set[Privilege], schema: DatabaseSchema, app: str) -> Iterator[Diagnostic]:
    """Yield each privilege that the role of the statements lacks, at the first statement that needs it."""
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
            yield statement.diagnostic(
                _CHECK,
                f"Needs {need}{why}, which {app} has not been granted: have a migration say GRANT {grant} TO {app}.",
                why_needed.node,
            )


def _superfluous(needs: _Needs, unneeded: set[Privilege], app: str) -> Iterator["_Excess"]:
    for privilege in sorted(unneeded):
        needed = {need.column for one in needs.values() for need in one if privilege.serves(need)} - {ANY}
        if privilege.column is None and needed:
            columns = ", ".join(sorted(filter(None, needed)))
            narrow = replace(privilege, column=columns)
            yield _Excess(
                app,
                privilege,
                f"{app} has {privilege}, of which the statements need some columns only:"
                f" have a migration say {_revoking(privilege, app)} and GRANT {narrow} TO {app}.",
            )
        else:
            yield _Excess(
                app,
                privilege,
                f"{app} has {privilege}, which no statement needs: have a migration say {_revoking(privilege, app)}.",
            )


def _grant_only(connection: Connection, privileges: Iterable[Privilege], schema: DatabaseSchema, app: str) -> None:
    """Take everything on our tables from a role and from everybody, and give the role these."""
    tables = SQL(", ").join(Identifier(name) for name in schema.tables)
    connection.execute(SQL("REVOKE ALL ON {} FROM {}, PUBLIC").format(tables, Identifier(app)))
    for privilege in privileges:
        connection.execute(SQL("GRANT {} TO {}").format(_composed(privilege), Identifier(app)))


def _composed(privilege: Privilege) -> Composed:
    columns = SQL(" ({})").format(Identifier(privilege.column)) if privilege.column else SQL("")
    return SQL("{}{} ON {}").format(SQL(privilege.verb), columns, Identifier(privilege.table))


def _unproven(
    needs: _Needs, exact: set[Privilege], connection: Connection, app: str
) -> Iterator["Diagnostic | _Excess"]:
    """Yield what the database says otherwise: a statement that fails, or a privilege without which none does."""
    working = set()
    for statement, its_needs in needs.items():
        try:
            error = _error(connection, statement, app)
        except ExampleError:
            continue  # which other checks tell of
        if error is None:
            working.add(statement)
        elif not isinstance(error, psycopg.errors.InsufficientPrivilege):
            yield statement.diagnostic(
                _CHECK, f"Fails with its examples: {reason(error)}. Mend the examples of what its Takes names."
            )
        elif all(any(one.serves(need) for one in exact) for need in its_needs):
            yield statement.diagnostic(
                _CHECK,
                f"Fails as {app}: {reason(error)}, which is more than what its tables and their triggers need:"
                " do without it.",
            )
    for privilege in sorted(exact):
        # Those that need this very one come first: who locks rows may do so by another column.
        using = [statement for statement in needs if any(privilege.serves(need) for need in needs[statement])]
        using.sort(key=lambda one: privilege not in needs[one])
        # Of one that does not run anyway it cannot be told whether it needs this.
        if working.issuperset(using) and not _breaks_one(connection, privilege, using, app):
            names = ", ".join(one.name for one in using)
            yield _Excess(
                app,
                privilege,
                f"Without {privilege} no statement fails, though {names} would seem to need it: write an example with"
                f" which one of them does, or have a migration say {_revoking(privilege, app)}.",
            )


def _breaks_one(connection: Connection, privilege: Privilege, using: Iterable[Statement], app: str) -> bool:
    with rolled_back(connection):
        connection.execute(SQL("REVOKE {} FROM {}").format(_composed(privilege), Identifier(app)))
        return any(isinstance(_error(connection, one, app), psycopg.errors.InsufficientPrivilege) for one in using)


def _error(connection: Connection, statement: Statement, role: str) -> psycopg.Error | None:
    """Return what happens when a role runs a statement with its examples; nothing that it does stays.

    Raises:
        ExampleError: a parameter has no example.
    """
    try:
        with rolled_back(connection):
            connection.execute(SQL("SET LOCAL ROLE {}").format(Identifier(role)))
            explain(connection, statement, analyse=True)
    except psycopg.Error as error:
        return error
    return None


def _of_readonly(granted: set[Privilege], schema: DatabaseSchema, readonly: str) -> Iterator["_Excess"]:
    for privilege in sorted(granted):
        table = schema.tables.get(privilege.table)
        secret = _secret_columns(table) if table and table.is_ours else []
        if privilege.verb != "SELECT":
            told = f"{readonly} has {privilege}, and may only read: have a migration say "
        elif privilege.column in secret:
            told = f"{readonly} may read {privilege.table}.{privilege.column}, which is secret: have a migration say "
        elif table and secret and privilege.column is None:
            told = (
                f"{readonly} may read all of {table.name}, where {', '.join(secret)} is secret: have a migration"
                f" say GRANT {replace(privilege, column=_open_columns(table))} TO {readonly}, after "
            )
        else:
            continue
        yield _Excess(readonly, privilege, f"{told}{_revoking(privilege, readonly)}.")


def _secret_columns(table: Table) -> list[str]:
    return [name for name, column in table.columns.items() if is_secret(column)]


def _open_columns(table: Table) -> str:
    return ", ".join(name for name, column in table.columns.items() if not is_secret(column))


def _of_anybody(grants: Iterable[_Grant]) -> Iterator["_Excess"]:
    for grant in grants:
        if grant.role == PUBLIC:
            told = f"Everybody has {grant.privilege}: have a migration say {_revoking(grant.privilege, PUBLIC)}."
            yield _Excess(PUBLIC, grant.privilege, told)
        elif grant.is_grantable:
            told = f"{grant.role} may grant {grant.privilege} to others: have a migration say REVOKE GRANT OPTION FOR"
            yield _Excess(grant.role, grant.privilege, f"{told} {grant.privilege} FROM {grant.role}.")


def _revoking(privilege: Privilege, role: str) -> str:
    return f"REVOKE {privilege} FROM {role}"
