"""Gathers the catalogue: what the statements say, what PostgreSQL says of them, and what the checks have found out."""

from collections.abc import Iterator, Mapping, Sequence

import psycopg
from pglast import ast
from pglast.stream import RawStream

from service.migrate.errors import reason
from service.schemas.fields import IsSet
from service.schemas.labels import AT_MOST_ONE, EXACTLY_ONE, ContractError, Returns, Source, read_returns
from service.schemas.promises import fields_of_columns
from service.sqlcheck.catalogue.callers import callers
from service.sqlcheck.catalogue.model import Catalogue, OutputEntry, ParameterEntry, QueryEntry
from service.sqlcheck.catalogue.steps import named, read_plan
from service.sqlcheck.catalogue.tables import grants_of, read_table, type_name
from service.sqlcheck.catalogue.uses import uses_of
from service.sqlcheck.checks import indexes
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.proofs.cardinality import at_least_one
from service.sqlcheck.proofs.functions import called
from service.sqlcheck.proofs.nullability import Prover
from service.sqlcheck.proofs.ownership import limits
from service.sqlcheck.proofs.privileges import Privilege, Reason, reasons
from service.sqlcheck.reading.resolver import UnreadableError, read
from service.sqlcheck.reading.schema import DatabaseSchema
from service.sqlcheck.reading.sources import sources
from service.sqlcheck.reading.statements import Statement
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.description import Description, RefusedError, Type, describe
from service.sqlcheck.trial.execution import explain
from service.sqlcheck.trial.scratch import Connection

_PROMISES = ("Returns", "Raises", "Plan")
_ROWS = {EXACTLY_ONE: "exactly one row", AT_MOST_ONE: "one row or none"}


def gather(subject: Subject, run_by: Mapping[str, Sequence[str]] | None = None) -> Catalogue:
    """Return the catalogue of some statements.

    Args:
        subject: the statements, and a database for them.
        run_by: who runs each of them, by name; those who do in the project's program, if not given.

    Raises:
        CheckError: a statement does not keep to the rules, and so cannot be described; `sql check` says more.
    """
    statements, schema, connection = subject.statements, subject.schema, subject.connection
    run_by = callers(subject.project, [statement.name for statement in statements]) if run_by is None else run_by
    needs = {statement.name: reasons(statement, schema) for statement in statements}
    queries = tuple(
        _query(statement, schema, connection, needs[statement.name], run_by.get(statement.name, ()))
        for statement in statements
    )
    used = indexes.uses(subject)
    granted = {privilege for needed in needs.values() for privilege in needed}
    ours = [table for table in schema.tables.values() if table.is_ours]
    project = subject.project
    return Catalogue(
        sql=project.names["sql"],
        migrations=project.names["migrations"],
        owners=project.owner.table,
        role=project.roles.app,
        version=connection.info.server_version // 10000,
        queries=queries,
        tables=tuple(read_table(table, schema, queries, used, granted) for table in ours),
        others=tuple(name for name, table in schema.tables.items() if not table.is_ours),
    )


def _query(
    statement: Statement,
    schema: DatabaseSchema,
    connection: Connection,
    needed: Mapping[Privilege, Reason],
    run_by: Sequence[str],
) -> QueryEntry:
    fed = sources(statement)
    returns = statement.labels.get("Returns")
    try:
        described = describe(connection, statement)
        promised = read_returns(returns.text if returns else "", statement.operator, statement.registry)
        outputs = tuple(_outputs(statement, schema, promised, described, fed))
        plan = read_plan(explain(connection, statement), statement.parameters)
    except RefusedError as error:
        raise CheckError(str(statement.diagnostic("catalogue", f"PostgreSQL does not prepare it: {error}."))) from error
    except psycopg.Error as error:
        told = f"PostgreSQL does not plan it: {reason(error)}."
        raise CheckError(str(statement.diagnostic("catalogue", told))) from error
    except (ContractError, UnreadableError) as error:
        raise CheckError(str(statement.diagnostic("catalogue", f"Cannot be described: {error}."))) from error
    return QueryEntry(
        name=statement.name,
        file=statement.file,
        line=statement.line,
        rows=_ROWS.get(promised.rows, "one value" if statement.operator else "any number of rows"),
        about=statement.about,
        promises={name: statement.labels[name].text for name in _PROMISES if name in statement.labels},
        exemption=statement.labels["Scope"].text if "Scope" in statement.labels else "",
        limits=tuple(dict.fromkeys(_limits(statement, schema))),
        sql=_sql(statement),
        parameters=tuple(_parameters(statement, described.parameters, fed)),
        outputs=outputs,
        plan=plan,
        grants=grants_of(needed, schema),
        functions=tuple(called(statement)),
        uses=uses_of(statement, schema, needed),
        callers=tuple(run_by),
    )


def _sql(statement: Statement) -> str:
    """Return the statement as its file has it: with the names of its parameters, and with the comments within it."""
    lines = [text for number, text in statement.source.items() if number >= statement.sql_lines[0]]
    return "\n".join(lines).strip()


def _parameters(statement: Statement, types: Sequence[Type], fed: Mapping[str, Source]) -> Iterator[ParameterEntry]:
    written = {name: type_name(one.written) for name, one in zip(statement.parameters, types, strict=True)}
    for name in statement.declared:
        source = fed.get(name)
        if source is None:
            yield ParameterEntry(name, written[name], is_nullable=True, source="", about="")
        else:
            about = str(source.field.metadata.get("description", "")) if source.field else _setting(source)
            yield ParameterEntry(name, written[name], source.is_nullable, source.name, about)


def _setting(source: Source) -> str:
    return f"The setting {source.name.rpartition('.')[2].upper()}."


def _outputs(
    statement: Statement,
    schema: DatabaseSchema,
    promised: Returns,
    described: Description,
    fed: Mapping[str, Source],
) -> Iterator[OutputEntry]:
    scope, _ = read(statement.tree, schema)
    numbered = enumerate(statement.parameters, 1)
    prover = Prover({number for number, name in numbered if name not in fed or fed[name].is_nullable})
    # Of no row there is no value.
    may_be_none = statement.operator == "$" and not at_least_one(scope)
    for place, column in enumerate(described.columns):
        is_nullable = may_be_none or not prover.described_column(scope, place, len(described.columns))
        about = _about(statement, promised, column.name)
        yield OutputEntry(column.name, type_name(column.type.written), is_nullable, column.origin, about)


def _about(statement: Statement, promised: Returns, column: str) -> str:
    """Return what the schema of a row says of a column, or what the statement says of its one value."""
    if promised.schema is None:
        about = statement.labels["Returns"].text.partition(", ")[2]
        return about[:1].upper() + about[1:]
    shown = fields_of_columns(promised.schema).get(column, ())
    told = [str(field.metadata.get("description", "")) for field in shown if not isinstance(field, IsSet)]
    return told[0] if told else ""


def _limits(statement: Statement, schema: DatabaseSchema) -> Iterator[str]:
    """Yield the comparisons that limit a statement to one owner, and the value that each row gets which is added."""
    for node in limits(statement, schema):
        if isinstance(node, ast.A_Expr | ast.ParamRef):
            yield named(str(RawStream()(node)), statement.parameters)
