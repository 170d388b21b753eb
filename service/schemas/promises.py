"""The promises that the comments of `sql/` make, held against PostgreSQL's types.

The service asks of every query when it starts; `python -m service sql check` asks the same, and more.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import marshmallow
from marshmallow import fields

from service.schemas.fields import IsSet
from service.schemas.labels import ContractError, Returns, read_labels, read_returns, read_source, read_takes
from service.schemas.registry import Registry
from service.schemas.types import SCALARS, types_fed_by, types_of

_UNKNOWN = "of no type that is known here"


@cache
def fields_of_columns(schema: type[marshmallow.Schema]) -> Mapping[str, tuple[fields.Field[Any], ...]]:
    """Return the fields that a row is dumped through, by the name of the column that each shows."""
    found: dict[str, tuple[fields.Field[Any], ...]] = {}
    for name, field in schema().dump_fields.items():
        column = field.attribute or name
        found[column] = (*found.get(column, ()), field)
    return found


def mismatches_of_parameter(parameter: str, source: str, types: Sequence[str], type_name: str) -> Iterator[str]:
    """Yield a sentence where a parameter has another type in PostgreSQL than those that its source can feed."""
    if type_name not in types:
        wanted = " or ".join(types) or _UNKNOWN
        yield (
            f"Parameter :{parameter} is {type_name} in PostgreSQL, but {source}, which feeds it, is {wanted}: change"
            " the one or the other."
        )


def mismatches_of_columns(promised: Returns, columns: Sequence[tuple[str, str]]) -> Iterator[tuple[int | None, str]]:
    """Yield a sentence for each column, of the given names and types, that breaks a promise, and the place in the list.

    The place is None where a column is missing, or there are too many of them to blame one.
    """
    schema = promised.schema
    if schema is None:
        yield from _mismatches_of_value(promised, columns)
        return
    expected, seen = fields_of_columns(schema), set()
    for place, (name, type_name) in enumerate(columns):
        if name in seen:
            yield place, f"Returns the column {name} twice: keep one."
        elif name not in expected:
            yield (
                place,
                f"Returns the column {name}, which {promised.name} does not show: remove it or add the field.",
            )
        else:
            for field in expected[name]:
                yield from ((place, told) for told in _mismatches_of_column(promised.name, field, name, type_name))
        seen.add(name)
    for name in expected:
        if name not in seen:
            yield None, f"Lacks the column {name}, which {promised.name} shows: return it or remove the field."


def mismatches(
    about: str,
    operator: str,
    parameters: Sequence[tuple[str, str]],
    columns: Sequence[tuple[str, str]],
    registry: Registry,
) -> list[str]:
    """Return a sentence for each promise of a query that its types in a database break.

    Args:
        about: the query's comment, as its `__doc__` has it.
        operator: `^`, `$` or nothing.
        parameters: their names and types, in the order of their numbers.
        columns: their names and types, as PostgreSQL describes them.
        registry: the schemas and settings that the comment may name.
    """
    labels, types = read_labels(about), dict(parameters)
    told: list[str] = []
    try:
        for text in read_takes(labels["Takes"]) if "Takes" in labels else ():
            for name, source in read_source(text, list(types), registry).items():
                fed = types_fed_by(source.field, source.setting)
                told += mismatches_of_parameter(name, source.name, fed, types[name])
        told += [
            fault
            for _, fault in mismatches_of_columns(read_returns(labels.get("Returns", ""), operator, registry), columns)
        ]
    except ContractError as error:
        told.append(str(error))
    return told


def _mismatches_of_value(promised: Returns, columns: Sequence[tuple[str, str]]) -> Iterator[tuple[int | None, str]]:
    if len(columns) != 1:
        yield None, f"Returns {len(columns)} columns, but a $ query gives one value: return one column, or use ^."
    elif columns[0][1] not in SCALARS[promised.name]:
        yield 0, f"Returns {columns[0][1]}, but says {promised.name}: cast it, or say what it is."


def _mismatches_of_column(schema: str, field: fields.Field[Any], name: str, type_name: str) -> Iterator[str]:
    types = types_of(field)
    # IsSet shows a column of any type, since it only asks whether it is NULL.
    if type_name not in types and not isinstance(field, IsSet):
        wanted = " or ".join(types) or _UNKNOWN
        yield (
            f"Returns the column {name} as {type_name}, but {schema}.{field.name} is {wanted}: change the one or the"
            " other."
        )
