"""What a statement's `Takes:` and `Returns:` promise, and whether PostgreSQL's types keep it.

The service asks when it starts, and `python -m service sql check` asks the same and more. Types go by the short names
that asyncpg and psycopg share: `uuid`, `int8`, `timestamptz`, `text[]`.

    Takes: TaskKey, password_hash from Credentials, new_hash from UserDraft.password_hash, ttl from Settings.access_ttl.

lists what feeds the parameters. A schema feeds each parameter that it has a field for; `parameter from` takes one field
of a schema, that of the parameter's own name where no other is written, or one setting.

    Returns: Task, no row when the user has no such task; …     of a ^ query that may find nothing
    Returns: Task, exactly one row: …                           of a ^ query that cannot
    Returns: Task, many: …                                      of a list
    Returns: integer, how many there are; NULL when …           of a $ query, with the last part where it may be NULL

What stands behind `:` or `;` is for people. Schemas are found by name among those that are imported.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

import marshmallow
from marshmallow import class_registry, fields
from marshmallow.exceptions import RegistryError

from service.http.fields import Binary, IsSet, Representation, Row
from service.settings import Settings

LABELS = ("Takes", "Returns", "Raises", "Plan", "Scope")
"""What a statement says of itself, in the order in which it says so."""

MANY, EXACTLY_ONE, AT_MOST_ONE = "many", "exactly one row", "no row when"

_LABEL = re.compile(rf"^({'|'.join(LABELS)}): ", re.MULTILINE)
_SOURCE = re.compile(r"(?:(?P<parameter>\w+) from )?(?P<owner>[A-Z]\w*)(?:\.(?P<field>\w+))?")
_RETURNS = re.compile(r"(?P<name>\w+), (?P<rest>.+)\.", re.DOTALL)
_ROWS = re.compile(rf"({MANY}|{EXACTLY_ONE})(?:[:;] .+)?|({AT_MOST_ONE}) .+", re.DOTALL)
_SETTINGS = "Settings"
_SETTING_EXAMPLE = 600  # of times and limits, any will do
_UNKNOWN = "of no type that is known here"

_INTEGERS = ("int2", "int4", "int8")
_SCALARS: Mapping[str, tuple[str, ...]] = {
    "boolean": ("bool",),
    "bytes": ("bytea",),
    "integer": _INTEGERS,
    "number": ("float4", "float8"),
    "text": ("text", "varchar"),
    "time": ("timestamptz",),
    "uuid": ("uuid",),
}
# The first that a field is an instance of counts.
_FIELDS: tuple[tuple[type[fields.Field[Any]], str], ...] = (
    (fields.UUID, "uuid"),
    (fields.String, "text"),
    (fields.Integer, "integer"),
    (fields.Float, "number"),
    (fields.Boolean, "boolean"),
    (fields.AwareDateTime, "time"),
    (Binary, "bytes"),
)
_HINTS: Mapping[object, str] = {bool: "boolean", bytes: "bytes", float: "number", int: "integer", str: "text"}


@dataclass(frozen=True, slots=True)
class Source:
    """What feeds one parameter.

    Attributes:
        name: `TaskKey.user_id`, as it is called in what people read.
        field: the field; None for a setting.
        setting: the type of the setting; None for a field.
        is_nullable: whether it may be NULL.
    """

    name: str
    field: fields.Field[Any] | None
    setting: object
    is_nullable: bool

    @property
    def about(self) -> str:
        """What it is, in a sentence."""
        return str(self.field.metadata.get("description", "")) if self.field else ""

    @property
    def example(self) -> object:
        """A value of it, as a driver takes it; that of a row of the database that the checks make."""
        if self.field is None:
            return _SETTING_EXAMPLE
        (example,) = self.field.metadata["examples"]
        return example if isinstance(self.field, Binary) else self.field.deserialize(example)


@dataclass(frozen=True, slots=True)
class Returns:
    """What `Returns:` says.

    Attributes:
        name: a schema's or a scalar type's.
        rows: MANY, EXACTLY_ONE or AT_MOST_ONE; empty for a scalar.
        says_null: whether a scalar may be NULL.
    """

    name: str
    rows: str
    says_null: bool

    @property
    def schema(self) -> type[marshmallow.Schema] | None:
        """The schema of a row; None for a scalar."""
        return schema_named(self.name)


class ContractError(ValueError):
    """A label cannot be read; the message says what is wrong, and what to write."""


def read_labels(about: str) -> dict[str, str]:
    """Return what stands behind each label of a query's comment (its `__doc__`), on one line each."""
    _, *parts = _LABEL.split(about)
    return {name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def read_takes(text: str) -> list[str]:
    """Return the sources that `Takes:` lists, each for `read_source`."""
    return [part.strip() for part in text.removesuffix(".").split(",")]


def read_source(text: str, parameters: Sequence[str]) -> dict[str, Source]:
    """Return what one source of `Takes:` feeds, by parameter.

    Raises:
        ContractError: it is no source, names what does not exist, or feeds nothing.
    """
    match = _SOURCE.fullmatch(text)
    if not match:
        raise ContractError(f"Takes {text!r}, which is no source: write a schema, or `parameter from Schema.field`.")
    parameter, owner, name = match["parameter"], match["owner"], match["field"]
    if parameter and parameter not in parameters:
        raise ContractError(f"Takes :{parameter}, which it does not have: its parameters are {', '.join(parameters)}.")
    if owner == _SETTINGS:
        return {parameter: _setting(text, parameter, name)}
    schema = schema_named(owner)
    if schema is None:
        raise ContractError(
            f"Takes {owner}, but there is no such schema: it is looked for in service/*/schemas.py and rows.py."
        )
    if parameter:
        return {parameter: _field(schema, name or parameter)}
    if name:
        raise ContractError(f"Takes {text}, which does not say for which parameter: write `parameter from {text}`.")
    known = _load_fields(schema)
    fed = {one: _field(schema, one) for one in parameters if one in known}
    if not fed:
        raise ContractError(f"Takes {text}, which feeds none of its parameters: remove it.")
    return fed


def read_returns(text: str, operator: str) -> Returns:
    """Return what `Returns:` says of a query with an operator: `^`, `$` or none.

    Raises:
        ContractError: it does not keep to the grammar, or contradicts the operator.
    """
    match = _RETURNS.fullmatch(text)
    if not match:
        raise ContractError(f"Returns {text!r}, which cannot be read: write {_forms('Schema', operator)}.")
    name, rest = match["name"], match["rest"]
    if operator == "$":
        if name not in _SCALARS:
            raise ContractError(f"Returns {name}, which is no type of a single value: write {', '.join(_SCALARS)}.")
        return Returns(name, "", says_null=re.search(r"; NULL when .", rest) is not None)
    if schema_named(name) is None:
        raise ContractError(
            f"Returns {name}, but there is no such schema: it is looked for in service/*/schemas.py and rows.py."
        )
    rows = _ROWS.fullmatch(rest)
    kind = (rows[1] or rows[2]) if rows else ""
    if kind not in ((EXACTLY_ONE, AT_MOST_ONE) if operator else (MANY,)):
        raise ContractError(
            f"Returns {name}, {rest!r}, which does not fit {_who(operator)}: write {_forms(name, operator)}."
        )
    return Returns(name, kind, says_null=False)


def schema_named(name: str) -> type[marshmallow.Schema] | None:
    """Return the marshmallow schema of a name; None where there is none, or more than one."""
    try:
        found = class_registry.get_class(name)
    except RegistryError:
        return None
    return found if isinstance(found, type) else None


def types_of(field: fields.Field[Any]) -> tuple[str, ...]:
    """Return the types of PostgreSQL that a field can carry; none where that is not known here."""
    if isinstance(field, fields.List):
        return tuple(f"{one}[]" for one in types_of(field.inner))
    return next((_SCALARS[kind] for made, kind in _FIELDS if isinstance(field, made)), ())


def kind_of(type_name: str) -> str:
    """Return by which word of `Returns:` a `$` query gives a type of PostgreSQL; the type itself where by none."""
    scalar = type_name.removesuffix("[]")
    kind = next((kind for kind, types in _SCALARS.items() if scalar in types), scalar)
    return kind + type_name[len(scalar) :]


def types_fed_by(field: fields.Field[Any] | None, setting: object) -> tuple[str, ...]:
    """Return the types of PostgreSQL that a parameter may have which a field feeds, or a setting of such a type."""
    types = types_of(field) if field else _SCALARS.get(_HINTS.get(setting, ""), ())
    # A whole number is a float8 as well.
    return (*types, "float8") if types == _INTEGERS else types


@cache
def fields_of_columns(schema: type[marshmallow.Schema]) -> Mapping[str, tuple[fields.Field[Any], ...]]:
    """Return the fields that a row is dumped through, by the name of the column that each shows."""
    found: dict[str, tuple[fields.Field[Any], ...]] = {}
    for name, field in schema().dump_fields.items():
        column = field.attribute or name
        found[column] = (*found.get(column, ()), field)
    return found


def faults_of_parameter(parameter: str, source: str, types: Sequence[str], type_name: str) -> Iterator[str]:
    """Yield a sentence where a parameter has another type in PostgreSQL than those that its source can feed."""
    if type_name not in types:
        wanted = " or ".join(types) or _UNKNOWN
        yield (
            f"Parameter :{parameter} is {type_name} in PostgreSQL, but {source}, which feeds it, is {wanted}: change"
            " the one or the other."
        )


def faults_of_columns(promised: Returns, columns: Sequence[tuple[str, str]]) -> Iterator[tuple[int | None, str]]:
    """Yield a sentence for each column, of the given names and types, that breaks a promise, and the place in the list.

    The place is None where a column is missing, or there are too many of them to blame one.
    """
    schema = promised.schema
    if schema is None:
        yield from _faults_of_value(promised, columns)
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
                yield from ((place, told) for told in _faults_of_column(promised.name, field, name, type_name))
        seen.add(name)
    for name in expected:
        if name not in seen:
            yield None, f"Lacks the column {name}, which {promised.name} shows: return it or remove the field."


def breaches(
    about: str, operator: str, parameters: Sequence[tuple[str, str]], columns: Sequence[tuple[str, str]]
) -> list[str]:
    """Return a sentence for each promise of a query that its types in a database break.

    Args:
        about: the query's comment, as its `__doc__` has it.
        operator: `^`, `$` or nothing.
        parameters: their names and types, in the order of their numbers.
        columns: their names and types, as PostgreSQL describes them.
    """
    labels, types = read_labels(about), dict(parameters)
    told: list[str] = []
    try:
        for text in read_takes(labels["Takes"]) if "Takes" in labels else ():
            for name, source in read_source(text, list(types)).items():
                fed = types_fed_by(source.field, source.setting)
                told += faults_of_parameter(name, source.name, fed, types[name])
        told += [fault for _, fault in faults_of_columns(read_returns(labels.get("Returns", ""), operator), columns)]
    except ContractError as error:
        told.append(str(error))
    return told


@cache
def _load_fields(schema: type[marshmallow.Schema]) -> Mapping[str, fields.Field[Any]]:
    return schema().load_fields


def _setting(text: str, parameter: str | None, name: str | None) -> Source:
    hint = get_type_hints(Settings).get(name or "")
    if not parameter or hint is None:
        raise ContractError(f"Takes {text}, which is no setting: write `parameter from Settings.field`.")
    return Source(f"{_SETTINGS}.{name}", None, hint, is_nullable=False)


def _field(schema: type[marshmallow.Schema], name: str) -> Source:
    field = _load_fields(schema).get(name)
    if field is None:
        raise ContractError(f"Takes {schema.__name__}.{name}, but {schema.__name__} has no such field.")
    is_sent = not issubclass(schema, (Row, Representation))
    # What a request leaves out is fed as NULL, where nothing else is put in its place.
    is_absent = not field.required and field.load_default in (marshmallow.missing, None)
    return Source(f"{schema.__name__}.{name}", field, None, bool(field.allow_none) or (is_sent and is_absent))


def _faults_of_value(promised: Returns, columns: Sequence[tuple[str, str]]) -> Iterator[tuple[int | None, str]]:
    if len(columns) != 1:
        yield None, f"Returns {len(columns)} columns, but a $ query gives one value: return one column, or use ^."
    elif columns[0][1] not in _SCALARS[promised.name]:
        yield 0, f"Returns {columns[0][1]}, but says {promised.name}: cast it, or say what it is."


def _faults_of_column(schema: str, field: fields.Field[Any], name: str, type_name: str) -> Iterator[str]:
    types = types_of(field)
    # IsSet asks of any column whether it is there.
    if type_name not in types and not isinstance(field, IsSet):
        wanted = " or ".join(types) or _UNKNOWN
        yield (
            f"Returns the column {name} as {type_name}, but {schema}.{field.name} is {wanted}: change the one or the"
            " other."
        )


def _who(operator: str) -> str:
    return f"a {operator} query" if operator else "a query without an operator"


def _forms(name: str, operator: str) -> str:
    forms = {"^": (EXACTLY_ONE, f"{AT_MOST_ONE} …"), "$": ("what it is", "what it is; NULL when …")}.get(
        operator, (MANY,)
    )
    return " or ".join(f"`Returns: {name}, {form}.`" for form in forms)
